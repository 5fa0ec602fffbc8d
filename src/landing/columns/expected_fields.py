"""What the stream's records should have, for parts of the client kit that don't know the config.

A CSV body is checked for known fields, since any text may be CSV; paging needs to know whether a
primary key distinguishes equal records.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Expected:
    fields: frozenset[str] = frozenset()
    """The names of the fields; empty if they are unknown, as in discovery."""
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
