"""A DuckLake as somebody reads it who has nothing to do with what wrote it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import duckdb


@cache
def engine(whose: str) -> duckdb.DuckDBPyConnection:
    """Loading extensions takes a second, so a process has one for all that `whose` tests do."""
    connection = duckdb.connect()
    for name in ("httpfs", "sqlite_scanner", "postgres_scanner", "ducklake"):
        connection.execute(f"LOAD '{extension(name)}'")
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    return connection


@contextmanager
def reading(catalog: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """`sqlite:/folder/file` or `postgres:…` as `lake`; its files as the environment says."""
    with engine("reader").cursor() as connection:
        if "S3_ENDPOINT" in os.environ:
            connection.execute(
                "CREATE OR REPLACE SECRET reader (TYPE s3, USE_SSL false, URL_STYLE 'path', "
                f"KEY_ID '{os.environ['S3_ACCESS_KEY_ID']}', "
                f"SECRET '{os.environ['S3_SECRET_ACCESS_KEY']}', "
                f"ENDPOINT '{os.environ['S3_ENDPOINT']}')"
            )
        connection.execute(f"ATTACH 'ducklake:{catalog}' AS lake (READ_ONLY)")
        try:
            yield connection
        finally:
            connection.execute("DETACH lake")


def extension(name: str) -> Path:
    """The file of an extension, which is in a package of its own."""
    spec = find_spec(f"duckdb_extension_{name}")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return next(Path(spec.submodule_search_locations[0]).rglob("*.duckdb_extension"))
