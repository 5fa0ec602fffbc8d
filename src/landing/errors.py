"""All errors, as one tree. Every message says what is wrong, where, and what to do.

LandingError
├── UsageError            the command or a file a person wrote is wrong: exit code 2
│   ├── WorkspaceError    no workspace, or no such source or stream in it
│   ├── SettingsError     an environment variable is missing or malformed
│   ├── CatalogError      a discovered schema or stream config has a mistake
│   └── SourceError       a source's Python does not import, or declares something unusable
├── StreamError           a stream failed while it ran: exit code 1
│   └── ApiError          …because its API did
├── TableError            a current-state table can't be brought up to date: exit code 1
├── BucketError           the bucket, or an object in it, is wrong or damaged: exit code 1
│   └── BucketUnusable    …because it is missing, refuses, or does not answer
└── LeaseHeld             another run of the stream is in progress: exit code 3
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class LandingError(Exception):
    """Root of all errors that this package raises on purpose; `str()` is a message for the user."""

    exit_code = 1
    remedy: str | None = None
    """What to try next, with a command if there is one; shown below the message."""

    def __init__(self, message: str = "", *, remedy: str | None = None) -> None:
        super().__init__(message)
        if remedy is not None:
            self.remedy = remedy


class UsageError(LandingError):
    """Nothing ran: a command, a setting or a file has to be corrected first."""

    exit_code = 2


class WorkspaceError(UsageError):
    pass


class SettingsError(UsageError):
    remedy: str | None = "`landing doctor` checks the bucket and all settings"


class CatalogError(UsageError):
    pass


class SourceError(UsageError):
    remedy = "`landing doctor` imports every source and reports which ones fail"


class StreamError(LandingError):
    pass


class ApiError(StreamError):
    pass


class TableError(LandingError):
    pass


class BucketError(LandingError):
    remedy = "`landing verify --all` reports what else is wrong in the bucket"


class BucketUnusable(BucketError):
    remedy = "`landing doctor` checks the bucket and all settings"


class LeaseHeld(LandingError):
    exit_code = 3
    remedy = "`landing status` shows which process holds the lease, and whether it has died"


def class_name(error: BaseException) -> str:
    """The name of an error's class; that of the nearest one above for a class from elsewhere."""
    public = (kind for kind in type(error).__mro__ if kind.__module__ == __name__)
    return next(public, type(error)).__name__


@contextmanager
def needs(what: str, extra: str, otherwise: str = "") -> Iterator[None]:
    """Raises SettingsError if a package of an extra, which is imported inside, can't be."""
    try:
        yield
    except ImportError as error:
        is_missing = isinstance(error, ModuleNotFoundError)
        why = "is not installed" if is_missing else f"can't be imported ({error})"
        failure = SettingsError(
            f"{what} needs {error.name}, which {why}: pip install 'dlt-landing[{extra}]'{otherwise}"
        )
        failure.remedy = None  # the message has it
        raise failure from error


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the closest known word, or an empty string."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{matches[0]}'?" if matches else ""


def listed(names: Iterable[str]) -> str:
    """`a, b, c`, sorted; `none` for an empty list, so that the sentence stays complete."""
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


def printable(text: str) -> str:
    """`text` in one line, with each character that does not print spelled as in JSON."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def printable_lines(text: str) -> str:
    """As `printable`, but a text of several lines stays so. Lines after the first are indented:
    none looks like the first line of another message."""
    if text.isprintable():
        return text
    first, *more = text.split("\n")
    tabbed = ("\t".join(map(printable, line.split("\t"))) for line in more)
    return "\n".join([printable(first), *(f"  {line}" for line in tabbed)])


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else json.dumps(character)[1:-1]
