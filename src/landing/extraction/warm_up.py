"""What libraries make once for a process and not safely in several threads, made beforehand."""

from __future__ import annotations

import pyarrow as pa
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

from landing.zone.bucket import Bucket


def settle(bucket: Bucket) -> None:
    """Call before there are threads."""
    # pyarrow imports pandas, if there is one, with its first array; dlt fails if it finds it half
    # imported by another thread.
    pa.array([0])
    # dlt makes its run context when the first stream is read: it loads plugins then, with a lock
    # held that each resolution of a configuration needs, and other threads find it half made.
    _ = Container()[PluggableRunContext]
    bucket.settle()
