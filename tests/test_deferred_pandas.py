"""A run of one stream doesn't import pandas, unless its source does."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from landing.columns import background
from tests.kit import Kit, Zone

pytest.importorskip("pandas")

SOURCE = """
import sys

import dlt
import pyarrow as pa

@dlt.resource
def things():
    assert "pandas" not in sys.modules
    yield [{"id": 0, "ratio": 0.5}]
    import polars  # looks for pandas, without importing it
    import pandas as pd

    yield pa.table({"id": [1], "ratio": pa.array(pd.Series([float("nan")]))})
    yield pd.DataFrame({"id": [2, 3], "ratio": [1.5, None]})
"""


def test_pandas_that_a_stream_imports_while_it_runs_has_its_nulls(
    kit: Kit, folder_zone: Zone
) -> None:
    kit.add_source("frames", SOURCE)
    kit.configure(
        "frames", "things", fields={"id": {"type": "integer"}, "ratio": {"type": "number"}}
    )
    done = kit.script("pipeline.py", "frames", "things")
    assert done.code == 0, done.text
    rows = folder_zone.query("frames", "things", "SELECT id, ratio FROM landed ORDER BY id")
    assert rows == [(0, 0.5), (1, None), (2, 1.5), (3, None)]


def test_pandas_is_announced_to_pyarrow_once() -> None:
    code = """
import importlib.util, sys
from landing.extraction.deferred_pandas import defer_pandas
defer_pandas()
defer_pandas()
import pyarrow as pa
assert importlib.util.find_spec("pandas") is not None
assert "pandas" not in sys.modules
import pandas as pd
assert pa.array(pd.Series([float("nan")])).null_count == 1
own = [f for f in sys.meta_path if type(f).__module__ == "landing.extraction.deferred_pandas"]
assert len(own) == 1, "removed, it would hide the next one from another thread's import"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_forked_process_has_threads_of_its_own() -> None:
    assert background.start(lambda: 1).result() == 1
    child = os.fork()
    if child == 0:
        with ThreadPoolExecutor(1) as waiting:
            found = waiting.submit(lambda: background.start(lambda: 7).result(10)).result(10)
        os._exit(found)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
