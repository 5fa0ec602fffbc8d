"""A workspace's streams as a code location of Dagster.

    from landing.dagster import definitions

    defs = definitions("/path/to/orchestration")

Each selected stream becomes an asset with checks and its schedule, and its past a partitioned
asset. Loading the code location reads only stream configs: it imports no source and makes no
network requests.
"""

from __future__ import annotations

try:
    import dagster  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "landing.dagster needs Dagster: pip install 'dlt-landing[dagster]'"
    ) from error

from landing.dagster.location import definitions
from landing.dagster.translator import StreamAsset, StreamTranslator

__all__ = ["StreamAsset", "StreamTranslator", "definitions"]
