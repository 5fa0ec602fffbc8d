"""The asset of a stream. Materializing it runs the stream."""

# Dagster checks the annotation of `context` against its classes: it can't be a string.

from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa

from landing.catalog.stream_config import StreamConfig
from landing.catalog.workspace import bucket_settings
from landing.dagster import metadata, results
from landing.dagster.engine import import_engine
from landing.dagster.options import LocationOptions
from landing.dagster.outcomes import message
from landing.dagster.reporting import RunLog
from landing.dagster.runs import reporting
from landing.dagster.streams import KINDS, Stream
from landing.errors import BucketError, UsageError
from landing.events import RunWarning

if TYPE_CHECKING:
    from landing.results import StreamResult
    from landing.zone.bucket import Bucket


def asset_of(stream: Stream, options: LocationOptions) -> dg.AssetsDefinition:
    if stream.config is None:
        return _broken(stream, options)
    config = stream.config

    @dg.multi_asset(
        name=stream.op_name(),
        specs=[_spec(stream, config, options)],
        check_specs=results.specs(stream.key, config),
        pool=stream.source,
    )
    def land(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with message(context, options.retries):
            return _landed(context, stream, options)

    return land


def _landed(
    context: dg.AssetExecutionContext, stream: Stream, options: LocationOptions
) -> dg.MaterializeResult[Any]:
    workspace = options.workspace
    import_engine(workspace)
    from landing.extraction.sources import load_source
    from landing.operations import run
    from landing.zone.bucket import Bucket

    log = RunLog(context.log)
    with reporting(context, stream, options, log) as emit:
        settings = bucket_settings(workspace)
        if settings.is_default:
            emit(RunWarning(settings.default_note))
        bucket = Bucket(settings)
        source = load_source(workspace, stream.source)
        done = run.run_streams(source, [stream.name], bucket, emit, workers=1)
    for error in done.failed.values():
        raise error
    return _materialized(stream.key, source.config(stream.name), done.landed[0], log, bucket)


def _materialized(
    key: dg.AssetKey, config: StreamConfig, result: "StreamResult", log: RunLog, bucket: "Bucket"
) -> dg.MaterializeResult[Any]:
    """The rows have landed, so an error while describing them does not fail the run."""
    newest = results.newest_load(result, log.uploads)
    try:
        facts = metadata.of_result(result, bucket, newest)
    except (BucketError, pa.ArrowException) as error:
        log(RunWarning(f"no preview: {error}"))
        facts = metadata.of_result(result, bucket, [])
    checks = results.results(key, config, result, log, bucket)
    return dg.MaterializeResult(asset_key=key, metadata=facts, check_results=list(checks))


def _spec(stream: Stream, config: StreamConfig, options: LocationOptions) -> dg.AssetSpec:
    return dg.AssetSpec(
        stream.key,
        description=_description(stream, config),
        metadata=metadata.of_config(config),
        group_name=stream.group,
        owners=list(options.owners),
        tags={"landing/source": stream.source, "landing/sync_mode": config.sync_mode},
        kinds=KINDS,
        automation_condition=_when_due(config),
    )


def _description(stream: Stream, config: StreamConfig) -> str:
    message = config.description or f"Stream {stream.name} of {stream.source}."
    return f"{message}\n\n**No schedule**: {stream.mistake}" if stream.mistake else message


def _when_due(config: StreamConfig) -> dg.AutomationCondition[Any] | None:
    """Due at each time of the schedule. While a run is queued or in progress, due times are not
    counted up: the stream runs once when that run has ended."""
    if config.schedule is None:
        return None
    cron, timezone = config.schedule.cron, config.schedule.timezone
    is_idle = ~dg.AutomationCondition.in_progress()
    due = dg.AutomationCondition.on_cron(cron, timezone) & is_idle
    return due.with_label(f"{cron} ({timezone})")


def _broken(stream: Stream, options: LocationOptions) -> dg.AssetsDefinition:
    """An asset for a stream whose config can't be read: it shows the mistake; other streams run."""
    spec = dg.AssetSpec(
        stream.key,
        description=f"**This stream can't be run.** {stream.mistake}",
        group_name=stream.group,
        owners=list(options.owners),
        tags={"landing/source": stream.source, "landing/broken": "true"},
        kinds=KINDS,
    )

    @dg.multi_asset(name=stream.op_name(), specs=[spec])
    def land(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with message(context, options.retries):
            raise UsageError(f"{stream.mistake} (then reload the code location)")

    return land
