"""The rows that a call of a transformer's function returned before it failed."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import msgspec

from landing.columns.json_page import JsonPage


class Returned:
    """Leaves out these rows when they come again, so that they do not land twice.

    Rows are compared one by one, since a piece may hold rows of several parents.
    """

    def __init__(self, *, is_known: bool = True) -> None:
        self.count = 0
        """Of pieces."""
        self.is_known = is_known
        """False if some of it is still to be evaluated."""
        self._digests: Counter[int] = Counter()

    def add(self, piece: Any) -> None:
        self.count += 1
        if self.is_known:
            self._digests.update(_digests(piece))

    @property
    def missing(self) -> int:
        """How many of the rows have not come again."""
        return self._digests.total()

    def without(self, piece: Any) -> Any:
        """The piece without rows that were returned before, each of which counts once; None if
        there are no others."""
        if not self.missing:
            return piece
        digests = _digests(piece)
        places = [place for place, digest in enumerate(digests) if not self._takes(digest)]
        if len(places) == len(digests):
            return piece
        return _at(piece, places) if places else None

    def _takes(self, digest: int) -> bool:
        was_returned = self._digests[digest] > 0
        self._digests[digest] -= was_returned
        return was_returned


def _digests(piece: Any) -> list[int]:
    if isinstance(piece, JsonPage):
        return [hash(bytes(raw)) for raw in piece.decoded(msgspec.Raw)]
    return [hash(json.dumps(row, sort_keys=True, default=str)) for row in _rows(piece)]


def _rows(piece: Any) -> list[Any]:
    if piece is None:
        return []
    if hasattr(piece, "to_pylist"):  # of Arrow
        return list(piece.to_pylist())
    if hasattr(piece, "iterrows"):  # of pandas
        return list(piece.to_dict("records"))
    return piece if isinstance(piece, list) else [piece]


def _at(piece: Any, places: list[int]) -> Any:
    if isinstance(piece, JsonPage):
        raws = piece.decoded(msgspec.Raw)
        return JsonPage(b"[" + b",".join(raws[place] for place in places) + b"]")
    if isinstance(piece, list):
        return [piece[place] for place in places]
    return piece.take(places)  # of Arrow or pandas; a single row is left out or kept
