"""Arrow arrays of the JSON texts of arrays and objects, a page at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from landing.columns.arrow import pa, pc
from landing.columns.json_text import MAX_NESTING, check_nesting, lines, shaped


def quick_texts(shape: Any, values: Sequence[Any]) -> pa.Array:
    """Of Python values, pruned to `shape`. Raises msgspec.ValidationError if one has another."""
    return shaped_texts(shaped(values, shape))


def shaped_texts(values: Sequence[Any]) -> pa.Array:
    """The JSON text of each value, or null, encoded at once and then split."""
    if not values:
        return pa.array([], pa.string())
    texts = _split(lines(values))
    _check_nesting(texts)
    return _with_nulls(texts)


def kept_texts(texts: Sequence[Any], spelling: str) -> pa.Array | None:
    """Undecoded JSON values (msgspec.Raw or None) as text, or null; None if one does not match the
    regular expression `spelling`."""
    array = _split(lines(texts))
    if len(array) != len(texts):  # one has several lines
        return None
    are_kept = pc.match_substring_regex(array, f"^{spelling}$")
    return _with_nulls(array) if pc.all(are_kept).as_py() else None


def _split(text: bytes) -> pa.Array:
    """The lines of a text that ends with a line feed. Raises pa.ArrowInvalid if it is no UTF-8."""
    return pc.split_pattern(pa.array([text[:-1]], pa.string()), "\n").flatten()


def _with_nulls(texts: pa.Array) -> pa.Array:
    """With null for the text `null`, which no array or object is."""
    is_null = pc.equal(texts, "null")
    return pc.if_else(is_null, None, texts) if pc.any(is_null).as_py() else texts


def _check_nesting(texts: pa.Array) -> None:
    lengths = pc.binary_length(texts)
    if pc.max(lengths).as_py() > 2 * MAX_NESTING:
        for text in texts.filter(pc.greater(lengths, 2 * MAX_NESTING)):
            check_nesting(text.as_py().encode())
