"""The fields of the stream that is read, for formats in which any text is a page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_FIELDS: ContextVar[frozenset[str]] = ContextVar("fields", default=frozenset())


@contextmanager
def expecting(fields: frozenset[str]) -> Iterator[None]:
    token = _FIELDS.set(fields)
    try:
        yield
    finally:
        _FIELDS.reset(token)


def expected_fields() -> frozenset[str]:
    """Empty where nobody knows them, as while they are discovered."""
    return _FIELDS.get()
