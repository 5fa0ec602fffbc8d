"""Streams that need no API: what is measured is the engine's own work for each of many."""

from __future__ import annotations

import os

import dlt


def _rows(at=dlt.sources.incremental("at")):
    rows = [{"id": n, "at": n, "name": f"name {n}", "total": n * 1.5} for n in range(1, 21)]
    yield [row for row in rows if at.last_value is None or row["at"] > at.last_value]


__all__ = [f"rows_{number:04d}" for number in range(int(os.environ.get("BENCH_STREAMS", "1")))]
globals().update({name: dlt.resource(_rows, name=name, primary_key="id") for name in __all__})
