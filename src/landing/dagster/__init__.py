"""A workspace's streams as a code location of Dagster.

    from landing.dagster import definitions

    defs = definitions("/path/to/orchestration")

One asset for each selected stream, with checks, its schedule and its past in partitions. Loading
it reads stream configs alone: no source is imported, and nothing is asked over the network.
"""

from __future__ import annotations

try:
    import dagster  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "landing.dagster needs Dagster: pip install 'dlt-landing[dagster]'"
    ) from error

from landing.dagster.location import definitions

__all__ = ["definitions"]
