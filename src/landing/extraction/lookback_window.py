"""The rows that landed no further behind the cursor than the lookback, each by a hash.

Reading again behind the cursor finds rows that were committed late; those that are known from an
earlier run, unchanged, must not land again.
"""

from __future__ import annotations

import base64
from array import array
from collections.abc import Sequence
from typing import TypeAlias, TypedDict

import pyarrow as pa
import pyarrow.compute as pc

LIMIT = 100_000
"""Rows remembered at most, those nearest to the cursor; 2 MB of state. Others land again."""
_HASH_BYTES = 12

_Rows: TypeAlias = dict[bytes, float]


class WindowState(TypedDict, total=False):
    type: str
    positions: str
    hashes: str


class LookbackWindow:
    """Hashes of rows by their position, which is the cursor's value as a number.

    Rows known under another type of the cursor column are forgotten: their positions would mean
    something else.
    """

    def __init__(self, type_: pa.DataType, state: WindowState | None = None) -> None:
        self._type = str(type_)
        self._code = "d" if pa.types.is_floating(type_) else "q"
        self._known: _Rows = {}
        self._seen: _Rows = {}
        self.is_full = False
        if state and state.get("type") == self._type:
            self._restore(state)

    @staticmethod
    def can_hold(type_: pa.DataType) -> bool:
        numbers = pa.types.is_integer(type_) or pa.types.is_floating(type_)
        return bool(numbers or pa.types.is_temporal(type_))

    def unknown(self, values: pa.ChunkedArray, hashes: Sequence[int]) -> pa.Array:
        """Which rows were not seen before, as booleans; all of them are known from then on."""
        keys = [value.to_bytes(_HASH_BYTES, "big") for value in hashes]
        new = [key not in self._known and key not in self._seen for key in keys]
        self._seen.update(zip(keys, positions(values).to_pylist(), strict=True))
        return pa.array(new, pa.bool_())

    def forget_before(self, floor: pa.Scalar, *, descending: bool) -> None:
        """Drop what the next run will not read again, which starts at `floor`."""
        at = positions(pa.chunked_array([pa.array([floor.as_py()], floor.type)]))[0].as_py()
        self._known = self._nearest(self._known, at, descending=descending)
        self._seen = self._nearest(self._seen, at, descending=descending)

    def _nearest(self, rows: _Rows, at: float, *, descending: bool) -> _Rows:
        within = {
            key: position
            for key, position in rows.items()
            if (position <= at if descending else position >= at)
        }
        if len(within) <= LIMIT:
            return within
        self.is_full = True
        return dict(sorted(within.items(), key=_position, reverse=not descending)[:LIMIT])

    def as_json(self, *, ended: bool) -> WindowState:
        """Once the stream has ended, what it saw takes the place of what was known: a row that has
        become again what it once was has to land again."""
        kept = self._seen if ended and self._seen else self._known | self._seen
        rows = sorted(kept.items(), key=_position)
        return WindowState(
            type=self._type,
            positions=_text(array(self._code, [position for _, position in rows]).tobytes()),
            hashes=_text(b"".join(key for key, _ in rows)),
        )

    def __len__(self) -> int:
        return max(len(self._known), len(self._seen))

    def _restore(self, state: WindowState) -> None:
        numbers = array(self._code, base64.b64decode(state["positions"]))
        hashes = base64.b64decode(state["hashes"])
        for index, number in enumerate(numbers):
            self._known[hashes[index * _HASH_BYTES : (index + 1) * _HASH_BYTES]] = number


def positions(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Days of dates, microseconds of date-times, numbers as they are."""
    if pa.types.is_date32(values.type):
        values = pc.cast(values, pa.int32())
    return values if pa.types.is_floating(values.type) else pc.cast(values, pa.int64())


def _position(row: tuple[bytes, float]) -> float:
    return row[1]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
