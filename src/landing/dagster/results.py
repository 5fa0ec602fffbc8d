"""Checks of each run: quarantined records, drift, the number of rows, the cursor, and whether each
key has one newest row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from landing.catalog.stream_config import StreamConfig
from landing.dagster.reporting import RunLog
from landing.errors import BucketError, printable
from landing.observe.problems import of_ahead
from landing.results import StreamResult
from landing.secrets import redacted
from landing.zone.bucket import Bucket
from landing.zone.lineage import LOAD_ID

QUARANTINE, COLUMNS, KEYS = "quarantine", "columns", "keys"
VOLUME, CURSOR = "volume", "cursor"
CHECKED_ROWS = 1_000_000
"""Rows of a load that are checked; their keys are in memory at once."""


def specs(key: dg.AssetKey, config: StreamConfig) -> list[dg.AssetCheckSpec]:
    message = {
        QUARANTINE: "Each record of the run fits its columns; those that don't are in quarantine.",
        COLUMNS: "The source returned the fields and types that stream config and discovery know.",
    }
    if config.expect is not None or not config.is_incremental:
        message[VOLUME] = "The number of rows is what `expect` of the stream config says."
    if config.is_incremental:
        message[CURSOR] = "No cursor value is more than a day beyond the source's time."
    if config.primary_key:
        message[KEYS] = (
            f"The newest load's files are readable, and no two of its rows have the same "
            f"{', '.join(config.primary_key)} and {LOAD_ID}: each key has exactly one newest row."
        )
    return [dg.AssetCheckSpec(name, asset=key, description=text) for name, text in message.items()]


def results(
    key: dg.AssetKey, config: StreamConfig, result: StreamResult, log: RunLog, bucket: Bucket
) -> Iterator[dg.AssetCheckResult]:
    yield _quarantine(key, result)
    yield _check(key, COLUMNS, not log.drift, "\n".join(log.drift) or "no drift")
    if config.expect is not None or not config.is_incremental:
        yield _volume(key, result)
    if config.is_incremental:
        yield _cursor(key, result)
    if config.primary_key:
        yield _keys(key, config, newest_load(result, log.uploads), bucket)


def newest_load(result: StreamResult, uploads: Sequence[str]) -> list[str]:
    """Paths of the run's last load that has files."""
    for load_id in reversed(result.load_ids):
        found = [path for path in uploads if f"/{load_id}." in path]
        if found:
            return found
    return []


def _quarantine(key: dg.AssetKey, result: StreamResult) -> dg.AssetCheckResult:
    read = result.rows + result.quarantined
    share = result.quarantined / read if read else 0.0
    message = f"{result.quarantined:,} of {read:,} records went to quarantine ({share:.2%})"
    facts = {"quarantined": result.quarantined, "share": share}
    return _check(key, QUARANTINE, not result.quarantined, message, facts)


def _volume(key: dg.AssetKey, result: StreamResult) -> dg.AssetCheckResult:
    message = "\n".join(map(_shown, result.unexpected)) or f"{result.rows:,} rows"
    return _check(key, VOLUME, not result.unexpected, message, {"rows": result.rows})


def _cursor(key: dg.AssetKey, result: StreamResult) -> dg.AssetCheckResult:
    """An error if the cursor itself is ahead, since what is new is not requested then."""
    ahead = result.ahead
    if ahead is None:
        return _check(key, CURSOR, True)
    problem = of_ahead(result.source, result.stream, ahead)
    message = _shown(f"{problem.message}: {problem.remedy}")
    facts = {"ahead": _shown(str(ahead.value))}
    return _check(key, CURSOR, False, message, facts, is_error=ahead.is_cursor)


def _keys(
    key: dg.AssetKey, config: StreamConfig, paths: Sequence[str], bucket: Bucket
) -> dg.AssetCheckResult:
    names = [*config.primary_key, LOAD_ID]
    try:
        rows = _read(bucket, paths, names)
    except (BucketError, pa.ArrowException) as error:
        return _of_keys(key, False, _shown(f"the newest load can't be read: {error}"))
    if rows is None:
        return _of_keys(key, True, "nothing landed")
    whole = pc.invert(pc.is_null(rows[names[0]]))
    for name in config.primary_key[1:]:
        whole = pc.and_(whole, pc.invert(pc.is_null(rows[name])))
    keyed = rows.filter(whole)
    distinct = keyed.group_by(names).aggregate([]).num_rows
    twice, keyless = keyed.num_rows - distinct, rows.num_rows - keyed.num_rows
    message = f"{rows.num_rows:,} rows of the newest load: {twice:,} have the key of another row"
    if keyless:
        message += f", {keyless:,} lack a value in their key"
    if rows.num_rows >= CHECKED_ROWS:
        message += f"; only the first {CHECKED_ROWS:,} were checked"
    facts = {"rows": rows.num_rows, "duplicates": twice, "keyless": keyless}
    return _of_keys(key, not twice and not keyless, message, facts)


def _of_keys(
    key: dg.AssetKey, passed: bool, message: str, facts: Mapping[str, Any] | None = None
) -> dg.AssetCheckResult:
    return _check(key, KEYS, passed, message, facts, is_error=True)


def _check(
    key: dg.AssetKey,
    name: str,
    passed: bool,
    message: str | None = None,
    facts: Mapping[str, Any] | None = None,
    *,
    is_error: bool = False,
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=name,
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        description=message,
        metadata=facts,
    )


def _read(bucket: Bucket, paths: Sequence[str], names: Sequence[str]) -> pa.Table | None:
    """These columns of the files' first CHECKED_ROWS rows; None without files."""
    tables: list[pa.Table] = []
    count = 0
    for path in paths:
        with bucket.file(path) as opened, pq.ParquetFile(opened) as file:
            for batch in file.iter_batches(columns=list(names)):
                tables.append(pa.Table.from_batches([batch[: CHECKED_ROWS - count]]))
                count += tables[-1].num_rows
                if count >= CHECKED_ROWS:
                    return pa.concat_tables(tables)
    return pa.concat_tables(tables) if tables else None


def _shown(text: str) -> str:
    return printable(redacted(text))
