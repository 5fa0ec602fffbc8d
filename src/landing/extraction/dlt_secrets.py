"""Secrets that dlt's own providers keep: `secrets.toml`, and vaults that were asked at run time."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from landing.extraction.dlt_bridge import secret_documents
from landing.secrets import is_secret_name, members, secrets_of


def dlt_secrets() -> Iterator[str]:
    for document in secret_documents():
        yield from _secrets_in(document)


@lru_cache(maxsize=16)
def _secrets_in(document: str) -> tuple[str, ...]:
    return tuple(_found(members(tomllib.loads(document))))


def _found(values: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """All texts, but of addresses, which messages need, only what is secret in them; and numbers
    whose names are those of secrets."""
    for name, value in values:
        if isinstance(value, str):
            yield from secrets_of(name, value)
            if "://" not in value:
                yield value
        elif is_secret_name(name):
            yield str(value)
