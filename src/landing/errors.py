"""What can go wrong, as one tree. Every message says what is wrong, where, and what to do.

LandingError
├── UsageError            the command or a file a person wrote is wrong: exit code 2
│   ├── WorkspaceError    no workspace, or no such source or stream in it
│   ├── SettingsError     an environment variable is missing or malformed
│   ├── CatalogError      a discovered schema or stream config has a mistake
│   └── SourceError       a source's Python does not import, or declares something unusable
├── StreamError           a stream failed while it ran: exit code 1
│   └── ApiError          …because its API did
├── TableError            a current-state table can't be brought up to date: exit code 1
├── BucketError           the bucket, or an object in it, is not as it should be: exit code 1
│   └── BucketUnusable    …because it is missing, refuses, or does not answer
└── LeaseHeld             another run of the stream is under way: exit code 3
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LandingError(Exception):
    """Root of all errors this package raises on purpose; `str()` is fit for a terminal."""

    exit_code = 1
    remedy: str | None = None
    """What to try next, with a command where there is one: told below the message."""

    def __init__(self, message: str = "", *, remedy: str | None = None) -> None:
        super().__init__(message)
        if remedy is not None:
            self.remedy = remedy


class UsageError(LandingError):
    """Nothing was run: a person has to mend a command or a file first."""

    exit_code = 2


class WorkspaceError(UsageError):
    pass


class SettingsError(UsageError):
    remedy = "`landing doctor` looks at the bucket and all settings"


class CatalogError(UsageError):
    pass


class SourceError(UsageError):
    remedy = "`landing doctor` imports every source and says which work"


class StreamError(LandingError):
    pass


class ApiError(StreamError):
    pass


class TableError(LandingError):
    pass


class BucketError(LandingError):
    remedy = "`landing verify --all` says what else is not as it should be"


class BucketUnusable(BucketError):
    remedy = "`landing doctor` looks at the bucket and all settings"


class LeaseHeld(LandingError):
    exit_code = 3
    remedy = "`landing status` says who holds it, and whether whoever did has died"


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the closest known word, or an empty string."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{matches[0]}'?" if matches else ""


def listed(names: Iterable[str]) -> str:
    """`a, b, c`, or `none` so that an empty list reads as a sentence."""
    return ", ".join(sorted(names)) or "none"


def counted(count: int, thing: str) -> str:
    """`1 row`, `2,350 rows`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def sized(count: int) -> str:
    """`512 B`, `81.2 KB`."""
    size = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} TB"


def lasting(seconds: float) -> str:
    """`40 s`, `12 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
