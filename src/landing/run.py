"""A stream from its API to the landing zone."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa
from dlt.extract.resource import DltResource

from landing.bucket import Bucket
from landing.catalog import (
    StreamConfig,
    configured_streams,
    read_config,
    read_discovered,
    unknown_fields,
)
from landing.columns import Columns
from landing.errors import LandingError
from landing.extraction import Extraction, hold_cursor
from landing.failures import explained, raise_if_interrupted
from landing.landing import LandingZone, Load
from landing.layout import StreamPaths
from landing.lease import Lease
from landing.lineage import LINEAGE_FIELDS
from landing.report import Reporter, RunResult, StreamResult
from landing.sources import Source
from landing.state import SCHEMA, stored_cursor


@dataclass(frozen=True)
class Plan:
    """What a run of a stream would do, without anything done."""

    config: StreamConfig
    cursor: Any
    columns: pa.Schema
    location: str
    doubts: list[str]


def selected_streams(source: Source) -> tuple[list[str], dict[str, LandingError]]:
    """The streams that `--all` runs, and the error of each config that can't be read.

    One broken file does not keep the others from their hourly run.
    """
    selected: list[str] = []
    broken: dict[str, LandingError] = {}
    for stream in configured_streams(source.workspace, source.name):
        try:
            if read_config(source.workspace, source.name, stream).selected:
                source.stream(stream)
                selected.append(stream)
        except LandingError as error:
            broken[stream] = error
    return selected, broken


def run_streams(
    source: Source, streams: Sequence[str], bucket: Bucket, reporter: Reporter
) -> RunResult:
    """Run each stream; one that fails does not stop the others.

    Raises UsageError before anything is run if a config or a stream's name is wrong.
    """
    result = RunResult()
    for config, resource in _jobs(source, streams):
        for note in _doubts(source, config):
            reporter.note(config.stream, note)
        try:
            result.landed.append(run_stream(config, resource, bucket, reporter))
        except Exception as error:
            raise_if_interrupted(error)
            failure = explained(
                source.workspace, source.name, f"stream '{source.name}/{config.stream}'", error
            )
            result.failed[config.stream] = failure
            if failure is not error:
                failure.__cause__ = error
    return result


def plan_streams(source: Source, streams: Sequence[str], bucket: Bucket) -> list[Plan]:
    return [
        _plan(config, resource, bucket, _doubts(source, config))
        for config, resource in _jobs(source, streams)
    ]


def _doubts(source: Source, config: StreamConfig) -> list[str]:
    discovered = read_discovered(source.workspace, source.name, config.stream)
    unknown = unknown_fields(config, discovered) if discovered else []
    file = source.workspace.shown(source.workspace.discovered_file(source.name, config.stream))
    return [f"not in {file}: field {name}" for name in unknown]


def _jobs(source: Source, streams: Sequence[str]) -> list[tuple[StreamConfig, DltResource]]:
    resources = [source.stream(stream) for stream in streams]
    configs = [read_config(source.workspace, source.name, stream) for stream in streams]
    return list(zip(configs, resources, strict=True))


def run_stream(
    config: StreamConfig,
    resource: DltResource,
    bucket: Bucket,
    reporter: Reporter,
) -> StreamResult:
    """Land what is new of one stream.

    Raises LeaseHeld if another run of it is under way; whatever else goes wrong comes as the
    library raised it, and leaves the cursor where it was.
    """
    clock = time.monotonic()
    paths = StreamPaths(config.source, config.stream)
    lease = Lease(bucket, paths.lease, f"{config.source}/{config.stream}")
    with lease, tempfile.TemporaryDirectory(prefix="landing-") as folder:
        load = Load(bucket, paths, lease)
        pipeline = _pipeline(load, Path(folder))
        pipeline.sync_destination()
        extraction = Extraction(config, resource, load, reporter, Path(folder))
        pipeline.extract(extraction.as_source())
        pipeline.normalize()
        pipeline.load(workers=1)
    return StreamResult(
        source=config.source,
        stream=config.stream,
        rows=load.rows,
        files=len(load.files),
        bytes=load.bytes,
        quarantined=load.quarantined,
        cursor_before=load.cursor_before,
        cursor_after=load.cursor_after,
        seconds=time.monotonic() - clock,
        load_id=load.load_id,
        location=bucket.location(paths.data),
    )


def _pipeline(load: Load, folder: Path) -> dlt.Pipeline:
    """A dlt pipeline in a folder of its own: what outlives a run is in the bucket alone."""
    return dlt.pipeline(
        re.sub(r"\W", "_", f"{load.paths.source}__{load.paths.stream}"),
        pipelines_dir=str(folder / "dlt"),
        destination=LandingZone(load),
        dataset_name=SCHEMA,
    )


def _plan(config: StreamConfig, resource: DltResource, bucket: Bucket, doubts: list[str]) -> Plan:
    paths = StreamPaths(config.source, config.stream)
    columns = pa.schema([*Columns(config.fields).schema, *LINEAGE_FIELDS])
    held = hold_cursor(config, resource)
    cursor = None
    if held is not None and config.is_incremental:
        stored = stored_cursor(bucket, paths, held.cursor_path)
        cursor = held.initial_value if stored is None else stored
    return Plan(config, cursor, columns, bucket.location(paths.data), doubts)
