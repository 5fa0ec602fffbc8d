"""Initializes libraries whose first use is not thread-safe."""

from __future__ import annotations

import pyarrow as pa

from landing.extraction.dlt_bridge import prepare_dlt
from landing.zone.bucket import Bucket


def settle(bucket: Bucket) -> None:
    """Call before starting threads."""
    # pyarrow's first array imports pandas, if it is installed; dlt fails if another thread has
    # imported it only in part.
    pa.array([0])
    prepare_dlt()
    bucket.settle()
