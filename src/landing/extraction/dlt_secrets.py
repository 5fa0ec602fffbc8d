"""Secrets that dlt's own providers keep: `secrets.toml`, and vaults that were asked at run time."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from dlt.common.configuration.container import Container
from dlt.common.configuration.providers.doc import BaseDocProvider
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext


def dlt_secrets() -> Iterator[str]:
    """All texts but addresses, which messages need: passwords in those are masked anyway."""
    for provider in Container()[PluggableRunContext].providers.providers:
        if provider.supports_secrets and isinstance(provider, BaseDocProvider):
            yield from _texts(tomllib.loads(provider.to_toml()))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for member in value.values():
            yield from _texts(member)
    elif isinstance(value, list):
        for member in value:
            yield from _texts(member)
    elif isinstance(value, str) and "://" not in value:
        yield value
