"""The status of each selected stream, from the bucket: its last run and its problems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

from landing.catalog.files import selected_configs
from landing.catalog.stream_config import StreamConfig
from landing.catalog.workspace import Workspace
from landing.errors import BucketError, CatalogError
from landing.extraction.expected_kinds import not_adapted
from landing.extraction.side_by_side import Stop, side_by_side
from landing.extraction.volume import Volume, VolumeState
from landing.observe.ahead import ahead_in, unit_in
from landing.observe.lag import moment_of
from landing.observe.problems import (
    LeaseStatus,
    Problem,
    of_ahead,
    of_failed_run,
    of_failing_run,
    of_interrupted,
    of_lease,
    of_quarantine,
    of_schedule,
    of_volume,
)
from landing.observe.stream_status import (
    BackfillUnderWay,
    LastFailure,
    LastLoad,
    StreamStatus,
    Verdict,
)
from landing.operations.backfill.record import Records
from landing.operations.quarantined import StreamQuarantine, quarantined_streams
from landing.operations.state_view import cursor_in
from landing.results import Drifted, most_common, shaped
from landing.zone.bucket import Bucket, StoredObject
from landing.zone.failure_log import failing_run
from landing.zone.holder import Holder, lease_holder
from landing.zone.layout import StreamPaths
from landing.zone.lease import EXPIRES_AFTER
from landing.zone.listed_bucket import ListedBucket
from landing.zone.load_log import LoadRecord, last_load
from landing.zone.parent_cursors import parent_cursors
from landing.zone.state import STATE_KEY, resource_state, state_in

_AT_ONCE = 32
"""Requests that wait for the bucket; little else is done meanwhile."""
_REASONS = 10
_GIVEN_UP_AFTER = 2 * EXPIRES_AFTER
"""Age of a lease's last renewal at which its process counts as dead. Twice the expiry, because
this machine's clock may differ from the bucket's."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Observed:
    config: StreamConfig | None
    """None if it can't be read."""
    status: StreamStatus


def stream_statuses(
    workspace: Workspace, sources: Sequence[str], bucket: Bucket, now: datetime, grace: timedelta
) -> list[StreamStatus]:
    """All selected streams of these sources. Raises BucketError if the bucket can't be read."""
    return [one.status for one in observed(workspace, sources, ListedBucket(bucket), now, grace)]


def observed(
    workspace: Workspace,
    sources: Sequence[str],
    bucket: ListedBucket,
    now: datetime,
    grace: timedelta,
) -> list[Observed]:
    """As `stream_statuses`, with their configs. Lists the sources' folders in the bucket."""
    configured = ((source, list(_selected(workspace, source))) for source in sources)
    selected = {source: found for source, found in configured if found}

    def list_folders(source: str, _: Stop) -> None:
        # The records come last: each file that is listed before, and is not of a run that is under
        # way, has its record.
        for folder in (source, f"_quarantine/{source}", f"_dlt/{source}"):
            bucket.list_once(folder, len(selected[source]))

    def observe(job: StreamConfig | StreamStatus, _: Stop) -> Observed:
        if isinstance(job, StreamStatus):
            return Observed(None, job)
        return Observed(job, _status(job, bucket, now, grace))

    all_done(side_by_side(list_folders, list(selected), _AT_ONCE))
    jobs = [job for found in selected.values() for job in found]
    return all_done(side_by_side(observe, jobs, _AT_ONCE))


def all_done(results: Iterable[Result | Exception]) -> list[Result]:
    done = []
    for result in results:
        if isinstance(result, Exception):
            raise result
        done.append(result)
    return done


def _selected(workspace: Workspace, source: str) -> Iterator[StreamConfig | StreamStatus]:
    for stream, config in selected_configs(workspace, source):
        if isinstance(config, CatalogError):
            remedy = "its runs fail until the mistake is corrected"
            yield _unreadable(source, stream, str(config), remedy)
        else:
            yield config


def _unreadable(source: str, stream: str, message: str, remedy: str) -> StreamStatus:
    problem = Problem("unreadable", message, remedy)
    return StreamStatus(source=source, stream=stream, status="unreadable", problems=[problem])


def _status(
    config: StreamConfig, bucket: ListedBucket, now: datetime, grace: timedelta
) -> StreamStatus:
    """By the listing, unless a run has ended since."""
    found = _readable_status(config, bucket, now, grace)
    state = StreamPaths(config.source, config.stream).state
    if found.status in ("died", "interrupted") or bucket.has_changed(state, found.last_run):
        return _readable_status(config, bucket.live, now, grace)
    return found


def _readable_status(
    config: StreamConfig, bucket: Bucket, now: datetime, grace: timedelta
) -> StreamStatus:
    try:
        return _read_status(config, bucket, now, grace)
    except BucketError as error:
        remedy = f"`landing verify {config.source} {config.stream}` checks the rest"
        return _unreadable(config.source, config.stream, str(error), remedy)


def _read_status(
    config: StreamConfig, bucket: Bucket, now: datetime, grace: timedelta
) -> StreamStatus:
    paths = StreamPaths(config.source, config.stream)
    lease = _lease(lease_holder(bucket, paths.lease), now)
    stored = bucket.get(paths.state)
    state = state_in(bucket, paths, stored)
    name, cursor = cursor_in(state, config.stream, config)
    ours = {} if state is None else resource_state(state, config.stream).get(STATE_KEY, {})
    load_id = ours.get("load_id")
    waiting = _in_quarantine(bucket, paths)
    failing = failing_run(bucket, paths, stored)
    backfills = list(_backfills(bucket, paths))
    moment = moment_of(cursor, unit_in(state, config.stream))
    ahead = ahead_in(state, config, now)
    last = last_load(bucket, paths, load_id)
    problems = [
        *of_lease(paths, lease),
        *of_failed_run(paths, waiting.failed),
        *of_failing_run(paths, failing, waiting.failed_load_id),
        *of_interrupted(bucket, paths, load_id, lease, is_backfilled=bool(backfills)),
        *of_schedule(config, stored, now, grace),
        *([] if ahead is None else [of_ahead(paths.source, paths.stream, ahead)]),
        *of_volume(paths, _unexpected(config, ours, now)),
        *of_quarantine(paths, waiting.rows),
    ]
    return StreamStatus(
        source=config.source,
        stream=config.stream,
        status=_verdict(problems, stored, lease),
        last_run=None if stored is None else stored.modified,
        last_failure=None if failing is None else shaped(LastFailure, failing),
        last_load=None if last is None else shaped(LastLoad, last, files=len(last.files)),
        schedule=None if config.schedule is None else config.schedule.cron,
        due=None if config.schedule is None else config.schedule.after(now),
        cursor_field=name,
        cursor=cursor,
        parents=parent_cursors(state, config.stream) if config.is_incremental else [],
        lag_seconds=None if moment is None else (now - moment).total_seconds(),
        ahead=ahead,
        quarantined=waiting.rows,
        reasons=most_common(waiting.reasons, _REASONS),
        failed_run=waiting.failed,
        lease=lease,
        backfills=backfills,
        drift=_drift(config, last),
        problems=problems,
    )


def _unexpected(config: StreamConfig, ours: dict[str, Any], now: datetime) -> list[str]:
    """What the last run said of its number of rows, and what is to say of the last day's."""
    state: VolumeState = ours.get("volume", {})
    return [*state.get("unexpected", []), *Volume(config, state, now).of_day()]


def _verdict(
    problems: Sequence[Problem], stored: StoredObject | None, lease: LeaseStatus | None
) -> Verdict | Literal["unreadable"]:
    """The first problem decides: problems are in order of severity."""
    for problem in problems:
        return "late" if problem.kind == "schedule" else problem.kind
    if lease is not None:
        return "running"
    return "never" if stored is None else "ok"


def _lease(holder: Holder | None, now: datetime) -> LeaseStatus | None:
    if holder is None:
        return None
    return LeaseStatus(
        doing=holder.doing,
        holder=f"process {holder.pid} on {holder.host}",
        since=holder.since,
        is_dead=now - holder.renewed > _GIVEN_UP_AFTER,
        is_gone=holder.is_gone,
    )


def _in_quarantine(bucket: Bucket, paths: StreamPaths) -> StreamQuarantine:
    found = quarantined_streams(bucket, paths.source, paths.stream)
    return found[0] if found else StreamQuarantine(paths.source, paths.stream)


def _backfills(bucket: Bucket, paths: StreamPaths) -> Iterator[BackfillUnderWay]:
    for one in Records(bucket, paths).all():
        if one.finished is None:
            windows = len(one.windows)
            marks = bucket.list(f"{paths.backfills}/{one.id}") if windows else None
            yield BackfillUnderWay(
                id=one.id,
                started=one.started,
                windows=windows,
                done=len(one.done),
                rows=one.rows,
                begun=None if marks is None else len(list(marks)),
                command=f"landing backfill {paths.source} {paths.stream} {one.request.options()}",
            )


def _drift(config: StreamConfig, last: LoadRecord | None) -> Drifted | None:
    if last is None or last.kind != "run" or last.drift is None:
        return None
    return not_adapted(config, last.drift) or None
