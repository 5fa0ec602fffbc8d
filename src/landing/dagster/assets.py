"""The asset of a stream. Materializing it runs the stream."""

# Dagster checks the annotation of `context` against its classes: it can't be a string.

from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa

from landing.catalog.settings import bucket_settings
from landing.catalog.stream_config import StreamConfig
from landing.dagster import metadata, results
from landing.dagster.engine import import_engine
from landing.dagster.options import LocationOptions
from landing.dagster.outcomes import message
from landing.dagster.reporting import RunLog
from landing.dagster.runs import reporting
from landing.dagster.specs import live_spec
from landing.dagster.streams import Stream
from landing.errors import BucketError, UsageError
from landing.events import RunWarning

if TYPE_CHECKING:
    from landing.results import StreamResult
    from landing.zone.bucket import Bucket


def asset_of(stream: Stream, options: LocationOptions) -> dg.AssetsDefinition:
    if stream.config is None:
        return _broken(stream, options)
    config, spec = stream.config, live_spec(stream, options)

    @dg.multi_asset(
        name=stream.op_name(),
        specs=[spec],
        check_specs=results.specs(spec.key, config),
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
    return _materialized(context.asset_key, source.config(stream.name), done.landed[0], log, bucket)


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
    return dg.MaterializeResult(
        asset_key=key,
        metadata=facts,
        check_results=list(checks),
        data_version=_data_version(result, bucket),
    )


def _data_version(result: "StreamResult", bucket: "Bucket") -> dg.DataVersion | None:
    """The newest load's id: it stays as it is if nothing is new, and assets that read the stream
    then don't show as outdated. None, which lets Dagster make one, if it can't be read."""
    from landing.zone.layout import StreamPaths
    from landing.zone.load_log import last_load
    from landing.zone.state import stored_load_id

    if result.load_ids:
        return dg.DataVersion(result.load_ids[-1])
    try:
        paths = StreamPaths(result.source, result.stream)
        last = last_load(bucket, paths, stored_load_id(bucket, paths))
    except BucketError:
        return None
    return dg.DataVersion(last.load_id if last else "nothing has landed")


def _broken(stream: Stream, options: LocationOptions) -> dg.AssetsDefinition:
    """An asset for a stream whose config can't be read: it shows the mistake; other streams run."""
    spec = live_spec(stream, options)

    @dg.multi_asset(name=stream.op_name(), specs=[spec])
    def land(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with message(context, options.retries):
            raise UsageError(f"{stream.mistake} (then reload the code location)")

    return land
