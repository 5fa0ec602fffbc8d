"""A message to a webhook if streams failed, and one if others are behind their schedule."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from landing.errors import LandingError, LeaseHeld, SettingsError
from landing.events import Event, RunAborted, RunEnded, StreamFailed
from landing.observe.freshness import Late
from landing.secrets import redacted, register_lasting

_NAME = "LANDING_ALERT_WEBHOOK"
Body: TypeAlias = Callable[[Mapping[str, Exception], Sequence[Late]], dict[str, Any]]
TAKES = 15.0
"""Seconds at most, with looking for streams that are late."""
_TIMEOUT = (3.0, 5.0)
_LONGEST = 1_000
"""Characters of one stream's message."""


class Webhook:
    def __init__(self, url: str, body: Body) -> None:
        # Whoever has a Slack webhook's address can write to the channel.
        register_lasting(url, what="the webhook's address")
        self._url = url
        self._body = body

    def post(self, failed: Mapping[str, Exception], late: Sequence[Late]) -> None:
        """`failed` by `source/stream`. Raises LandingError if the webhook does not take it."""
        import requests

        body = self._body(failed, late)
        try:
            answer = requests.post(self._url, json=body, timeout=_TIMEOUT, allow_redirects=False)
        except requests.RequestException as error:
            raise LandingError(f"{_NAME}: no answer ({type(error).__name__})") from None
        if answer.status_code >= 300:
            raise LandingError(f"{_NAME}: answered {answer.status_code}")


def webhook() -> Webhook | None:
    """From `LANDING_ALERT_WEBHOOK` and `LANDING_ALERT_FORMAT`; None if there is no alert to send.

    Raises SettingsError if one of them is malformed.
    """
    url = os.environ.get("LANDING_ALERT_WEBHOOK", "").strip()
    form = os.environ.get("LANDING_ALERT_FORMAT", "").strip() or "slack"
    if not url:
        return None
    if not url.startswith(("https://", "http://")):
        raise SettingsError("LANDING_ALERT_WEBHOOK has to be an address with https:// or http://")
    if form not in _BODIES:
        raise SettingsError(f"LANDING_ALERT_FORMAT is '{form}': it has to be slack or json")
    return Webhook(url, _BODIES[form])


class Alerts:
    """Of a run's failed streams, and of streams that are late, sent when it has ended."""

    def __init__(self, source: str, webhook: Webhook, late: Callable[[], Iterable[Late]]) -> None:
        self._source = source
        self._webhook = webhook
        self._late = late
        self._failed: dict[str, Exception] = {}
        self._error: Exception | None = None

    def __call__(self, event: Event) -> None:
        match event:
            case StreamFailed(stream=stream, error=error):
                if not isinstance(error, LeaseHeld):  # the run under way has alerts of its own
                    self._failed[f"{self._source}/{stream}"] = error
            case RunAborted(error=error):
                self._failed[self._source] = error
            case RunEnded():
                self._send_in_time()

    def _send_in_time(self) -> None:
        sending = threading.Thread(target=self._send, name="landing-alert", daemon=True)
        sending.start()
        sending.join(TAKES)
        if sending.is_alive():
            raise LandingError(f"{_NAME}: gave up after {TAKES:.0f} s")
        if self._error is not None:
            raise self._error

    def _send(self) -> None:
        """What failed goes first, whether or not the bucket then says what is late."""
        try:
            if self._failed:
                self._webhook.post(self._failed, [])
            late = [one for one in self._late() if f"{one.source}/{one.stream}" not in self._failed]
            if late:
                self._webhook.post({}, late)
        except Exception as error:
            self._error = error


def _slack(failed: Mapping[str, Exception], late: Sequence[Late]) -> dict[str, Any]:
    lines = [f":red_circle: *{name}* failed: {_text(error)}" for name, error in failed.items()]
    lines += [f":hourglass: {stream}" for stream in late]
    escaped = "\n".join(lines).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": escaped}


def _json(failed: Mapping[str, Exception], late: Sequence[Late]) -> dict[str, Any]:
    return {
        "failed": [
            {"stream": name, "error": type(error).__name__, "message": _text(error)}
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
    }


def _text(error: Exception) -> str:
    return redacted(str(error))[:_LONGEST]


_BODIES: Mapping[str, Body] = {"slack": _slack, "json": _json}
