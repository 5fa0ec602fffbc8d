"""What an alert says, and the JSON document in which a plain webhook gets alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, TypeAlias

import msgspec

from landing.catalog.stream_config import AlertKind
from landing.errors import class_name, printable
from landing.observe.freshness import Late
from landing.observe.problems import Problem
from landing.secrets import redacted

LONGEST = 1_000
"""Characters of one message."""
_AGAIN = {
    "failed": "lands again",
    "late": "is on time again",
    "ahead": "is no longer ahead",
    "volume": "has the expected number of rows again",
    "quarantine": "has its quarantine below the limit again",
    "lost_field": "has all its fields again",
}


@dataclass(frozen=True)
class Alert:
    source: str
    stream: str
    """Empty for the whole source. Streams that could not begin together are separated by commas."""
    kind: AlertKind
    message: str
    remedy: str = ""
    error: str = ""
    """Class name of the exception, if it failed."""
    late: Late | None = None
    about: tuple[str, ...] = ()
    """What of the stream it is about: it is sent at once if there is more than before."""
    repeats: bool = True
    is_of_run: bool = False
    """Whether no stream could begin."""

    @property
    def name(self) -> str:
        return self.source if self.is_of_run else f"{self.source}/{self.stream}"

    @property
    def text(self) -> str:
        """Without its stream, in one line: it can't look like another stream's alert."""
        match self.kind:
            case "failed":
                return f"failed: {self.message}"
            case "late":
                return self.message
        return f"{self.kind}: {self.message} ({self.remedy})"


@dataclass(frozen=True)
class Recovered:
    """The cause of an alert that was sent is gone, or its stream is no longer selected."""

    source: str
    stream: str
    kind: str
    since: datetime
    is_selected: bool = True

    @property
    def name(self) -> str:
        is_of_run = not self.stream or "," in self.stream
        return self.source if is_of_run else f"{self.source}/{self.stream}"

    @property
    def text(self) -> str:
        again = _AGAIN.get(self.kind, f"is no longer {self.kind}")
        if not self.is_selected:
            again = "is no longer selected"
        return f"{again}, after an alert at {self.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def failed(source: str, stream: str, error: Exception, *, is_of_run: bool = False) -> Alert:
    remedy = cut(getattr(error, "remedy", None) or "")
    name = class_name(error)
    return Alert(source, stream, "failed", cut(str(error)), remedy, error=name, is_of_run=is_of_run)


def late(one: Late) -> Alert:
    return Alert(one.source, one.stream, "late", cut(one.message), cut(one.remedy), late=one)


def problem(
    source: str,
    stream: str,
    kind: AlertKind,
    found: Problem,
    about: tuple[str, ...] = (),
    *,
    repeats: bool = True,
) -> Alert:
    message, remedy = cut(found.message), cut(found.remedy)
    return Alert(source, stream, kind, message, remedy, about=about, repeats=repeats)


def cut(text: str) -> str:
    return printable(" ".join(redacted(text).splitlines()))[:LONGEST]


Moment: TypeAlias = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class FailedStream(msgspec.Struct, frozen=True):
    stream: str
    """As `source/stream`, or the source if none of its streams could begin."""
    error: str
    """Class name of the exception."""
    message: str


class LateStream(msgspec.Struct, frozen=True):
    stream: str
    due: Moment
    last: Moment | None
    """When a run last succeeded."""


class Warned(msgspec.Struct, frozen=True):
    stream: str
    kind: AlertKind
    message: str
    remedy: str


class RecoveredStream(msgspec.Struct, frozen=True):
    stream: str
    kind: str
    since: Moment
    """When the alert was first sent."""


class AlertMessage(msgspec.Struct, frozen=True):
    """What `LANDING_ALERT_WEBHOOK` gets with `LANDING_ALERT_FORMAT=json`."""

    failed: list[FailedStream]
    late: list[LateStream]
    warnings: list[Warned]
    recovered: list[RecoveredStream]


def json_schema() -> dict[str, Any]:
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": draft, "title": "Alert", **msgspec.json.schema(AlertMessage)}


def json_body(alerts: Sequence[Alert], recovered: Sequence[Recovered]) -> dict[str, Any]:
    message = AlertMessage(
        failed=[FailedStream(a.name, a.error, a.message) for a in alerts if a.kind == "failed"],
        late=[
            LateStream(
                a.name, _iso(a.late.due), None if (last := a.late.last) is None else _iso(last)
            )
            for a in alerts
            if a.late is not None
        ],
        warnings=[
            Warned(a.name, a.kind, a.message, a.remedy)
            for a in alerts
            if a.kind not in ("failed", "late")
        ],
        recovered=[RecoveredStream(r.name, r.kind, _iso(r.since)) for r in recovered],
    )
    body: dict[str, Any] = msgspec.to_builtins(message)
    return body


def _iso(moment: datetime | None) -> Any:
    return None if moment is None else moment.isoformat()
