"""The past of a stream as a partitioned asset. Each partition is a window of a backfill."""

# Dagster checks the annotation of `context` against its classes: it can't be a string.

from datetime import UTC, date

import dagster as dg

from landing.catalog.lookback import moment_of
from landing.catalog.stream_config import StreamConfig
from landing.dagster.engine import import_engine
from landing.dagster.options import LocationOptions, Span
from landing.dagster.outcomes import message
from landing.dagster.specs import backfill_spec
from landing.dagster.streams import Stream
from landing.errors import UsageError

_TIMES = ("date-time", "date")


def backfill_of(stream: Stream, options: LocationOptions) -> dg.AssetsDefinition | None:
    """None for a stream whose cursor is not a time."""
    config = stream.config
    if config is None or not _is_by_time(config):
        return None

    partitions = _partitions(options.backfill_by, _first_day(config, options))

    @dg.multi_asset(
        name=stream.op_name("backfill"),
        specs=[backfill_spec(stream, options, partitions)],
        pool=stream.source,
    )
    def backfill(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with message(context, options.retries):
            import_engine(options.workspace)
            from landing.dagster.windows import land_window

            window = context.partition_time_window
            return land_window(context, stream, options, window.start, window.end)

    return backfill


def _is_by_time(config: StreamConfig) -> bool:
    if not config.is_incremental or config.cursor_field is None:
        return False
    field = config.fields[config.cursor_field]
    return field.kinds == {"string"} and field.format in _TIMES


def _first_day(config: StreamConfig, options: LocationOptions) -> date:
    try:
        first = moment_of(config.initial_value)
    except (ValueError, OverflowError):
        first = None
    return options.backfill_from if first is None else first.astimezone(UTC).date()


def _partitions(by: Span, first: date) -> dg.TimeWindowPartitionsDefinition:
    """Past days, ISO weeks or months in UTC, the same windows as those of `landing backfill`."""
    match by:
        case "day":
            return dg.DailyPartitionsDefinition(first.isoformat())
        case "week":
            monday = date.fromordinal(first.toordinal() - first.weekday())
            return dg.WeeklyPartitionsDefinition(monday.isoformat(), day_offset=1)
        case "month":
            return dg.MonthlyPartitionsDefinition(first.replace(day=1).isoformat())
    raise UsageError(f"backfill_by is '{by}': it has to be day, week or month")
