"""The protocol between the reader and whatever decides which rows it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import pyarrow as pa

from landing.columns.conversion import Converted, RowError
from landing.extraction.reached import CursorValue


class RowFilter(Protocol):
    """Decides by the cursor which of a stream's rows are taken."""

    name: str

    @property
    def may_end_early(self) -> bool:
        """Whether reading may stop before the stream's end, because it declares an order."""

    @property
    def is_past(self) -> bool:
        """Whether no later row would be taken."""

    def admit(
        self,
        converted: Converted,
        rejected: Sequence[CursorValue] = (),
        *,
        is_first_answer: bool = False,
    ) -> pa.Table: ...

    def rest(self) -> Iterator[pa.Table]:
        """The deferred rows, of which only the stream's end shows whether they are new."""

    def notes(self) -> Iterator[str]:
        """Notes about the rows that were read."""

    def concerns(self, error: RowError) -> bool:
        """Whether a rejected row would be taken, or may be."""
