"""What a table of any format can do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from landing.errors import LandingError, TableError
from landing.secrets import redacted
from landing.tables.place import Place

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
MAINTAINED_EVERY = 20
"""Commits between two rounds of putting small files together."""
KEPT_DAYS = 7
"""For which old versions stay readable: a query that runs as long is a strange one."""


@dataclass(frozen=True)
class Counts:
    upserted: int = 0
    removed: int = 0
    inserted: int = 0
    """Of those upserted, rows whose keys were not there."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.upserted + other.upserted,
            self.removed + other.removed,
            self.inserted + other.inserted,
        )


class Table(Protocol):
    """Each change is one commit: a reader sees all of it or nothing. One process at a time
    writes, which the stream's lease sees to."""

    def columns(self) -> pa.Schema | None:
        """None if there is no table. Raises TableError for one that can't be read."""

    def add_columns(self, fields: list[pa.Field]) -> None: ...

    def upsert(self, changes: pa.Table) -> Counts:
        """Take in changes as `winners.changes` gives them, where they are the later versions."""

    def replace(self, batches: pa.RecordBatchReader) -> None:
        """Put these rows and columns in the place of all there is, however damaged that is."""


@contextmanager
def explained(place: Place) -> Iterator[None]:
    """Whatever the library of a format raises as a TableError that a person can act on."""
    try:
        yield
    except LandingError:
        raise
    except Exception as error:
        failure = place.bucket.failure("use", place.path, plain(str(error)))
        raise TableError(redacted(str(failure))) from None


def plain(text: str) -> str:
    """A message without colours, line breaks, and addresses in a library's code."""
    message = [line for line in _COLOUR.sub("", text).splitlines() if "<unknown>" not in line]
    return " ".join(" ".join(message).replace("↳", ":").split())
