"""Who gets alerts: a webhook, in Slack's format or as plain JSON, and PagerDuty."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from landing.errors import LandingError, SettingsError
from landing.observe.alert import Alert, Recovered, json_body
from landing.observe.slack import slack_body
from landing.secrets import redacted, register_lasting, secrets_of

if TYPE_CHECKING:
    import requests

WEBHOOK = "LANDING_ALERT_WEBHOOK"
PAGERDUTY = "LANDING_ALERT_PAGERDUTY_KEY"
PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
_TIMEOUT = (3.0, 5.0)
_LONGEST_PAUSE = 2.0
"""Seconds before a request that was refused for its rate, or by a server's fault, is repeated."""
# PagerDuty's limits, by its documentation of the Events API v2.
_LONGEST_SUMMARY = 1_024
_LONGEST_DEDUP_KEY = 255
_SEVERITY = {"volume": "warning", "quarantine": "warning", "lost_field": "warning"}

Body: TypeAlias = Callable[[Sequence[Alert], Sequence[Recovered]], dict[str, Any]]
Sent: TypeAlias = Alert | Recovered


class Refused(LandingError):
    """It took a request for a mistake, and may take another."""


@dataclass(frozen=True)
class Request:
    about: Sequence[Sent]
    body: dict[str, Any]


class Receiver(Protocol):
    name: str
    """The variable that names it."""
    key: str
    """Its name in the bucket."""
    at_once: int
    """How many requests it gets at the same time."""

    def requests(self, due: Sequence[Sent]) -> Iterator[Request]:
        """In the order of `due`."""

    def post(self, body: dict[str, Any]) -> None:
        """From several threads. Raises Refused, and LandingError if it does not answer."""


def configured_receivers() -> list[Receiver]:
    """Those of the environment. Raises SettingsError if a variable is malformed."""
    found: list[Receiver] = []
    if url := _address(WEBHOOK):
        form = os.environ.get("LANDING_ALERT_FORMAT", "").strip() or "slack"
        if form not in BODIES:
            raise SettingsError(f"LANDING_ALERT_FORMAT is '{form}': it has to be slack or json")
        found.append(Webhook(url, BODIES[form]))
    if key := os.environ.get(PAGERDUTY, "").strip():
        found.append(PagerDuty(key, _address("LANDING_ALERT_PAGERDUTY_URL") or PAGERDUTY_URL))
    return found


def _address(name: str) -> str:
    url = os.environ.get(name, "").strip()
    if url and not url.startswith(("https://", "http://")):
        raise SettingsError(f"{name} has to begin with https:// or http://")
    return url


class Webhook:
    name, key, at_once = WEBHOOK, "webhook", 1

    def __init__(self, url: str, body: Body) -> None:
        # Anyone who has a Slack webhook's address can write to the channel.
        register_lasting(*secrets_of(WEBHOOK, url), what="the webhook's address")
        self.post = _poster(url, self.name)
        self._body = body

    def requests(self, due: Sequence[Sent]) -> Iterator[Request]:
        alerts = [one for one in due if isinstance(one, Alert)]
        recovered = [one for one in due if isinstance(one, Recovered)]
        yield Request(due, self._body(alerts, recovered))


class PagerDuty:
    name, key, at_once = PAGERDUTY, "pagerduty", 5

    def __init__(self, key: str, url: str) -> None:
        register_lasting(key, what="PagerDuty's routing key")
        self._key = key
        self.post = _poster(url, self.name)

    def requests(self, due: Sequence[Sent]) -> Iterator[Request]:
        for one in due:
            yield Request([one], {"routing_key": self._key, **pagerduty_event(one)})


def pagerduty_event(one: Sent) -> dict[str, Any]:
    """Without its routing key. An alert and its end have the same `dedup_key`."""
    if isinstance(one, Recovered):
        return {"event_action": "resolve", "dedup_key": _dedup_key(one)}
    return {
        "event_action": "trigger",
        "dedup_key": _dedup_key(one),
        "client": "dlt-landing",
        "payload": {
            "summary": f"{one.name} {one.text}"[:_LONGEST_SUMMARY],
            "source": one.name,
            "severity": _SEVERITY.get(one.kind, "error"),
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "component": one.stream or one.source,
            "group": one.source,
            "class": one.kind,
            "custom_details": {"message": one.message, "remedy": one.remedy},
        },
    }


def _dedup_key(one: Sent) -> str:
    key = "/".join(filter(None, ("landing", one.source, one.stream, one.kind)))
    return key if len(key) <= _LONGEST_DEDUP_KEY else hashlib.sha256(key.encode()).hexdigest()


def _poster(url: str, name: str) -> Callable[[dict[str, Any]], None]:
    """Posts a body. Only the status of the answer is waited for, since its body may never end.
    Raises LandingError, without the address."""
    import requests  # now, since there is little time at the end of a run

    session = requests.Session()

    def posted(body: dict[str, Any]) -> requests.Response:
        options: Any = {"timeout": _TIMEOUT, "allow_redirects": False, "stream": True}
        try:
            return session.post(url, json=body, **options)
        except (requests.RequestException, ValueError) as error:
            raise LandingError(f"{name}: no response ({type(error).__name__})") from None

    def post(body: dict[str, Any]) -> None:
        response = posted(body)
        if _is_for_later(response):
            response.close()
            time.sleep(_pause(response.headers))
            response = posted(body)
        with closing(response):
            _check(response, name)

    return post


def _is_for_later(response: requests.Response) -> bool:
    return response.status_code == 429 or response.status_code >= 500


def _check(response: requests.Response, name: str) -> None:
    if response.status_code >= 300:
        error = LandingError if _is_for_later(response) else Refused
        raise error(f"{name}: answered {response.status_code}{_why(response)}")


def _pause(headers: Mapping[str, str]) -> float:
    asked = headers.get("Retry-After", "")
    return min(float(asked), _LONGEST_PAUSE) if asked.isdecimal() else _LONGEST_PAUSE / 2


def _why(response: requests.Response) -> str:
    """Slack answers with a word, PagerDuty with JSON that names the mistake. Reads what has arrived
    of it."""
    from urllib3.exceptions import HTTPError

    try:
        text = response.raw.read1(1_000, decode_content=True).decode(errors="replace")
    except (OSError, HTTPError):
        return ""
    return f": {redacted(' '.join(text.split()))[:200]}" if text.strip() else ""


BODIES: Mapping[str, Body] = {"slack": slack_body, "json": json_body}
