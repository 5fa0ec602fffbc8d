"""A stream's problems that a person has to look at, each with a remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

import msgspec

from landing.catalog.stream_config import StreamConfig
from landing.errors import ApiError, CatalogError, SettingsError, SourceError
from landing.observe.freshness import lateness
from landing.results import Ahead
from landing.zone.bucket import Bucket, StoredObject
from landing.zone.failure_log import FailedRun
from landing.zone.layout import StreamPaths, load_id_of
from landing.zone.lease import EXPIRES_AFTER

_OF_SETTINGS = (SettingsError.__name__, SourceError.__name__, CatalogError.__name__)

Kind: TypeAlias = Literal[
    "unreadable",
    "died",
    "interrupted",
    "failed",
    "failing",
    "late",
    "ahead",
    "volume",
    "quarantine",
    "schedule",
]


class Problem(msgspec.Struct, frozen=True):
    kind: Kind
    message: str
    remedy: str


class LeaseStatus(msgspec.Struct, frozen=True):
    doing: str
    holder: str
    since: str
    is_dead: bool
    """Not renewed for so long that its process must have died."""
    is_gone: bool = False
    """Of a process of this machine that has ended."""


def of_lease(paths: StreamPaths, lease: LeaseStatus | None) -> Iterator[Problem]:
    if lease is not None and lease.is_gone and not lease.is_dead:
        message = f"{lease.holder} has had the lease since {lease.since}, and no longer exists"
        until = f"takes it over, {EXPIRES_AFTER.seconds} s after its end"
        yield Problem("interrupted", message, _run(paths, until))
    elif lease is not None and lease.is_dead:
        message = f"{lease.holder} has had the lease since {lease.since} and died"
        yield Problem("died", message, _run(paths, "takes it over and completes it"))


def of_failed_run(paths: StreamPaths, failed: int) -> Iterator[Problem]:
    if failed:
        message = f"the last run failed: {failed:,} records do not fit, too many for it to land"
        show = f"`landing quarantine show {paths.source} {paths.stream} --failed` shows them"
        yield Problem("failed", message, f"{show}; correct the types of these fields, or the limit")


def of_failing_run(
    paths: StreamPaths, run: FailedRun | None, limit_load_id: str | None
) -> Iterator[Problem]:
    """For any cause but the quarantine_limit, which has its own remedy."""
    if run is None or (limit_load_id is not None and limit_load_id in run.load_ids):
        return
    ended = "was interrupted" if run.was_interrupted else "failed"
    message = f"the last run {ended} at {run.finished:%Y-%m-%d %H:%M} UTC: {run.message}"
    if run.error in _OF_SETTINGS:
        remedy = f"`landing doctor {paths.source}` checks settings, source and configs"
    else:
        again = _run(paths, "tries again")
        if run.error == ApiError.__name__ and run.remedy is not None:
            again = f"{run.remedy}; {again}"
        remedy = f"{again}; `landing history {paths.source} {paths.stream}` shows earlier failures"
    yield Problem("failing", message, remedy)


def of_interrupted(
    bucket: Bucket,
    paths: StreamPaths,
    load_id: str | None,
    lease: LeaseStatus | None,
    *,
    is_backfilled: bool,
) -> Iterator[Problem]:
    """Files without a load record, while no process has the lease and could write it."""
    if lease is not None:
        return
    after = paths.end_of(load_id) if load_id else None
    loads = set(filter(None, map(load_id_of, bucket.list(paths.data, after))))
    if not loads:
        return
    after = paths.load_record(load_id) if load_id else None
    recorded = {path.rpartition("/")[2] for path in bucket.list(paths.load_records, after)}
    if died := sorted(load for load in loads if f"{load}.json" not in recorded):
        message = f"the process that published load {died[-1]} died before the end"
        remedy = _run(paths, "lands its rows again")
        if is_backfilled:
            remedy += "; if a backfill published them, start it again"
        yield Problem("died", message, remedy)


def of_schedule(
    config: StreamConfig, stored: StoredObject | None, now: datetime, grace: timedelta
) -> Iterator[Problem]:
    late = lateness(config, None if stored is None else stored.modified, now, grace)
    if late is not None:
        yield Problem("late", late.message, late.remedy)
    if config.schedule_mistake is not None:
        message = f"{config.origin}: {config.schedule_mistake}"
        yield Problem("schedule", message, "until it is corrected, the stream never counts as late")


def of_ahead(source: str, stream: str, ahead: Ahead) -> Problem:
    if not ahead.is_cursor:
        return Problem(
            "ahead",
            f"a record has {ahead.field} {ahead.value}, beyond now; the cursor waits, rows go on "
            "landing",
            "have the record corrected at the source",
        )
    return Problem(
        "ahead",
        f"the cursor {ahead.name} is at {ahead.value}, beyond now: new records are not requested",
        f"{ahead.remedy(source, stream)} puts it back; rows from that value on land again",
    )


def of_volume(paths: StreamPaths, unexpected: Iterable[str]) -> Iterator[Problem]:
    for text in unexpected:
        show = f"`landing check {paths.source} {paths.stream}` shows what the source returns"
        change = "change `expect`" if "; expect." in text else 'set "allow_empty": true'
        yield Problem("volume", text, f"{show}; if the number is right, {change}")


def of_quarantine(paths: StreamPaths, quarantined: int) -> Iterator[Problem]:
    if quarantined:
        what = "record waits" if quarantined == 1 else "records wait"
        message = f"{quarantined:,} {what} in quarantine"
        show = f"`landing quarantine list {paths.source} {paths.stream}` shows why"
        yield Problem(
            "quarantine",
            message,
            f"{show}; `landing quarantine land` lands them once the config is corrected, "
            "`drop` removes those that are not needed",
        )


def of_waiting(paths: StreamPaths, rows: int, oldest: datetime) -> Problem:
    """For an alert; `oldest` is the load of the oldest record."""
    (found,) = of_quarantine(paths, rows)
    since = f"the oldest since {oldest:%Y-%m-%d %H:%M} UTC"
    return Problem(found.kind, f"{found.message}, {since}", found.remedy)


def _run(paths: StreamPaths, effect: str) -> str:
    return f"`landing run {paths.source} {paths.stream}` {effect}"
