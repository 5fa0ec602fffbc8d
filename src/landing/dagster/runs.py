"""Who is told of a run that Dagster has started: its log, and whoever the environment names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from landing.dagster.options import LocationOptions
from landing.dagster.outcomes import Context, is_final
from landing.dagster.reporting import RunLog
from landing.dagster.streams import Stream
from landing.errors import LandingError
from landing.events import Emit, Event, FanOut, RunAborted, RunEnded, StreamFailed
from landing.observe import json_log, observers
from landing.observe.alerts import Alerts
from landing.page.publishing import after_runs


def _if_final(alerts: Alerts, is_final: Callable[[Exception], bool]) -> Emit:
    """An alert is for what Dagster does not try again."""

    def emit(event: Event) -> None:
        if not isinstance(event, StreamFailed | RunAborted) or is_final(event.error):
            alerts(event)

    return emit


@contextmanager
def reporting(
    context: Context, stream: Stream, options: LocationOptions, log: RunLog
) -> Iterator[Emit]:
    """Streams that are late are told by the check of freshness, once for all."""

    def final(error: Exception) -> bool:
        return is_final(error, options.retries, context.retry_number)

    others = observers(options.workspace, stream.source, None, late=tuple)
    kept: list[Emit] = [_if_final(one, final) if isinstance(one, Alerts) else one for one in others]
    kept += after_runs(options.workspace)
    if (lines := json_log(stream.source)) is not None:
        kept.append(lines)
    emit = FanOut([*kept, log])
    try:
        yield emit
    except LandingError as error:
        emit(RunAborted([stream.name], error))
        raise
    finally:
        emit(RunEnded())
