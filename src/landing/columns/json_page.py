"""A page of records as the bytes that the API sent, decoded only when it is read."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import cache, cached_property
from typing import Any

import msgspec

from landing.columns import json_path
from landing.columns.json_numbers import exact_number, loses_digits
from landing.columns.json_text import MAX_NESTING, readable, without_depths
from landing.columns.odd_records import OddRecord, is_refused, marked, unmarked
from landing.columns.text_encoding import as_utf8

_SAMPLED_EVERY = 100
_FEW = 200


def sampled_every(count: int) -> int:
    """The interval between sampled records, given their number; few records are all sampled."""
    return 1 if count <= _FEW else _SAMPLED_EVERY


class JsonPage:
    """A page of records as bytes. If a stream yields it instead of a list of dictionaries, the
    fields that the stream config leaves out are not even decoded.

    `content` is the body of a JSON response. `records` is the place of the list of records in it: a
    key, a path with dots or a JSONPath, or "" if the body is the list itself. `len` is the number
    of records, so `if not page: break` ends a paging loop.

    Functions of `add_map` and `add_filter` that take single records don't work on such pages.
    Raises ValueError if the body is not JSON or has no list there. A single record that is not
    valid JSON, such as one with NaN, does not affect the others.
    """

    def __init__(self, content: bytes, records: str = "") -> None:
        self.content = as_utf8(content)
        self.skipped = 0
        self.fixed_body: bytes | None = None
        """The body with invalid records replaced, if it has any; otherwise None."""
        self._body = self.content
        path = json_path.parsed(records)
        self.path = path.names or ()
        if path.names is None:
            self._go_to(records)
        try:
            self._count = self._counted(path)
        except (ValueError, msgspec.MsgspecError):
            if not (path.may_join and self.path):
                raise
            self._go_to(records)
            self._count = self._counted(json_path.NOWHERE)
        self._body = b""  # only what a path left of it is kept

    def _counted(self, path: json_path.Path) -> int:
        try:
            return len(self._decode(msgspec.Raw))
        except (ValueError, msgspec.MsgspecError) as error:
            if isinstance(error, msgspec.ValidationError):  # JSON, but no list of records
                raise
            try:
                self._mend(path)
            except ValueError:
                raise error from None
            return len(self._decode(msgspec.Raw))

    def _mend(self, path: json_path.Path) -> None:
        self.content = self.fixed_body = marked(self._body, path)

    def _go_to(self, records: str) -> None:
        """Keep only the list of records; for paths with an index, or a name that has dots."""
        try:
            found = json_path.raw_at(self._body, records)
        except (msgspec.MsgspecError, RecursionError):
            self._mend(json_path.parsed(records))
            found = json_path.raw_at(self.content, records)
        if found is not None:
            self.content, self.path = bytes(found), ()
        elif not self.path:
            raise ValueError(f"there is no '{records}'")

    def __len__(self) -> int:
        return max(self._count - self.skipped, 0)

    def without_first(self, count: int) -> JsonPage:
        """The page without its first records, for pages that overlap."""
        rest = copy.copy(self)
        rest.skipped += count
        return rest

    def rows(self) -> list[Mapping[str, Any]]:
        """The records as dictionaries, with all fields, and numbers with all their digits."""
        try:
            rows: list[Any] = self._with_all_digits() if self.loses_digits else self.decoded(Any)
        except (msgspec.MsgspecError, UnicodeError):
            rows = [readable(raw) for raw in self.decoded(msgspec.Raw)]
        if all(isinstance(row, dict) for row in rows):
            return rows
        rows = list(map(unmarked, rows))
        odd = [row for row in rows if isinstance(row, OddRecord)]
        if len(odd) == len(rows) and is_refused(odd):
            kind = type(odd[0].value).__name__
            raise ValueError(f"a record of the page is a {kind}, not an object")
        return rows

    @cached_property
    def loses_digits(self) -> bool:
        """Whether a number of the page has more digits than the decoder keeps."""
        return loses_digits(self.content)

    def _with_all_digits(self) -> list[Any]:
        records = self._inner(_decoder(Any, self.path, exact_number))
        return records[self.skipped :]

    def pieces(self, most: int) -> Iterator[JsonPage]:
        """The page as pages of at most so many records."""
        if len(self) <= most:
            yield self
            return
        raws = self.decoded(msgspec.Raw)
        for start in range(0, len(raws), most):
            yield JsonPage(b"[" + b",".join(raws[start : start + most]) + b"]")

    def sample(self) -> list[Mapping[str, Any]]:
        """The first record and each `sampled_every`-th after it, as dictionaries."""
        raws = self.decoded(msgspec.Raw)[:: sampled_every(len(self))]
        return [row for row in map(readable, raws) if isinstance(row, dict)]

    def decoded(self, record: Any) -> list[Any]:
        """The records as values of the type `record`. Raises msgspec.ValidationError."""
        records = self._decode(record)
        return records[self.skipped :] if self.skipped else records

    def _decode(self, record: Any) -> list[Any]:
        decoder = _decoder(record, self.path)
        try:
            return self._inner(decoder)
        except RecursionError:
            # What is left is still too deep to land, and is reported with its record.
            self.content = without_depths(self.content, MAX_NESTING + 16)
            if body := self.fixed_body or self._body:
                self.fixed_body = without_depths(body, MAX_NESTING + 16)
            return self._inner(decoder)

    def _inner(self, decoder: msgspec.json.Decoder[Any]) -> list[Any]:
        value: Any = decoder.decode(self.content)
        for _ in self.path:
            value = value.inner
        records: list[Any] = value
        return records


@cache
def _decoder(
    record: Any, path: tuple[str, ...], number: Callable[[str], Any] | None = None
) -> msgspec.json.Decoder[Any]:
    body: Any = list[record]
    for key in reversed(path):
        body = msgspec.defstruct("Body", [("inner", body)], rename={"inner": key})
    return msgspec.json.Decoder(body, float_hook=number)
