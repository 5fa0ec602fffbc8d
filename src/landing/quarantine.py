"""Rows that do not fit their stream config: kept with the reason, counted, never dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from landing.columns import MisfitRow, Row
from landing.fields import Field
from landing.jsontext import pruned


class Quarantine:
    """JSON lines of `{"row", "field", "reason", "load_id"}`, on disk until they are published.

    Of a row only what the stream config lists is kept, as of the rows that land.
    """

    def __init__(self, file: Path, fields: Mapping[str, Field]) -> None:
        self._fields = fields
        self._draft = file.with_suffix(".draft")
        self._file = file
        self._reasons: Counter[str] = Counter()

    @property
    def count(self) -> int:
        return self._reasons.total()

    def add(self, misfits: Sequence[MisfitRow]) -> None:
        if not misfits:
            return
        with self._draft.open("ab") as out:
            for misfit in misfits:
                out.write(_encoded(self._chosen(misfit.row), misfit.field, misfit.reason) + b"\n")
                self._reasons[f"{misfit.field}: {misfit.reason}"] += 1

    def _chosen(self, row: Row) -> Row:
        return {n: pruned(row[n], field) for n, field in self._fields.items() if n in row}

    def close(self, load_id: str) -> Path:
        """The finished file, each line with the load id that was not known before."""
        ending = b',"load_id":' + msgspec.json.encode(load_id) + b"}\n"
        with self._draft.open("rb") as lines, self._file.open("wb") as out:
            for line in lines:
                out.write(line.rstrip(b"}\n") + ending)
        return self._file

    def summary(self) -> str:
        reasons = "; ".join(f"{reason} ({n})" for reason, n in self._reasons.most_common(3))
        what = "1 record does" if self.count == 1 else f"{self.count:,} records do"
        return f"{what} not fit the configured fields and went to quarantine: {reasons}"


def _encoded(row: Row, field: str, reason: str) -> bytes:
    line = {"row": row, "field": field, "reason": reason}
    try:
        return msgspec.json.encode(line, enc_hook=str)
    except (TypeError, ValueError, UnicodeError, OverflowError, RecursionError):
        return msgspec.json.encode({**line, "row": ascii(row)})
