"""What a check of a stream's landing zone comes to."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Status: TypeAlias = Literal["passed", "failed", "skipped"]


class Finding(msgspec.Struct, frozen=True):
    what: str
    remedy: str


class Result(msgspec.Struct, frozen=True):
    source: str
    stream: str
    check: str
    status: Status
    told: str
    """What was checked."""
    findings: list[Finding] = []
    notes: list[str] = []
    """What is as it may be, and yet good to know."""
