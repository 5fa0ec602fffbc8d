"""What is alerted of, and how often: from the environment, and from the stream config."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import get_args

from landing.catalog.stream_config import AlertKind, AlertRules
from landing.errors import SettingsError, listed, nearest

RECOVERED = "recovered"
KINDS: tuple[str, ...] = (*get_args(AlertKind), RECOVERED)
REPEAT_HOURS = 4.0
"""As often as Prometheus's Alertmanager repeats a notification."""


@dataclass(frozen=True)
class Rules:
    on: frozenset[str] = frozenset(KINDS)
    repeat: timedelta = timedelta(hours=REPEAT_HOURS)
    quarantine_rows: int | None = None
    quarantine_age: timedelta | None = None

    @property
    def watch_quarantine(self) -> bool:
        limits = self.quarantine_rows, self.quarantine_age
        return "quarantine" in self.on and limits != (None, None)

    def of(self, stream: AlertRules) -> Rules:
        """Those of a stream."""
        age, repeat = _hours(stream.quarantine_hours), _hours(stream.repeat_hours)
        return Rules(
            on=self.on if stream.on is None else frozenset(stream.on),
            repeat=self.repeat if repeat is None else repeat,
            quarantine_rows=stream.quarantine_rows or self.quarantine_rows,
            quarantine_age=age or self.quarantine_age,
        )


def rules() -> Rules:
    """Those of the environment. Raises SettingsError if a variable is malformed."""
    repeat = _number("LANDING_ALERT_REPEAT_HOURS", "a number of hours, or 0 for each run", least=0)
    rows = _number("LANDING_ALERT_QUARANTINE_ROWS", "a positive number of records", least=1)
    return Rules(
        on=_kinds(),
        repeat=timedelta(hours=REPEAT_HOURS if repeat is None else repeat),
        quarantine_rows=None if rows is None else int(rows),
        quarantine_age=_hours(
            _number("LANDING_ALERT_QUARANTINE_HOURS", "a positive number of hours", least=0.001)
        ),
    )


def _kinds() -> frozenset[str]:
    text = os.environ.get("LANDING_ALERT_ON", "").strip()
    if not text:
        return frozenset(KINDS)
    kinds = {word.strip() for word in text.split(",") if word.strip()}
    if unknown := sorted(kinds - set(KINDS)):
        hint = nearest(unknown[0], KINDS) or f"; known are {listed(KINDS)}"
        raise SettingsError(
            f"LANDING_ALERT_ON names '{unknown[0]}', which is no kind of alert{hint}"
        )
    return frozenset(kinds)


def _number(name: str, what: str, least: float) -> float | None:
    text = os.environ.get(name, "").strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not least <= number < 100_000_000:
        raise SettingsError(f"{name} is '{text}': it has to be {what}")
    return number


def _hours(hours: float | None) -> timedelta | None:
    return None if hours is None else timedelta(hours=hours)
