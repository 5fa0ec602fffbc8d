"""A source that gives the rows of a file: `orders`, which has a cursor, and `stock`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.kit import Kit

_STREAMS = """\
import json, os
from pathlib import Path
import dlt

def pages():
    yield from json.loads(Path(os.environ["ROWS_FILE"]).read_text())

@dlt.resource(primary_key="id")
def orders(at=dlt.sources.incremental("at", initial_value=0)):
    yield from pages()

@dlt.resource(primary_key="id")
def stock():
    yield from pages()
"""
INCREMENTAL = {"sync_mode": "incremental", "cursor_field": ["at"], "lookback": 1000}
"""In the config of `orders`: versions that come late are read again."""


def add_shop(kit: Kit, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWS_FILE", str(file))
    kit.add_source("shop", _STREAMS)


def write_rows(file: Path, *rows: dict[str, Any]) -> None:
    """In one page."""
    file.write_text(json.dumps([list(rows)]))
