"""What `landing history --json` prints."""

from __future__ import annotations

from typing import Literal

from landing.results import shaped
from landing.zone.failure_log import FailedRun
from landing.zone.load_log import LoadFigures, LoadRecord


class LoadListed(LoadFigures, frozen=True, kw_only=True):
    """A load, or a failed run with the rows that had landed before it failed."""

    kind: Literal["run", "backfill", "quarantine", "failed"]
    seconds: float | None
    load_id: str | None = None
    """None for a failed run."""
    read: int | None = None
    """Records, for a failed run."""
    files: int = 0
    error: str | None = None
    """The class of the exception that a failed run raised."""
    message: str | None = None


def listed(record: LoadRecord | FailedRun) -> LoadListed:
    if record.kind == "failed":
        return shaped(LoadListed, record, rows=record.published, load_id=None)
    return shaped(LoadListed, record, files=len(record.files))
