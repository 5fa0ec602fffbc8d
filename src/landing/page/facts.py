"""The page's data, collected from the bucket. `--json` prints it unchanged.

Rows, times and bytes come from the records of loads and failed runs. The rows themselves are read
only for the profiles, and only a sample of the newest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta

import msgspec

from landing import __version__
from landing.catalog.schedule import GRACE
from landing.catalog.stream_config import StreamConfig
from landing.catalog.workspace import Workspace
from landing.errors import BucketError
from landing.extraction.side_by_side import Stop, side_by_side
from landing.observe.lag import moment_of
from landing.observe.status import Observed, all_done, observed
from landing.observe.stream_status import StreamStatus
from landing.page.profiles import Depth, Profile, profile_of
from landing.results import shaped
from landing.zone.bucket import Bucket
from landing.zone.failure_log import failed_runs
from landing.zone.layout import StreamPaths
from landing.zone.listed_bucket import ListedBucket
from landing.zone.load_log import LoadRecord, load_records
from landing.zone.schema_history import TypeChange, schema_versions

_AT_ONCE = 8
LOADS_READ = 500
"""The newest loads of a stream that are counted. If there are more, the page says so."""


class Day(msgspec.Struct, kw_only=True):
    """A day in UTC. A load counts on the day it ended."""

    day: date
    loads: int = 0
    rows: int = 0
    bytes: int = 0
    quarantined: int = 0
    failed: int = 0
    """Failed runs."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A load, or a failed run. A run that found nothing new left no record."""

    kind: str
    """`run`, `backfill`, `quarantine` or `failed`."""
    finished: datetime
    seconds: float | None
    load_id: str | None = None
    rows: int = 0
    files: int = 0
    bytes: int = 0
    deleted: int = 0
    quarantined: int = 0
    read: int | None = None
    """Records that a failed run had read."""
    lag_seconds: float | None = None
    """How far the cursor was behind the end of the run, if it is a time."""
    error: str | None = None
    message: str | None = None


class ColumnChange(msgspec.Struct, frozen=True):
    version: int
    time: datetime
    added: list[str]
    removed: list[str]
    changed: list[TypeChange]


class StreamFacts(msgspec.Struct, frozen=True, kw_only=True):
    status: StreamStatus
    description: str | None = None
    sync_mode: str | None = None
    timezone: str | None = None
    """Time zone of the schedule."""
    interval_seconds: float | None = None
    """Seconds between the last and the next time it is due."""
    days: list[Day] = []
    """Oldest first, without gaps."""
    runs: list[Run] = []
    """Newest first."""
    is_cut: bool = False
    """Whether there are more loads than were read."""
    columns: int = 0
    column_changes: list[ColumnChange] = []
    """Newest first, without the first version."""
    profile: Profile | None = None
    not_read: str | None = None
    """Why the rest could not be read."""

    @property
    def name(self) -> str:
        return self.status.name


class Report(msgspec.Struct, frozen=True, kw_only=True):
    generated: datetime
    days: int
    bucket: str
    version: str = __version__
    values: bool
    """Whether profiles may show values."""
    streams: list[StreamFacts]

    @property
    def since(self) -> datetime:
        """Start of the first day that is counted."""
        return _midnight(self.generated) - timedelta(days=self.days - 1)


def gathered(
    workspace: Workspace,
    sources: Sequence[str],
    bucket: Bucket,
    now: datetime,
    *,
    days: int = 14,
    grace: timedelta = GRACE,
    depth: Depth | None = None,
) -> Report:
    """The report of all selected streams of these sources.

    Raises BucketError if the bucket can't be read.
    """
    depth = depth or Depth()
    listed = ListedBucket(bucket)
    streams = observed(workspace, sources, listed, now, grace)
    since = _midnight(now) - timedelta(days=days - 1)

    def facts(stream: Observed, _: Stop) -> StreamFacts:
        return _stream(listed, stream, since, now, depth)

    return Report(
        generated=now,
        days=days,
        bucket=bucket.url,
        values=depth.values,
        streams=all_done(side_by_side(facts, streams, _AT_ONCE)),
    )


def _stream(
    bucket: Bucket, stream: Observed, since: datetime, now: datetime, depth: Depth
) -> StreamFacts:
    status, config = stream.status, stream.config
    if config is None:
        return StreamFacts(status=status, not_read=status.problems[0].message)
    try:
        return _read_facts(bucket, status, config, since, now, depth)
    except BucketError as error:
        return StreamFacts(status=status, description=config.description, not_read=str(error))


def _read_facts(
    bucket: Bucket,
    status: StreamStatus,
    config: StreamConfig,
    since: datetime,
    now: datetime,
    depth: Depth,
) -> StreamFacts:
    paths = StreamPaths(status.source, status.stream)
    loads = load_records(bucket, paths, LOADS_READ, since)
    failed = failed_runs(bucket, paths, LOADS_READ, since)
    runs = [*map(_of_load, loads), *(shaped(Run, one, rows=one.published) for one in failed)]
    runs.sort(key=lambda run: run.finished, reverse=True)
    versions = list(schema_versions(bucket, paths))
    schedule = config.schedule
    return StreamFacts(
        status=status,
        description=config.description,
        sync_mode=config.sync_mode,
        timezone=None if schedule is None else schedule.timezone,
        interval_seconds=(
            None
            if schedule is None
            else (schedule.after(now) - schedule.before(now)).total_seconds()
        ),
        days=_days(runs, since, now),
        runs=runs,
        is_cut=max(len(loads), len(failed)) == LOADS_READ,
        columns=len(versions[-1].columns) if versions else 0,
        column_changes=[shaped(ColumnChange, one) for one in reversed(versions[1:])],
        profile=profile_of(bucket, paths, config, since, depth),
    )


def _of_load(record: LoadRecord) -> Run:
    moment = moment_of(record.cursor_after) if record.kind == "run" else None
    lag = None if moment is None else (record.finished - moment).total_seconds()
    return shaped(Run, record, files=len(record.files), lag_seconds=lag)


def _days(runs: Iterable[Run], since: datetime, now: datetime) -> list[Day]:
    found: defaultdict[date, Day] = defaultdict(lambda: Day(day=date.min))
    for run in runs:
        day = found[run.finished.astimezone(UTC).date()]
        if run.kind == "failed":  # its loads have their own records
            day.failed += 1
            continue
        day.loads += 1
        day.rows += run.rows
        day.bytes += run.bytes
        day.quarantined += run.quarantined
    count = (now.astimezone(UTC).date() - since.date()).days + 1
    days = [since.date() + timedelta(days=number) for number in range(count)]
    return [msgspec.structs.replace(found[day], day=day) for day in days]


def _midnight(moment: datetime) -> datetime:
    return datetime.combine(moment.astimezone(UTC).date(), time(), UTC)
