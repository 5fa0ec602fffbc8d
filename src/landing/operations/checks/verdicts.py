"""Outcomes of a check: it returns a message, or raises one of these exceptions."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Status = Literal["passed", "failed", "skipped"]


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one check; `stream` is None for the check of the whole source."""

    stream: str | None
    check: str
    status: Status
    detail: str
    seconds: float


class CheckFailed(Exception):
    """A check did not hold; `str()` says what was seen and what to do."""


class UnreadableStream(CheckFailed):
    """The stream could not be read."""


class CheckSkipped(Exception):
    """A check does not apply; `str()` says why."""


def named(identity: Any) -> str:
    """A record's identity for a message."""
    values = identity if isinstance(identity, tuple) else (identity,)
    if len(values) == 1 and isinstance(values[0], bytes):
        return "one without a key"
    return ", ".join(str(value) for value in values)
