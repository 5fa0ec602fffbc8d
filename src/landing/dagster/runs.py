"""The consumers of a run that Dagster started: its log, and those the environment sets."""

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
    """Alerts only for failures that Dagster does not retry."""

    def emit(event: Event) -> None:
        if not isinstance(event, StreamFailed | RunAborted) or is_final(event.error):
            alerts(event)

    return emit


@contextmanager
def reporting(
    context: Context, stream: Stream, options: LocationOptions, log: RunLog
) -> Iterator[Emit]:
    """Emits to all consumers. Alerts of late streams are left to the freshness check."""

    def final(error: Exception) -> bool:
        return is_final(error, options.retries, context.retry_number)

    others = observers(options.workspace, stream.source, None, late=tuple)
    consumers: list[Emit] = [
        _if_final(one, final) if isinstance(one, Alerts) else one for one in others
    ]
    consumers += after_runs(options.workspace)
    if (lines := json_log(stream.source)) is not None:
        consumers.append(lines)
    emit = FanOut([*consumers, log])
    try:
        yield emit
    except LandingError as error:
        emit(RunAborted([stream.name], error))
        raise
    finally:
        emit(RunEnded())
