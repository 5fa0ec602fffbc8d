"""Decides which version of a record is the current one.

A tombstone removes all versions with its load id or an earlier one. Of the others, the version
with the greatest cursor wins (null is the least), then the greatest load id, then the last
position in the files. DuckDB sorts, because it can sort on disk. It gets the key, the cursor, the
load id and the position of each row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, reduce
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from landing.catalog.fields import DELETED_AT
from landing.columns.tombstones import is_tombstone
from landing.zone.lineage import LOAD_ID

GONE = "_dlt_gone"
"""Column of `changes`: whether only tombstones are left of the key, and the rest is null."""
UNTIL = "_dlt_until"
"""Column of `changes`: the load id of the key's last tombstone, or an empty text."""
MEMORY = "512MB"
_BATCH_ROWS = 100_000


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    engine = duckdb.connect()
    engine.execute("SET GLOBAL TimeZone = 'UTC'")
    return engine


def connected() -> duckdb.DuckDBPyConnection:
    """A connection for one query; threads may have one each at the same time."""
    return _engine().cursor()


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def narrow(rows: pa.Table, key: Sequence[str], cursor: str | None, start: int) -> pa.Table:
    """The columns that decide, with the rows' positions counted from `start`."""
    columns = {f"k{number}": rows[name] for number, name in enumerate(key)}
    columns["cursor"] = rows[cursor] if cursor else pa.nulls(rows.num_rows, pa.int64())
    columns["load_id"] = rows[LOAD_ID]
    columns["deleted"] = is_tombstone(rows)
    columns["position"] = pa.array(range(start, start + rows.num_rows), pa.int64())
    return pa.table(columns)


def keyless(rows: pa.Table, key: Sequence[str]) -> int:
    """Number of rows with a null in their key, which a table with that key can't have."""
    if not any(rows[name].null_count for name in key):
        return 0
    absent = reduce(pc.or_, (pc.is_null(rows[name]) for name in key))
    return int(pc.sum(pc.and_(absent, pc.invert(is_tombstone(rows)))).as_py() or 0)


def _ranked(width: int, *, keyless: bool = False) -> str:
    keys = [f"k{number}" for number in range(width)]
    listed, present = ", ".join(keys), " AND ".join(f"{key} IS NOT NULL" for key in keys)
    rank = (
        f"row_number() OVER (PARTITION BY {listed} "
        "ORDER BY gone, cursor DESC NULLS LAST, load_id DESC, position DESC)"
    )
    return f"""
        SELECT position, until, load_id <= until AS gone FROM (
            SELECT *, coalesce(
                max(load_id) FILTER (deleted) OVER (PARTITION BY {listed}), ''
            ) AS until FROM versions
        )
        WHERE {"TRUE" if keyless else present}
        QUALIFY {rank} = 1{f" OR NOT ({present})" if keyless else ""}
    """


def changes(rows: pa.Table, key: Sequence[str], cursor: str | None) -> pa.Table:
    """One row for each key, the current version, with GONE and UNTIL."""
    with connected() as connection:
        connection.register("versions", narrow(rows, key, cursor, 0))
        ranked = connection.sql(f"{_ranked(len(key))} ORDER BY position").to_arrow_table()
    chosen = rows.take(ranked["position"])
    if DELETED_AT in chosen.schema.names:
        chosen = chosen.drop_columns([DELETED_AT])
    return chosen.append_column(GONE, ranked["gone"]).append_column(UNTIL, ranked["until"])


def among(
    wanted: pa.Table, rows: pa.Table, key: Sequence[str], *, only_tombstones: bool
) -> pa.Array:
    """Positions of the rows that have one of the wanted keys."""
    keys = ", ".join(f"k{number}" for number in range(len(key)))
    with connected() as connection:
        connection.register("wanted", narrow(wanted, key, None, 0))
        connection.register("versions", narrow(rows, key, None, 0))
        return connection.sql(
            f"SELECT position FROM versions SEMI JOIN wanted USING ({keys}) "
            f"{'WHERE deleted ' if only_tombstones else ''}ORDER BY position"
        ).to_arrow_table()["position"]


class Winners:
    """Finds the positions of the current versions among more rows than fit in memory."""

    def __init__(self, folder: Path, width: int, *, keyless: bool = False) -> None:
        """With `keyless`, all rows with a null in their key are current."""
        self._connection = duckdb.connect(folder / "versions.duckdb")
        self._connection.execute(f"SET memory_limit = '{MEMORY}'")
        self._connection.execute(f"SET temp_directory = {literal(str(folder / 'spilled'))}")
        self._connection.execute("SET preserve_insertion_order = false")
        self._width = width
        self._keyless = keyless
        self._has_any = False

    def close(self) -> None:
        self._connection.close()

    def add(self, versions: pa.Table) -> None:
        self._connection.register("more", versions)
        if self._has_any:
            self._connection.execute("INSERT INTO versions SELECT * FROM more")
        else:
            self._connection.execute("CREATE TABLE versions AS SELECT * FROM more")
        self._has_any = True
        self._connection.unregister("more")

    def positions(self) -> Iterator[int]:
        """Positions in ascending order."""
        if not self._has_any:
            return
        ranked = _ranked(self._width, keyless=self._keyless)
        reader = self._connection.sql(
            f"SELECT position FROM ({ranked}) WHERE NOT gone ORDER BY position"
        ).to_arrow_reader(_BATCH_ROWS)
        for batch in reader:
            yield from batch.column(0).to_pylist()


def newer(cursor: str | None) -> str:
    """SQL that is true if the source's version replaces the target's.

    Of two equal versions, the source's is the later one.
    """
    load_id, until = quoted(LOAD_ID), quoted(UNTIL)
    later = f"source.{load_id} >= target.{load_id}"
    if cursor is not None:
        ours, theirs = f"source.{quoted(cursor)}", f"target.{quoted(cursor)}"
        later = (
            f"({ours} > {theirs} OR ({ours} IS NOT NULL AND {theirs} IS NULL) OR "
            f"(({ours} = {theirs} OR ({ours} IS NULL AND {theirs} IS NULL)) AND {later}))"
        )
    return f"(NOT source.{GONE} AND (target.{load_id} <= source.{until} OR {later}))"


def removed() -> str:
    """SQL that is true if the target's row is removed without a replacement."""
    return f"(source.{GONE} AND target.{quoted(LOAD_ID)} <= source.{quoted(UNTIL)})"


def same_key(key: Sequence[str]) -> str:
    return " AND ".join(f"target.{quoted(name)} = source.{quoted(name)}" for name in key)
