"""Runs streams: reads each from its API and lands its rows."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from landing import events
from landing.catalog.files import configured_streams, read_config
from landing.catalog.settings import bucket_settings
from landing.catalog.stream_config import StreamConfig
from landing.columns.privacy import check_key
from landing.errors import LandingError
from landing.extraction.dlt_bridge import DltResource, parents_of
from landing.extraction.extraction import Extraction
from landing.extraction.failures import raise_if_interrupted
from landing.extraction.prepared import prepare
from landing.extraction.side_by_side import Stop, side_by_side, waits
from landing.extraction.sources import Source
from landing.extraction.warm_up import settle
from landing.http.traffic import counting
from landing.operations.jobs import Job, jobs_of, warnings_of
from landing.operations.quarantine_removal import take_out_superseded
from landing.results import RunResult, StreamResult, TableResult, Traffic
from landing.tables import place_of, table_sync_of
from landing.zone.bucket import Bucket
from landing.zone.failure_log import failed_runs
from landing.zone.holder import Holder
from landing.zone.layout import StreamPaths
from landing.zone.lease import Lease
from landing.zone.publication import Load
from landing.zone.state import STATE_KEY, StateFile, resource_state

WORKERS = 8
"""Default number of streams that run at the same time; most of a run is waiting for its API."""


def selected_streams(source: Source) -> tuple[list[str], dict[str, LandingError]]:
    """The streams that `--all` runs, and the error of each config that can't be read.

    One broken config does not stop the other streams.
    """
    selected: list[str] = []
    broken: dict[str, LandingError] = {}
    for stream in configured_streams(source.workspace, source.name):
        try:
            if read_config(source.workspace, source.name, stream).selected:
                config = source.config(stream)
                check_key(config.fields, config.origin)
                place_of(config, bucket_settings(source.workspace))
                selected.append(stream)
        except LandingError as error:
            broken[stream] = error
    return selected, broken


def run_streams(
    source: Source,
    streams: Sequence[str],
    bucket: Bucket,
    emit: events.Emit,
    workers: int = WORKERS,
) -> RunResult:
    """Run the streams, up to `workers` at the same time; one that fails does not stop the others.

    Raises UsageError, before anything runs, if a config or a stream's name is wrong.
    """
    result = RunResult()
    jobs = jobs_of(source, streams, bucket)
    emit(events.RunPlanned(streams))
    for config, _ in jobs:
        for note in warnings_of(source, config):
            emit(events.Note(config.stream, note))

    def run(job: Job, stop: Stop) -> StreamResult:
        config, resource = job
        emit(_started(config))
        try:
            landed = run_stream(config, resource, bucket, emit, stop)
        except Exception as error:
            raise_if_interrupted(error)
            failure = source.explained(config.stream, error)
            emit(events.StreamFailed(config.stream, failure))
            if failure is error:
                raise
            raise failure from error
        emit(events.StreamLanded(config.stream, landed))
        return landed

    settle(bucket, min(workers, len(jobs)))
    outcomes = side_by_side(run, jobs, workers)
    for (config, _), done in zip(jobs, outcomes, strict=True):
        if isinstance(done, StreamResult):
            result.landed.append(done)
        else:
            result.failed[config.stream] = done
    return result


def _started(config: StreamConfig) -> events.StreamStarted:
    cron = timezone = None
    if config.schedule is not None:
        cron, timezone = config.schedule.cron, config.schedule.timezone
    return events.StreamStarted(config.stream, config.source, config.sync_mode, cron, timezone)


def run_stream(
    config: StreamConfig,
    resource: DltResource,
    bucket: Bucket,
    emit: events.Emit,
    stop: Stop | None = None,
) -> StreamResult:
    """Land the new rows of one stream.

    Raises LeaseHeld if another run of the stream is under way. Other exceptions propagate
    unchanged; the cursor then stays where the last published load left it.
    """
    clock = time.monotonic()
    paths = StreamPaths(config.source, config.stream)
    counts_rows = not any(parents_of(resource))
    lease = Lease(
        bucket,
        paths.lease,
        f"{config.source}/{config.stream}",
        waiting=waits(stop or Stop(), lambda text: emit(events.Note(config.stream, text))),
    )
    with (
        lease,
        tempfile.TemporaryDirectory(prefix="landing-") as folder,
        counting(emit, config.stream, counts_rows=counts_rows) as traffic,
    ):
        table_sync = table_sync_of(config, bucket)
        dead = lease.dead_holder
        if dead is not None and dead.purpose == "run" and not _left_record(bucket, paths, dead):
            emit(events.PredecessorDied(config.stream, _death(dead), dead.renewed))
        if table_sync is not None:
            table_sync.check()
        state = StateFile(bucket, paths, lease)
        stream = prepare(config, resource, Path(folder))
        loads: list[Load] = []
        with Extraction(stream, state, emit, stop or Stop()) as extraction:
            while not extraction.is_over:
                load = Load(bucket, paths, lease, config.sync_mode, emit=emit)
                extraction.read_into(load)
                load.publish()
                state.write()
                loads.append(load)
                if not extraction.is_over:
                    emit(events.LoadPublished(config.stream, load.rows, load.cursor_after))
            state.forget_superseded()
        state.renew()
        table = None
        if table_sync is not None:
            emit(events.TableUpdating(config.stream))
            table = table_sync.update(lease)
        landed = [file.path for load in loads for file in load.files]
        if _may_supersede(config, state, landed) and (
            count := take_out_superseded(config, bucket, lease, landed)
        ):
            what = "1 record has" if count == 1 else f"{count:,} records have"
            note = f"{what} left quarantine, since a newer version landed"
            emit(events.Note(config.stream, note))
    return _result(config, loads, extraction, table, traffic, time.monotonic() - clock)


def _left_record(bucket: Bucket, paths: StreamPaths, dead: Holder) -> bool:
    """Whether it was interrupted, and kept its lease for a write that had not ended."""
    return any(one.host == dead.host for one in failed_runs(bucket, paths, since=dead.renewed))


def _death(holder: Holder) -> str:
    began = f"process {holder.pid} on {holder.host}, which began at {holder.since}"
    return f"the last run ({began}) ended without a record: it was killed, or lost its machine"


def _may_supersede(config: StreamConfig, state: StateFile, landed: Sequence[str]) -> bool:
    """Whether a record of the quarantine may have landed anew; to know costs requests."""
    ours = resource_state(state.state, config.stream).get(STATE_KEY, {})
    has_quarantined = not config.is_incremental or "quarantined" in ours
    return bool(landed and config.primary_key and has_quarantined)


def _result(
    config: StreamConfig,
    loads: Sequence[Load],
    extraction: Extraction,
    table: TableResult | None,
    traffic: Traffic,
    seconds: float,
) -> StreamResult:
    load_ids = [load.load_id for load in loads if load.load_id is not None]
    return StreamResult(
        source=config.source,
        stream=config.stream,
        rows=sum(load.rows for load in loads),
        files=sum(len(load.files) for load in loads),
        bytes=sum(load.bytes for load in loads),
        quarantined=sum(load.quarantined for load in loads),
        deleted=sum(load.deleted for load in loads),
        read_from=loads[0].read_from,
        cursor_before=loads[0].cursor_before,
        cursor_after=loads[-1].cursor_after,
        seconds=seconds,
        load_ids=load_ids,
        location=loads[0].bucket.location(loads[0].paths.data),
        traffic=traffic,
        table=table,
        read=extraction.count,
        drift=extraction.drift,
        gone=extraction.gone,
        below_cursor=sum(load.below_cursor for load in loads),
        known=sum(load.known for load in loads),
        repeated=sum(load.repeated for load in loads),
        ahead=extraction.ahead,
        unexpected=extraction.unexpected,
    )
