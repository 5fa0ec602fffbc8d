"""Sends the alerts that are due to each receiver, and remembers in the bucket which they took.

An alert may be sent twice, if the bucket can't be written, an answer comes too late or two runs of
a source end at the same time, and is never lost: what a receiver did not take, the next run sends,
and before all else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from landing.errors import LandingError
from landing.observe import in_time
from landing.observe.alert import Alert, Recovered
from landing.observe.alert_rules import RECOVERED, Rules
from landing.observe.in_time import Work
from landing.observe.receivers import Receiver, Refused, Request, Sent
from landing.zone.alert_log import AlertLog, Change, OpenAlert

End: TypeAlias = Literal["fine", "unselected"]
_SKEW = timedelta(hours=1)
"""By which the clock of another machine may be ahead."""
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass
class _Delivery:
    """What one receiver gets. `taken` grows while it is under way."""

    receiver: Receiver
    requests: deque[Request]
    taken: list[Sent]
    refusals: list[str] = field(default_factory=list)

    def begin(self) -> list[Work]:
        count = min(self.receiver.at_once, len(self.requests))
        return [Work(self._make, self.receiver.name) for _ in range(count)]

    def _make(self) -> None:
        """A receiver that refuses one alert may take the next. One that does not answer is not
        tried again."""
        while True:
            try:
                request = self.requests.popleft()
            except IndexError:
                return
            try:
                self.receiver.post(request.body)
            except Refused as error:
                self.refusals.append(str(error))
            else:
                self.taken += request.about


class Dispatch:
    """`logs` has those of the sources that could be read. Without its log, an alert that repeats is
    sent, and nothing is known to be over. `end` says why an alert that was sent is over, by source,
    stream and kind; None if it is not."""

    def __init__(
        self,
        receivers: Sequence[Receiver],
        logs: Mapping[str, AlertLog],
        rules: Callable[[str, str], Rules],
        end: Callable[[str, str, str], End | None],
    ) -> None:
        self._receivers = receivers
        self._logs = logs
        self._rules = rules
        self._end = end
        self._now = datetime.now(UTC)

    def send(self, alerts: Sequence[Alert], within: float | None = None) -> None:
        """To all receivers at the same time, for so many seconds at most. Then writes what they
        took to the logs. Raises LandingError if one refuses or does not answer."""
        within = in_time.PROBLEMS_SENT_WITHIN if within is None else within
        deliveries = list(self._deliveries(alerts))
        under_way = [work for delivery in deliveries for work in delivery.begin()]
        errors = [*_errors(under_way, within)]
        for delivery in deliveries:
            delivery.requests.clear()  # what is taken from now on is not remembered
        errors += [refusal for delivery in deliveries for refusal in delivery.refusals]
        errors += self._record(deliveries)
        if errors:
            raise LandingError("; ".join(dict.fromkeys(errors)))

    def _deliveries(self, alerts: Sequence[Alert]) -> Iterator[_Delivery]:
        over = list(self._over())
        silent = [one for one in over if RECOVERED not in self._rules(one.source, one.stream).on]
        alerts = [one for one in alerts if one.kind in self._rules(one.source, one.stream).on]
        for receiver in self._receivers:
            due: list[Sent] = [one for one in alerts if self._is_due(one, receiver)]
            ended = [one for one in over if self._was_sent(one, receiver)]
            due += [one for one in ended if one not in silent]
            due.sort(key=lambda one: self._last(one, receiver) or _NEVER)
            requests = deque(receiver.requests(due) if due else ())
            yield _Delivery(receiver, requests, [one for one in ended if one in silent])

    def _is_due(self, alert: Alert, receiver: Receiver) -> bool:
        if alert.source not in self._logs:
            return alert.repeats
        before = self._open(alert.source, alert.stream, alert.kind)
        last = self._last(alert, receiver)
        if before is None or last is None or set(alert.about) - set(before.about):
            return True
        repeat = self._rules(alert.source, alert.stream).repeat
        return alert.repeats and self._now - last >= repeat

    def _last(self, one: Sent, receiver: Receiver) -> datetime | None:
        """When the receiver last took an alert of this. None if never, or if the clock of that run
        was wrong."""
        if one.source not in self._logs:
            return None
        before = self._open(one.source, one.stream, one.kind)
        last = None if before is None else before.sent.get(receiver.key)
        return None if last is None or last - self._now > _SKEW else last

    def _over(self) -> Iterator[Recovered]:
        for source, log in self._logs.items():
            for stream, kinds in log.open.items():
                for kind, before in kinds.items():
                    if (end := self._end(source, stream, kind)) is not None:
                        is_selected = end != "unselected"
                        yield Recovered(source, stream, kind, before.since, is_selected)

    def _was_sent(self, one: Recovered, receiver: Receiver) -> bool:
        before = self._open(one.source, one.stream, one.kind)
        return before is not None and receiver.key in before.sent

    def _open(self, source: str, stream: str, kind: str) -> OpenAlert | None:
        return self._logs[source].open.get(stream, {}).get(kind)

    def _record(self, deliveries: Sequence[_Delivery]) -> Iterator[str]:
        for source, log in self._logs.items():
            changes = [
                self._change(one, delivery.receiver)
                for delivery in deliveries
                for one in tuple(delivery.taken)
                if one.source == source
            ]
            try:
                log.record(changes)
            except LandingError as error:
                yield f"the alerts that were sent are not remembered: {error}"

    def _change(self, one: Sent, receiver: Receiver) -> Change:
        if isinstance(one, Recovered):
            return Change(one.stream, one.kind, receiver.key, None)
        return Change(one.stream, one.kind, receiver.key, self._now, one.about)


def _errors(under_way: Iterable[Work], within: float) -> Iterator[str]:
    for work in under_way:
        try:
            work.wait(within)
        except Exception as error:  # what the others took is recorded nevertheless
            yield str(error) or type(error).__name__
