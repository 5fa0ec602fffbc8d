"""Initializes libraries whose first use is not thread-safe."""

from __future__ import annotations

import pyarrow as pa

from landing.extraction.deferred_pandas import defer_pandas
from landing.extraction.dlt_bridge import prepare_dlt
from landing.zone.bucket import Bucket


def settle(bucket: Bucket, at_once: int) -> None:
    """Call before reading so many streams or windows at the same time, each in its thread."""
    if at_once <= 1:
        defer_pandas()
    else:
        # pyarrow's first array imports pandas, if it is installed; dlt fails if another thread has
        # imported it only in part.
        pa.array([0])
    prepare_dlt()
    bucket.settle()
