"""Results of the checks of a stream's landing zone."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Status: TypeAlias = Literal["passed", "failed", "skipped"]


class VerifyFinding(msgspec.Struct, frozen=True):
    what: str
    remedy: str


class Result(msgspec.Struct, frozen=True):
    source: str
    stream: str
    check: str
    status: Status
    message: str
    """What was checked."""
    findings: list[VerifyFinding] = []
    notes: list[str] = []
    """Remarks that are no findings."""
