"""What libraries make once for a process and not safely in several threads, made beforehand."""

from __future__ import annotations

import pyarrow as pa

from landing.extraction.dlt_bridge import prepare_dlt
from landing.zone.bucket import Bucket


def settle(bucket: Bucket) -> None:
    """Call before there are threads."""
    # pyarrow imports pandas, if there is one, with its first array; dlt fails if it finds it half
    # imported by another thread.
    pa.array([0])
    prepare_dlt()
    bucket.settle()
