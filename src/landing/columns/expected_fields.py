"""What is expected of the records of the stream that is read: fields for formats in which any text
is a page, and a key for paging, by which no two records are equal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Expected:
    fields: frozenset[str] = frozenset()
    """Empty where nobody knows them, as while they are discovered."""
    has_key: bool = False


NOTHING = Expected()
_EXPECTED: ContextVar[Expected] = ContextVar("expected", default=NOTHING)


@contextmanager
def expecting(expected: Expected) -> Iterator[None]:
    token = _EXPECTED.set(expected)
    try:
        yield
    finally:
        _EXPECTED.reset(token)


def expected_fields() -> frozenset[str]:
    return _EXPECTED.get().fields


def expects_key() -> bool:
    return _EXPECTED.get().has_key
