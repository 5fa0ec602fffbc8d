"""The consumers of a run that Dagster started: its log, and those the environment sets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from landing.dagster.options import LocationOptions
from landing.dagster.outcomes import Context, is_final
from landing.dagster.reporting import RunLog
from landing.dagster.streams import Stream
from landing.errors import LandingError
from landing.events import Emit, FanOut, RunAborted, RunEnded
from landing.observe import json_log, observers
from landing.observe.parent_run import ParentRun
from landing.page.publishing import after_runs


def _parent(context: Context) -> ParentRun:
    run = context.run
    return ParentRun(run.job_name, run.run_id)


@contextmanager
def reporting(
    context: Context, stream: Stream, options: LocationOptions, log: RunLog
) -> Iterator[Emit]:
    """Emits to all consumers. Alerts of late streams are left to the freshness check."""

    def final(error: Exception) -> bool:
        return is_final(error, options.retries, context.retry_number)

    consumers = observers(
        options.workspace, stream.source, None, late=None, is_final=final, parent=_parent(context)
    )
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
