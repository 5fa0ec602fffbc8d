"""Secrets that dlt's own providers keep: `secrets.toml`, and vaults that were asked at run time."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from landing.extraction.dlt_bridge import secret_documents
from landing.secrets import is_secret_name, secrets_of


def dlt_secrets() -> Iterator[str]:
    for document in secret_documents():
        yield from _secrets_in(document)


@lru_cache(maxsize=16)
def _secrets_in(document: str) -> tuple[str, ...]:
    return tuple(_texts("", tomllib.loads(document)))


def _texts(name: str, value: Any) -> Iterator[str]:
    """All texts, but of addresses, which messages need, only what is secret in them; and numbers
    whose names are those of secrets."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _texts(name, member)
    elif isinstance(value, list):
        for member in value:
            yield from _texts(name, member)
    elif isinstance(value, str):
        yield from secrets_of(name, value)
        if "://" not in value:
            yield value
    elif is_secret_name(name):
        yield str(value)
