"""The interface of a table of any format."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from landing.errors import LandingError, TableError
from landing.secrets import redacted
from landing.tables.place import Place

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
MAINTAINED_EVERY = 20
"""Commits between two compactions of small files."""
KEPT_DAYS = 7
"""Days for which old versions stay readable, longer than any query should run."""


@dataclass(frozen=True)
class Counts:
    upserted: int = 0
    removed: int = 0
    inserted: int = 0
    """Upserted rows whose keys were new."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.upserted + other.upserted,
            self.removed + other.removed,
            self.inserted + other.inserted,
        )


class Table(Protocol):
    """Each change is one commit: a reader sees all of it or nothing. The stream's lease ensures
    that one process writes at a time; a commit fails if another one has changed the table since
    this process opened it, for example because it was suspended for a minute."""

    def columns(self) -> pa.Schema | None:
        """None if there is no table. Raises TableError if it can't be read."""

    def add_columns(self, fields: list[pa.Field]) -> None: ...

    def upsert(self, changes: pa.Table) -> Counts:
        """Applies the rows of `winners.changes` that are newer than the table's."""

    def replace(self, batches: pa.RecordBatchReader, check: Callable[[], None]) -> None:
        """Replaces all rows and columns, even of a damaged table. Calls `check`, which raises if
        this process may not write any more, once it is sure which version it replaces."""


@contextmanager
def explained(place: Place) -> Iterator[None]:
    """Turns any error of a format's library into a TableError that says what to do."""
    try:
        yield
    except LandingError:
        raise
    except Exception as error:
        failure = place.bucket.failure("read or write", place.path, plain(str(error)))
        raise TableError(redacted(str(failure))) from None


def plain(text: str) -> str:
    """A message without colours, line breaks and positions in a library's code."""
    message = [line for line in _COLOUR.sub("", text).splitlines() if "<unknown>" not in line]
    return " ".join(" ".join(message).replace("↳", ":").split())
