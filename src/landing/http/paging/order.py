"""Whether values come in ascending order, as far as that can be told without the API's rules."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

_UUID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)


def first_descent(values: Sequence[Any]) -> tuple[Any, Any] | None:
    """Two neighbours of which the second is less than the first; None if there are none.

    Databases sort texts by rules of their own, so these are in order if they are by any common
    one. What can't be compared has no order to break.
    """
    values = [value for value in values if value is not None]
    orders = _orders(values)
    found = [_descent(values, key) for key in orders]
    return found[0] if found and all(found) else None


def _descent(values: Sequence[Any], key: Callable[[Any], Any]) -> tuple[Any, Any] | None:
    keys = list(map(key, values))
    return next(
        (
            (values[n], values[n + 1])
            for n, (one, other) in enumerate(pairwise(keys))
            if other < one
        ),
        None,
    )


def _orders(values: Sequence[Any]) -> list[Callable[[Any], Any]]:
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return [lambda value: value]
    if not all(isinstance(value, str) for value in values):
        return []
    # SQL Server sorts them from the last group on.
    if all(_UUID.fullmatch(value) for value in values):
        return []
    for exact in (int, _moment):
        if _fits(exact, values):
            return [exact, str]
    return [str, str.casefold, _letters]


def _fits(exact: Callable[[Any], Any], values: Sequence[Any]) -> bool:
    try:
        list(map(exact, values))
    except ValueError:
        return False
    return True


def _moment(text: str) -> datetime:
    parsed = datetime.fromisoformat(text)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed


def _letters(text: str) -> str:
    """Letters and digits alone, without case and accents, by which a locale sorts first."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in plain if character.isalnum())
