"""Sends the alerts that are due to each receiver, and remembers in the bucket which they took.

An alert may be sent twice, if the bucket can't be written or two runs of a source end at the same
time, and is never lost: what a receiver did not take, the next run sends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from landing.errors import LandingError
from landing.observe.alert import Alert, Recovered
from landing.observe.alert_rules import RECOVERED, Rules
from landing.observe.in_time import Work
from landing.observe.receivers import Receiver, Sent
from landing.zone.alert_log import AlertLog, Change, OpenAlert


@dataclass
class _Delivery:
    receiver: Receiver
    alerts: Sequence[Alert]
    recovered: Sequence[Recovered]
    taken: list[Sent] = field(default_factory=list)

    @property
    def is_any(self) -> bool:
        return bool(self.alerts or self.recovered)

    def make(self) -> None:
        for one in self.receiver.send(self.alerts, self.recovered):
            self.taken.append(one)


class Dispatch:
    """`logs` has those of the sources that could be read. Without its log, an alert that repeats is
    sent, and nothing is known to be over. `is_over` says whether an alert that was sent has no
    cause any more, by source, stream and kind."""

    def __init__(
        self,
        receivers: Sequence[Receiver],
        logs: Mapping[str, AlertLog],
        rules: Callable[[str, str], Rules],
        is_over: Callable[[str, str, str], bool],
    ) -> None:
        self._receivers = receivers
        self._logs = logs
        self._rules = rules
        self._is_over = is_over
        self._now = datetime.now(UTC)

    def send(self, alerts: Sequence[Alert]) -> None:
        """To all receivers at the same time. Raises LandingError if one refuses."""
        over = list(self._over())
        silent = [one for one in over if RECOVERED not in self._rules(one.source, one.stream).on]
        alerts = [one for one in alerts if one.kind in self._rules(one.source, one.stream).on]
        deliveries = []
        for receiver in self._receivers:
            due = [one for one in alerts if self._is_due(one, receiver)]
            ended = [one for one in over if self._was_sent(one, receiver)]
            loud = [one for one in ended if one not in silent]
            deliveries.append(_Delivery(receiver, due, loud))
            deliveries[-1].taken += [one for one in ended if one in silent]
        under_way = [
            Work(one.make, one.receiver.name) for one in deliveries if one.alerts or one.recovered
        ]
        errors = [*_errors(under_way), *self._record(deliveries)]
        if errors:
            raise LandingError("; ".join(errors))

    def _is_due(self, alert: Alert, receiver: Receiver) -> bool:
        if alert.source not in self._logs:
            return alert.repeats
        before = self._open(alert.source, alert.stream, alert.kind)
        if (
            before is None
            or receiver.key not in before.sent
            or set(alert.about) - set(before.about)
        ):
            return True
        repeat = self._rules(alert.source, alert.stream).repeat
        return alert.repeats and self._now - before.sent[receiver.key] >= repeat

    def _over(self) -> Iterator[Recovered]:
        for source, log in self._logs.items():
            for stream, kinds in log.open.items():
                for kind, before in kinds.items():
                    if self._is_over(source, stream, kind):
                        yield Recovered(source, stream, kind, before.since)

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
                for one in delivery.taken
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


def _errors(under_way: Sequence[Work]) -> Iterator[str]:
    for work in under_way:
        try:
            work.wait()
        except LandingError as error:
            yield str(error)
