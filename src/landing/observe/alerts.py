"""Alerts to a webhook: one for streams that failed, one for streams that are late."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from landing.errors import LandingError, LeaseHeld, SettingsError, printable
from landing.events import Event, RunAborted, RunEnded, StreamFailed, StreamLanded
from landing.observe.freshness import Late
from landing.observe.in_time import done_in_time
from landing.observe.problems import Problem, of_result
from landing.secrets import redacted, register_lasting, secrets_of

NAME = "LANDING_ALERT_WEBHOOK"
Body: TypeAlias = Callable[
    [Mapping[str, Exception], Sequence[Late], Sequence["Concern"]], dict[str, Any]
]
TAKES = 15.0
"""Seconds that the search for late streams may take at the end of a run."""
_TIMEOUT = (3.0, 5.0)
_LONGEST = 1_000
"""Characters of one stream's message."""


@dataclass(frozen=True)
class Concern:
    """A problem of a stream that lands nevertheless."""

    stream: str
    """As `source/stream`."""
    problem: Problem


class Webhook:
    def __init__(self, url: str, body: Body) -> None:
        import requests  # now, since there is little time at the end of a run

        self._requests = requests
        # Anyone who has a Slack webhook's address can write to the channel.
        register_lasting(*secrets_of(NAME, url), what="the webhook's address")
        self._url = url
        self._body = body

    def post(
        self,
        failed: Mapping[str, Exception],
        late: Sequence[Late],
        concerns: Sequence[Concern] = (),
    ) -> None:
        """`failed`: errors by `source/stream`. Raises LandingError if the webhook refuses."""
        body = self._body(failed, late, concerns)
        try:
            response = self._requests.post(
                self._url, json=body, timeout=_TIMEOUT, allow_redirects=False
            )
        except self._requests.RequestException as error:
            raise LandingError(f"{NAME}: no response ({type(error).__name__})") from None
        if response.status_code >= 300:
            raise LandingError(f"{NAME}: answered {response.status_code}")


def webhook() -> Webhook | None:
    """From `LANDING_ALERT_WEBHOOK` and `LANDING_ALERT_FORMAT`; None if there is no alert to send.

    Raises SettingsError if one of them is malformed.
    """
    url = os.environ.get("LANDING_ALERT_WEBHOOK", "").strip()
    form = os.environ.get("LANDING_ALERT_FORMAT", "").strip() or "slack"
    if not url:
        return None
    if not url.startswith(("https://", "http://")):
        raise SettingsError("LANDING_ALERT_WEBHOOK has to begin with https:// or http://")
    if form not in _BODIES:
        raise SettingsError(f"LANDING_ALERT_FORMAT is '{form}': it has to be slack or json")
    return Webhook(url, _BODIES[form])


class Alerts:
    """Sends an alert for streams that failed or have a problem, and one for late streams, at the
    end of a run. `find_late` has to get the run's end first."""

    def __init__(
        self,
        source: str,
        webhook: Webhook,
        late: Callable[[], Iterable[Late]],
        is_final: Callable[[Exception], bool],
    ) -> None:
        self._is_final = is_final
        self._source = source
        self._webhook = webhook
        self._search = late
        self._late: list[Late] = []
        self._failed: dict[str, Exception] = {}
        self._concerns: list[Concern] = []

    def find_late(self, event: Event) -> None:
        if isinstance(event, RunEnded):
            done_in_time(lambda: self._late.extend(self._search()), "late streams", TAKES)

    def __call__(self, event: Event) -> None:
        match event:
            case StreamFailed(stream=stream, error=error) if self._is_final(error):
                if not isinstance(error, LeaseHeld):  # the other run sends its own alerts
                    self._failed[f"{self._source}/{stream}"] = error
            case StreamLanded(stream=stream, result=result):
                name = f"{self._source}/{stream}"
                self._concerns += [Concern(name, problem) for problem in of_result(result)]
            case RunAborted(error=error) if self._is_final(error):
                self._failed[self._source] = error
            case RunEnded():
                self._send()

    def _send(self) -> None:
        if self._failed or self._concerns:
            self._webhook.post(self._failed, [], self._concerns)
        late = [one for one in self._late if f"{one.source}/{one.stream}" not in self._failed]
        if late:
            self._webhook.post({}, late)


def _slack(
    failed: Mapping[str, Exception], late: Sequence[Late], concerns: Sequence[Concern]
) -> dict[str, Any]:
    lines = [f":red_circle: *{name}* failed: {_cut(str(error))}" for name, error in failed.items()]
    lines += [f":hourglass: {stream}" for stream in late]
    lines += [f":warning: *{one.stream}* {_problem(one)}" for one in concerns]
    escaped = (
        "\n".join(map(printable, lines))
        .replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
    )
    return {"text": escaped}


def _json(
    failed: Mapping[str, Exception], late: Sequence[Late], concerns: Sequence[Concern]
) -> dict[str, Any]:
    return {
        "failed": [
            {"stream": name, "error": type(error).__name__, "message": _cut(str(error))}
            for name, error in failed.items()
        ],
        "late": [
            {
                "stream": f"{stream.source}/{stream.stream}",
                "due": stream.due.isoformat(),
                "last": None if stream.last is None else stream.last.isoformat(),
            }
            for stream in late
        ],
        "warnings": [
            {
                "stream": one.stream,
                "kind": one.problem.kind,
                "message": _cut(one.problem.message),
                "remedy": _cut(one.problem.remedy),
            }
            for one in concerns
        ],
    }


def _problem(concern: Concern) -> str:
    problem = concern.problem
    return f"{problem.kind}: {_cut(problem.message)} ({_cut(problem.remedy)})"


def _cut(text: str) -> str:
    """In one line: it can't look like another stream's alert."""
    return printable(" ".join(redacted(text).splitlines()))[:_LONGEST]


_BODIES: Mapping[str, Body] = {"slack": _slack, "json": _json}
