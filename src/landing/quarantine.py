"""Rows that do not fit their stream config: kept with the reason, counted, never dropped."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from landing.columns import MisfitRow, Row
from landing.fields import Field
from landing.jsontext import pruned

# The state is to stay small; beyond these, a row may stand in quarantine more than once.
REMEMBERED = 1_000


class Quarantine:
    """JSON lines of `{"row", "field", "reason", "load_id"}`, on disk until they are published.

    Of a row only what the stream config lists is kept, as of the rows that land.
    """

    def __init__(self, file: Path, fields: Mapping[str, Field]) -> None:
        self._fields = fields
        self._draft = file.with_suffix(".draft")
        self._file = file
        self._reasons: Counter[str] = Counter()
        self._closed: Counter[str] = Counter()
        self._again = 0
        self.known: frozenset[str] = frozenset()
        """Hashes of rows that an earlier run put here; the cursor may give them again."""
        self.hashes: set[str] = set()

    @property
    def count(self) -> int:
        """Rows since the last `close`."""
        return self._reasons.total()

    def add(self, misfits: Sequence[MisfitRow]) -> None:
        if not misfits:
            return
        with self._draft.open("ab") as out:
            for misfit in misfits:
                line = _encoded(self._chosen(misfit.row), misfit.field, misfit.reason)
                if self._is_new(line):
                    out.write(line + b"\n")
                    self._reasons[f"{misfit.field}: {misfit.reason}"] += 1

    def _is_new(self, line: bytes) -> bool:
        identity = hashlib.blake2b(line, digest_size=8).hexdigest()
        if len(self.hashes) < REMEMBERED:
            self.hashes.add(identity)
        self._again += identity in self.known
        return identity not in self.known

    def _chosen(self, row: Row) -> Row:
        return {n: pruned(row[n], field) for n, field in self._fields.items() if n in row}

    def close(self, load_id: str) -> Path:
        """The finished file of a load, each line with its id, which was not known before."""
        ending = b',"load_id":' + msgspec.json.encode(load_id) + b"}\n"
        with self._draft.open("rb") as lines, self._file.open("wb") as out:
            for line in lines:
                out.write(line.rstrip(b"}\n") + ending)
        self._draft.unlink()
        self._closed += self._reasons
        self._reasons.clear()
        return self._file

    def notes(self) -> Iterator[str]:
        found = self._closed + self._reasons
        if count := found.total():
            reasons = "; ".join(f"{reason} ({n})" for reason, n in found.most_common(3))
            what = "1 record does" if count == 1 else f"{count:,} records do"
            yield f"{what} not fit the configured fields and went to quarantine: {reasons}"
        if self._again:
            what = (
                "1 record still does" if self._again == 1 else f"{self._again:,} records still do"
            )
            yield f"{what} not fit, in quarantine already"


def _encoded(row: Row, field: str, reason: str) -> bytes:
    line = {"row": row, "field": field, "reason": reason}
    try:
        return msgspec.json.encode(line, enc_hook=str)
    except (TypeError, ValueError, UnicodeError, OverflowError, RecursionError):
        return msgspec.json.encode({**line, "row": ascii(row)})
