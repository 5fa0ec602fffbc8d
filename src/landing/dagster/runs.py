"""Who is told of a run that Dagster has started: its log, and whoever the environment names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from landing.dagster.options import LocationOptions
from landing.dagster.outcomes import Context, is_final
from landing.dagster.reporting import RunLog
from landing.dagster.streams import Stream
from landing.errors import LandingError
from landing.events import Reporter, Reporters
from landing.observe import json_log, observers
from landing.observe.alerts import Alerts
from landing.page.publishing import after_runs


class _IfFinal(Reporter):
    """An alert is for what Dagster does not try again."""

    def __init__(self, alerts: Alerts, is_final: Callable[[Exception], bool]) -> None:
        self._alerts = alerts
        self._is_final = is_final

    def failed(self, stream: str, error: Exception) -> None:
        if self._is_final(error):
            self._alerts.failed(stream, error)

    def aborted(self, streams: Sequence[str], error: Exception) -> None:
        if self._is_final(error):
            self._alerts.aborted(streams, error)

    def close(self) -> None:
        self._alerts.close()


@contextmanager
def reporting(
    context: Context, stream: Stream, options: LocationOptions, log: RunLog
) -> Iterator[Reporter]:
    """Streams that are late are told by the check of freshness, once for all."""

    def final(error: Exception) -> bool:
        return is_final(error, options.retries, context.retry_number)

    others = observers(options.workspace, stream.source, None, late=tuple)
    kept: list[Reporter] = [
        _IfFinal(one, final) if isinstance(one, Alerts) else one for one in others
    ]
    kept += after_runs(options.workspace)
    if (lines := json_log(stream.source)) is not None:
        kept.append(lines)
    reporter = Reporters([*kept, log])
    try:
        yield reporter
    except LandingError as error:
        reporter.aborted([stream.name], error)
        raise
    finally:
        reporter.close()
