"""Secrets that dlt's own providers keep: `secrets.toml`, and vaults that were asked at run time."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from landing.extraction.dlt_bridge import secret_documents


def dlt_secrets() -> Iterator[str]:
    """All texts but addresses, which messages need: passwords in those are masked anyway."""
    for document in secret_documents():
        yield from _texts(tomllib.loads(document))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for member in value.values():
            yield from _texts(member)
    elif isinstance(value, list):
        for member in value:
            yield from _texts(member)
    elif isinstance(value, str) and "://" not in value:
        yield value
