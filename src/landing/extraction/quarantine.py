"""Keeps and counts rows that do not fit their stream config, with the reason; drops none.

A quarantined row is JSON that reads back to the same values, so that it can land once the config is
fixed. If JSON can't represent the values, it is Python's text of the row, for a person only.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from landing.catalog.stream_config import StreamConfig
from landing.columns.conversion import Columns, Converted, Row, RowError
from landing.columns.json_numbers import decimal_of
from landing.columns.json_text import Unreadable
from landing.columns.odd_records import OddRecord
from landing.columns.privacy import row_protector
from landing.columns.size_limits import bounded
from landing.errors import counted
from landing.extraction.row_versions import key_of, keys_of

# Bounds the state; with more rows than this, one may be quarantined more than once.
REMEMBERED = 1_000
_SHOWN = 3
"""Reasons that a message names."""

_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True)
class Rejected:
    """A row that did not convert; `json` is what quarantine keeps of it."""

    error: RowError
    json: bytes
    key: Any
    """Its primary key; if that is incomplete, an object that equals no other key."""

    @property
    def identity(self) -> str:
        """A hash of the row without the reason, which may change with the config."""
        return hashlib.blake2b(self.json, digest_size=8).hexdigest()


class Quarantine:
    """The rejected rows of one run, as JSON lines on the local disk until they are published.

    Only fields of the stream config are kept, and private fields are protected.
    """

    def __init__(
        self,
        file: Path,
        config: StreamConfig,
        columns: Columns,
        primary_key: tuple[str, ...],
    ) -> None:
        self._file = file
        known = config.known_names if config.on_drift == "land" else None
        self._protected = row_protector(config.fields, known)
        self._columns = columns
        self._primary_key = primary_key
        self._reasons: Counter[str] = Counter()
        self._closed: Counter[str] = Counter()
        self._new = 0
        self._again = 0
        self.known: frozenset[str] = frozenset()
        """Identities of rows that an earlier run quarantined; the API may return them again."""
        self._identities: dict[str, None] = {}

    @property
    def count(self) -> int:
        """Rows since the last `close`."""
        return self._reasons.total()

    @property
    def identities(self) -> list[str]:
        """Identities of the last rejected rows, which the API is most likely to return again."""
        return sorted(self._identities)

    @property
    def share(self) -> float:
        """Share of rejected rows since the last `close`, not counting known ones."""
        return self.count / max(1, self._new)

    def new(self, converted: Converted) -> tuple[list[Rejected], list[Rejected]]:
        """The rejected rows to add; known ones are only counted.

        The second list has those that are later versions of rows in the batch that fit; the first
        has all others.
        """
        rejected = (self._rejected(error) for error in converted.errors)
        new = [one for one in rejected if self._is_new(one.identity)]
        self._new += converted.table.num_rows + len(new)
        if not new or not self._primary_key or converted.kept is None:
            return new, []
        last = dict(zip(keys_of(converted.table, self._primary_key), converted.kept, strict=True))
        parted: dict[bool, list[Rejected]] = {False: [], True: []}
        for one in new:
            parted[one.error.index > last.get(one.key, one.error.index)].append(one)
        return parted[False], parted[True]

    def _rejected(self, error: RowError) -> Rejected:
        key = key_of(error.row, self._columns, self._primary_key)
        if isinstance(error.row, OddRecord):
            kept = error.row.in_words if self._columns.has_private else repr(error.row)
            return Rejected(error, bounded(_encode(kept)), key)
        row = self._protected(error.row)
        if error.is_tombstone:
            row = {name: row[name] for name in self._primary_key if name in row}
        return Rejected(error, bounded(row_json(row)), key)

    def _is_new(self, identity: str) -> bool:
        self._identities.pop(identity, None)
        self._identities[identity] = None
        if len(self._identities) > REMEMBERED:
            del self._identities[next(iter(self._identities))]
        self._again += identity in self.known
        return identity not in self.known

    def add(self, rows: Sequence[tuple[Rejected, str]], load_id: str) -> None:
        """Add rows, each with the `_dlt_load_id` that it gets once it fits."""
        with self._file.open("ab") as out:
            for rejected, row_version in rows:
                error = rejected.error
                line = kept_line(rejected.json, error, load_id, row_version)
                out.write(line)
                self._reasons[f"{error.field}: {error.reason}"] += 1

    def close(self) -> Path | None:
        """The file with the rows added since the last call; None if there are none."""
        self._new = 0
        if not self.count:
            return None
        self._closed += self._reasons
        self._reasons.clear()
        # Rows added while this file is being published go to a new one.
        return self._file.replace(self._file.with_suffix(".closed.jsonl"))

    def excess(self) -> str:
        """A message with the share of rejected rows and the main reasons."""
        return (
            f"{self.count:,} of {self._new:,} records do not fit the configured fields, "
            f"{_main(self._reasons)}, a share of {self.share:.3g}"
        )

    def notes(self) -> Iterator[str]:
        found = self._closed + self._reasons
        if count := found.total():
            what = "1 record does" if count == 1 else f"{count:,} records do"
            yield f"{what} not fit the configured fields and went to quarantine: {_main(found)}"
        if self._again:
            what = (
                "1 record still does" if self._again == 1 else f"{self._again:,} records still do"
            )
            yield f"{what} not fit, and went to quarantine with an earlier run"


def _main(reasons: Counter[str]) -> str:
    shown = [f"{reason} ({n:,})" for reason, n in reasons.most_common(_SHOWN)]
    if len(reasons) > _SHOWN:
        shown.append(f"and {counted(len(reasons) - _SHOWN, 'other reason')}")
    return "; ".join(shown)


def kept_line(row: bytes, error: RowError, load_id: str, row_version: str) -> bytes:
    """One line of a quarantine file."""
    line: dict[str, Any] = {"row": msgspec.Raw(row)}
    line |= {"field": error.field, "reason": error.reason}
    if error.is_tombstone:
        line["deleted"] = True
    return _encode({**line, "load_id": load_id, "_dlt_load_id": row_version}) + b"\n"


@dataclass(frozen=True)
class KeptRow:
    """A line of a quarantine file, read back."""

    line: bytes
    row: Row | str
    """A str if JSON could not represent it: Python's text of the row."""
    is_tombstone: bool
    field: str
    reason: str
    load_id: str
    row_version: str

    @property
    def text(self) -> str:
        return self.row if isinstance(self.row, str) else row_json(self.row).decode()


def read_line(line: bytes) -> KeptRow | None:
    """Parse a line of a quarantine file; None if it is not valid."""
    try:
        found = json.loads(line, parse_float=_exact)
        texts = [found[key] for key in ("field", "reason", "load_id", "_dlt_load_id")]
        is_tombstone = found.get("deleted") is True
        row = found["row"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(row, dict | str) or not all(isinstance(text, str) for text in texts):
        return None
    return KeptRow(line, row, is_tombstone, *texts)


def _exact(text: str) -> float | Decimal | Unreadable:
    """A float if it reproduces the text exactly, otherwise a Decimal if there is one."""
    number = float(text)
    if _encode(number).decode() == text:
        return number
    decimal = decimal_of(text)
    return Unreadable(text.encode()) if decimal is None else decimal


def row_json(row: Row) -> bytes:
    """JSON that reads back to the row's values, or else a JSON string with Python's text."""
    try:
        return _encode({n: v if _is_decimal(v) else _plain(v) for n, v in row.items()})
    except (TypeError, ValueError, UnicodeError, OverflowError, RecursionError):
        return _encode("{" + ", ".join(f"{name!a}: {_text(v)}" for name, v in row.items()) + "}")


def _is_decimal(value: Any) -> bool:
    return isinstance(value, Decimal) and value.is_finite()


def _plain(value: Any) -> Any:
    """The value in a form that JSON can represent and that lands the same. Raises ValueError."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return value if _is_unicode(value) else msgspec.Raw(json.dumps(value).encode())
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(element) for element in value]
    if isinstance(value, datetime) and type(value) is not datetime:  # pandas' Timestamp or NaT
        return value.isoformat() if value == value else None
    if isinstance(value, date | time | timedelta | UUID | bytes):
        return value
    if isinstance(value, Unreadable) and value.is_number:
        return value.raw
    if _is_decimal(value):
        return str(value)  # as in the JSON text of its array or object
    raise ValueError


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(value: Any) -> str:
    try:
        return ascii(value)
    except (ValueError, RecursionError):  # thousands of digits, or of levels
        return f"<{type(value).__name__} that has no text form>"
