"""The SQL of a stream's staging model and of the test of its key."""

from __future__ import annotations

from collections.abc import Sequence

from landing.catalog.stream_config import StreamConfig
from landing.operations.dbt.columns import (
    LINEAGE,
    TOMBSTONE,
    DbtColumn,
    configured,
    quoted,
    verbatim,
)

_POSITION = (
    DbtColumn("_dlt_file", "UBIGINT", "UBIGINT"),
    DbtColumn("_dlt_row", "BIGINT", "BIGINT"),
)


def is_refreshed(config: StreamConfig) -> bool:
    """Whether the current rows are those of the newest full refresh, and not the newest for each
    key."""
    keeps_newest = config.destination_sync_mode == "merge" or config.deletes is not None
    return not config.is_incremental and not keeps_newest


def meaning(config: StreamConfig) -> str:
    """Which rows the model has."""
    key = ", ".join(config.primary_key)
    if is_refreshed(config):
        last = f"; of several with the same {key}, the last" if key else ""
        return f"The rows of the newest complete full refresh{last}"
    if key:
        return f"The newest row for each {key}, unless it marks a deletion"
    return "All rows that have landed: the stream has no primary key"


def model(config: StreamConfig) -> str:
    columns = [*configured(config)]
    declared = [*columns, TOMBSTONE, *LINEAGE, *_POSITION]
    source = f"source('{config.source}', '{config.stream}')"
    refresh = f"WHERE {{{{ landing_is_of_newest_refresh({source}) }}}}\n    "
    return f"""\
-- {verbatim(" ".join(meaning(config).split()))}.
WITH landed AS (
    -- A column that no file has yet is null.
    SELECT
        {_listed([f"NULL::{one.landed} AS {quoted(one.name)}" for one in declared], 8)}
    WHERE false
    {{{{ landing_rows({source}) }}}}
),

newest AS (
    SELECT *
    FROM landed
    {refresh if is_refreshed(config) else ""}QUALIFY row_number() OVER (
        PARTITION BY {_identity(config, columns)}
        ORDER BY "_dlt_load_id" DESC, "_deleted_at" IS NULL, "_dlt_file" DESC, "_dlt_row" DESC
    ) = 1
)

SELECT
    {_listed([_cast(column) for column in [*columns, *LINEAGE]], 4)}
FROM newest
WHERE "_deleted_at" IS NULL
"""


def key_test(config: StreamConfig, name: str) -> str:
    """A test that has a row for each key that is not unique, or lacks a value."""
    key = [quoted(field) for field in config.primary_key]
    return f"""\
SELECT {", ".join(key)}, count(*) AS "rows"
FROM {{{{ ref('{name}') }}}}
GROUP BY {", ".join(key)}
HAVING count(*) > 1 OR {" OR ".join(f"{field} IS NULL" for field in key)}
"""


def _identity(config: StreamConfig, columns: Sequence[DbtColumn]) -> str:
    """What tells records apart. Rows that lack a key are records of their own, and so are all rows
    of a stream without a key; compaction may show a row twice."""
    casts = {column.name: column.cast for column in columns}
    if not config.primary_key:
        return '"_dlt_load_id", "_dlt_id"'
    key = [f"CAST({quoted(name)} AS {casts[name]})" for name in config.primary_key]
    absent = " OR ".join(f"{quoted(name)} IS NULL" for name in config.primary_key)
    return f'{", ".join(key)}, CASE WHEN {absent} THEN "_dlt_id" END'


def _cast(column: DbtColumn) -> str:
    return f"CAST({quoted(column.name)} AS {column.cast}) AS {quoted(column.name)}"


def _listed(lines: Sequence[str], indent: int) -> str:
    return (",\n" + " " * indent).join(lines)
