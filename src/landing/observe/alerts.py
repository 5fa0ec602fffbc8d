"""The alerts of a run, and those of `landing fresh`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache, cached_property

from landing.catalog.files import configured_streams, read_config, selected_configs
from landing.catalog.settings import bucket_settings
from landing.catalog.stream_config import StreamConfig
from landing.catalog.workspace import Workspace
from landing.errors import BucketError, CatalogError, LeaseHeld, UsageError
from landing.events import Event, RunAborted, RunEnded, RunPlanned, StreamFailed, StreamLanded
from landing.extraction.expected_kinds import not_adapted
from landing.observe.ahead import AheadStream
from landing.observe.alert import Alert, cut, failed, late, problem
from landing.observe.alert_dispatch import Dispatch, End
from landing.observe.alert_rules import Rules, rules
from landing.observe.freshness import Late
from landing.observe.in_quarantine import InQuarantine
from landing.observe.in_time import done_in_time
from landing.observe.problems import of_ahead, of_volume, of_waiting
from landing.observe.receivers import Receiver, configured_receivers
from landing.operations.quarantined import Waiting, waiting_in_quarantine
from landing.results import ENOUGH, StreamResult
from landing.zone.alert_log import AlertLog
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths

TAKES = 15.0
"""Seconds that the search for late streams may take at the end of a run."""
CURSOR = "cursor"
LOG_TAKES = 3.0
"""Seconds that the end of a run waits to learn which alerts were sent before, and to write which
were sent now."""
CHECK_SENT_WITHIN = 60.0
"""Seconds that `landing fresh` waits for the receivers."""


class Alerts:
    """Sends alerts of the streams that failed or have a problem, and of late ones, at the end of a
    run, and which of them are over. `prepare` has to get the run's end first.

    `late` is None if somebody else looks for late streams."""

    def __init__(
        self,
        workspace: Workspace,
        source: str,
        to: Sequence[Receiver],
        general: Rules,
        late: Callable[[], Iterable[Late]] | None,
        is_final: Callable[[Exception], bool],
        in_quarantine: InQuarantine,
    ) -> None:
        self._workspace = workspace
        self._source = source
        self._receivers = to
        self._general = general
        self._search = late
        self._is_final = is_final
        self._in_quarantine = in_quarantine
        self._late: list[Late] | None = None
        self._log: AlertLog | None = None
        self._alerts: list[Alert] = []
        self._landed: set[str] = set()
        self._fine: set[tuple[str, str]] = set()
        self._is_planned = False
        self._rules = cache(self._rules_of)

    def prepare(self, event: Event) -> None:
        if isinstance(event, RunEnded):
            try:
                done_in_time(self._read_log, "the alerts that were sent before", LOG_TAKES)
            finally:
                if self._search is not None:
                    done_in_time(self._find_late, "late streams", TAKES)

    def _read_log(self) -> None:
        self._log = AlertLog(Bucket(bucket_settings(self._workspace)), self._source)

    def _find_late(self) -> None:
        self._late = [] if self._search is None else list(self._search())

    def __call__(self, event: Event) -> None:
        match event:
            case RunPlanned():
                self._is_planned = True
            case StreamFailed(stream=stream, error=error) if self._is_final(error):
                if not isinstance(error, LeaseHeld):  # the other run sends its own alerts
                    self._alerts.append(failed(self._source, stream, error))
            case StreamLanded(result=result):
                self._has_landed(result)
            case RunAborted(streams=streams, error=error) if self._is_final(error):
                self._has_aborted(streams, error)
            case RunEnded():
                self._send()

    def _has_aborted(self, streams: Sequence[str], error: Exception) -> None:
        known = sorted(set(streams).intersection(configured_streams(self._workspace, self._source)))
        is_mistyped = type(error) is UsageError or (streams and not known)
        if not is_mistyped:
            self._alerts.append(failed(self._source, ",".join(known), error, is_of_run=True))

    def _has_landed(self, result: StreamResult) -> None:
        stream = result.stream
        config = self._config(stream)
        found = [
            *_of_ahead(result),
            *_of_volume(result),
            *_of_lost_fields(result, config),
        ]
        known = {"failed", "late", "ahead", "volume"}
        if result.read >= ENOUGH:
            known.add("lost_field")
        rules = self._rules(stream)
        if not rules.watch_quarantine:
            known.add("quarantine")
        elif (waiting := self._in_quarantine(stream)) is not None:
            known.add("quarantine")
            found += _of_quarantine(self._source, stream, waiting, rules)
        self._alerts += found
        self._landed.add(stream)
        self._fine |= {(stream, kind) for kind in known - {one.kind for one in found}}

    def _send(self) -> None:
        has_failed = {one.stream for one in self._alerts if one.kind == "failed"}
        stale = [late(one) for one in self._late or () if one.stream not in has_failed]
        logs = {} if self._log is None else {self._source: self._log}
        dispatch = Dispatch(
            self._receivers, logs, lambda source, stream: self._rules(stream), self._end
        )
        dispatch.send([*self._alerts, *stale])

    def _end(self, source: str, stream: str, kind: str) -> End | None:
        found = {one.stream for one in self._alerts}
        if self._is_planned and stream not in found and _is_dropped(stream, self._selected):
            return "unselected"
        return "fine" if self._is_over(stream, kind) else None

    @cached_property
    def _selected(self) -> set[str]:
        return _selected_names(self._workspace, self._source)

    def _is_over(self, stream: str, kind: str) -> bool:
        if kind == "late" and self._late is not None:
            return stream not in {one.stream for one in self._late}
        if kind == "failed" and (not stream or "," in stream):
            return self._is_planned and set(filter(None, stream.split(","))) <= self._landed
        return (stream, kind) in self._fine

    def _rules_of(self, stream: str) -> Rules:
        config = self._config(stream)
        return self._general if config is None else self._general.of(config.alerts)

    def _config(self, stream: str) -> StreamConfig | None:
        with suppress(CatalogError):
            return read_config(self._workspace, self._source, stream)
        return None


def _selected_names(workspace: Workspace, source: str) -> set[str]:
    return {stream for stream, _ in selected_configs(workspace, source)}


def _is_dropped(stream: str, selected: Collection[str]) -> bool:
    """Whether nothing runs the stream any more; not of an alert that is of a whole run."""
    return bool(stream) and "," not in stream and stream not in selected


def alert_of_stale(
    workspace: Workspace,
    bucket: Bucket,
    checked: Collection[tuple[str, str]],
    late_ones: Sequence[Late],
    ahead: Sequence[AheadStream],
) -> None:
    """Alert of late streams, of cursors that are ahead and of what has waited too long in
    quarantine, and of those that no longer are, among the streams that were `checked`, as pairs of
    source and stream.

    Raises LandingError if a receiver refuses."""
    if not (to := configured_receivers()):
        return
    general = rules()

    @cache
    def of(source: str, stream: str) -> Rules:
        with suppress(CatalogError):
            return general.of(read_config(workspace, source, stream).alerts)
        return general

    known = {(*stream, kind) for stream in checked for kind in ("late", "ahead")}
    found = {(one.source, one.stream, "late") for one in late_ones}
    found |= {(one.source, one.stream, "ahead") for one in ahead}
    alerts = [late(one) for one in late_ones]
    for one in ahead:
        if one.ahead.is_cursor:
            alerts.append(problem(one.source, one.stream, "ahead", one.problem, (CURSOR,)))
    for source, stream in checked:
        if of(source, stream).watch_quarantine:
            known.add((source, stream, "quarantine"))
            waiting = waiting_in_quarantine(bucket, StreamPaths(source, stream))
            alerts += _of_quarantine(source, stream, waiting, of(source, stream))
    found |= {(one.source, one.stream, one.kind) for one in alerts}
    logs = {}
    for source in {source for source, _ in checked}:
        with suppress(BucketError):  # what was found is sent nevertheless
            logs[source] = AlertLog(bucket, source)
    selected = {source: _selected_names(workspace, source) for source in logs}

    def end(source: str, stream: str, kind: str) -> End | None:
        if _is_dropped(stream, selected[source]):
            return "unselected"
        return "fine" if (source, stream, kind) in known - found else None

    Dispatch(to, logs, of, end).send(alerts, CHECK_SENT_WITHIN)


def _of_ahead(result: StreamResult) -> Iterator[Alert]:
    if (ahead := result.ahead) is not None:
        found = of_ahead(result.source, result.stream, ahead)
        about = (CURSOR if ahead.is_cursor else str(ahead.value),)
        yield problem(result.source, result.stream, "ahead", found, about, repeats=ahead.is_cursor)


def _of_volume(result: StreamResult) -> Iterator[Alert]:
    for found in of_volume(StreamPaths(result.source, result.stream), result.unexpected):
        yield problem(result.source, result.stream, "volume", found)


def _of_lost_fields(result: StreamResult, config: StreamConfig | None) -> Iterator[Alert]:
    """Once, since an API may leave out a field that no record has a value for."""
    if config is None or result.read < ENOUGH:
        return
    if lost := not_adapted(config, result.drift).lost:
        named = f"{result.source} {result.stream}"
        yield Alert(
            result.source,
            result.stream,
            "lost_field",
            cut(f"no record had {', '.join(lost)}, which the config selects: the column is null"),
            f"`landing discover {named}` shows what the source has; see `landing status`",
            about=tuple(lost),
            repeats=False,
        )


def _of_quarantine(source: str, stream: str, waiting: Waiting, rules: Rules) -> Iterator[Alert]:
    age = None if waiting.oldest is None else datetime.now(UTC) - waiting.oldest
    too_many = rules.quarantine_rows is not None and waiting.rows >= rules.quarantine_rows
    too_old = rules.quarantine_age is not None and age is not None and age >= rules.quarantine_age
    if waiting.oldest is not None and (too_many or too_old):
        found = of_waiting(StreamPaths(source, stream), waiting.rows, waiting.oldest)
        yield problem(source, stream, "quarantine", found)
