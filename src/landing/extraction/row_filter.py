"""What a reader asks of the cursor, or the window, by which rows are taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import pyarrow as pa

from landing.columns.conversion import Converted, RowError
from landing.extraction.reached import CursorValue


class RowFilter(Protocol):
    """Which of a stream's rows are taken, by its cursor."""

    name: str
    went_back: bool

    @property
    def may_end_early(self) -> bool:
        """The stream declared an order, so that it need not be read to its end."""

    @property
    def is_past(self) -> bool:
        """No row that follows would be taken."""

    def admit(
        self,
        converted: Converted,
        rejected: Sequence[CursorValue] = (),
        *,
        is_first_answer: bool = False,
    ) -> pa.Table: ...

    def rest(self) -> Iterator[pa.Table]:
        """Rows of which only the stream's end shows whether they are new."""

    def notes(self) -> Iterator[str]:
        """What a person should know of the rows that were read."""

    def concerns(self, error: RowError) -> bool:
        """Whether a row that does not fit would be taken, or may be."""
