"""Counts rows without a cursor value, or with text that is no time among times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from landing.errors import counted

_SHOWN = 40


@dataclass
class RowsWithoutCursor:
    name: str
    missing: int = 0
    unreadable: int = 0
    example: str = ""

    def add(self, table: pa.Table) -> None:
        found = table[self.name].drop_null()
        self.missing += table.num_rows - len(found)
        self.unreadable += len(found)
        if len(found) and not self.example:
            text = str(found[0].as_py())
            self.example = repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")

    def notes(self) -> Iterator[str]:
        if self.missing:
            has = "has" if self.missing == 1 else "have"
            yield f"{counted(self.missing, 'record')} {has} no {self.name}; landed if new"
        if self.unreadable == 1:
            yield (
                f"1 record has {self.example} in {self.name}, which is not a time; landed if new"
            )
        elif self.unreadable:
            yield (
                f"{self.unreadable:,} records have text in {self.name} that is not a time, such as "
                f"{self.example}; landed if new"
            )
