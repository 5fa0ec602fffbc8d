"""Decides which changes take effect, for table formats without a conditional upsert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from landing.tables.table import Counts
from landing.tables.winners import GONE, UNTIL, newer, quoted, removed, same_key
from landing.zone.lineage import LOAD_ID, ROW_ID

_NUMBER = "_dlt_number"


@dataclass(frozen=True)
class Decision:
    rows: pa.Table
    """Rows to add."""
    outdated: pa.Array
    """Ids of the rows to remove."""
    counts: Counts


def decide(
    connection: duckdb.DuckDBPyConnection,
    changes: pa.Table,
    table: str,
    key: Sequence[str],
    cursor: str | None,
) -> Decision:
    """`table` is the connection's name for the present rows, of which the key, the cursor and the
    lineage columns are read."""
    number = pa.array(range(changes.num_rows), pa.int64())
    deciding = dict.fromkeys([*key, *filter(None, [cursor]), LOAD_ID, GONE, UNTIL])
    source = changes.select(list(deciding))
    connection.register("source", source.append_column(_NUMBER, number))
    matched = connection.sql(
        f"SELECT source.{_NUMBER}, target.{quoted(ROW_ID)} AS id, "
        f"{newer(cursor)} AS newer, {removed()} AS removed "
        f"FROM source JOIN {table} AS target ON {same_key(key)}"
    ).to_arrow_table()
    connection.unregister("source")
    return _decision(changes, matched)


def _decision(changes: pa.Table, matched: pa.Table) -> Decision:
    newer_, removed_ = (pc.fill_null(matched[name], False) for name in ("newer", "removed"))
    effective = pc.or_(newer_, removed_)
    losing = matched[_NUMBER].filter(pc.invert(newer_))
    numbers = pa.array(range(changes.num_rows), pa.int64())
    added = pc.and_(
        pc.invert(changes[GONE]), pc.invert(pc.is_in(numbers, value_set=losing.combine_chunks()))
    )
    rows = changes.filter(added).drop_columns([GONE, UNTIL])
    is_new = pc.invert(pc.is_in(numbers, value_set=matched[_NUMBER].combine_chunks()))
    return Decision(
        rows,
        matched["id"].filter(effective).combine_chunks(),
        Counts(
            upserted=rows.num_rows,
            removed=pc.sum(removed_).as_py() or 0,
            inserted=pc.sum(pc.and_(added, is_new)).as_py() or 0,
        ),
    )
