"""All files of the dbt package, from the stream configs alone: the same configs, the same files."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from landing.catalog.files import valid_configs
from landing.catalog.stream_config import StreamConfig
from landing.catalog.workspace import Workspace
from landing.operations.dbt import models, properties

TEMPLATE = Path(__file__).parent / "template"
SUFFIX = ".tmpl"


@dataclass(frozen=True)
class Package:
    files: dict[str, str]
    """Text by path in the package."""
    models: tuple[str, ...]
    left_out: dict[str, str]
    """Why there is no model of a stream, by `source/stream`."""


def package_of(workspace: Workspace) -> Package:
    """The package of all selected streams. Raises CatalogError if a config is wrong."""
    configs, left_out = [], {}
    for config in valid_configs(workspace):
        if (reason := _obstacle(config)) is not None:
            left_out[f"{config.source}/{config.stream}"] = reason
        else:
            configs.append(config)
    names = _model_names(configs)
    files = dict(_template())
    for name, config in zip(names, configs, strict=True):
        files |= _files(config, name)
    return Package(files, tuple(names), left_out)


def _template() -> Iterator[tuple[str, str]]:
    for file in sorted(TEMPLATE.rglob(f"*{SUFFIX}")):
        name = file.relative_to(TEMPLATE).as_posix().removesuffix(SUFFIX)
        yield name, file.read_text(encoding="utf-8")


def _files(config: StreamConfig, name: str) -> dict[str, str]:
    folder = f"models/{config.source}/{config.stream}"
    files = {
        f"{folder}/sources.yml": properties.source(config),
        f"{folder}/models.yml": properties.model(config, name),
        f"{folder}/{name}.sql": models.model(config),
    }
    if config.primary_key and not properties.has_plain_key(config):
        files[f"tests/{name}_key.sql"] = models.key_test(config, name)
    return files


def _obstacle(config: StreamConfig) -> str | None:
    """Why there is no model of the stream."""
    if config.mode_is_open:
        return "its config does not say how it is synced; set sync_mode"
    taken: dict[str, str] = {}
    for name in config.fields:
        if not name:
            return "DuckDB takes no column without a name; leave that field out of its config"
        if (other := taken.setdefault(name.lower(), name)) != name:
            return (
                f"DuckDB can't tell the fields {other} and {name} apart; leave one out of its "
                "config, or rename it in the stream"
            )
    return None


def _model_names(configs: Sequence[StreamConfig]) -> list[str]:
    """`stg_{source}__{stream}`, with a digest where names differ only in case or punctuation."""
    plain = [
        "stg_" + re.sub(r"[^a-z0-9_]", "_", f"{config.source}__{config.stream}".lower())
        for config in configs
    ]
    taken = Counter(plain)
    return [
        name if taken[name] == 1 else f"{name}_{_digest(f'{config.source}/{config.stream}')}"
        for name, config in zip(plain, configs, strict=True)
    ]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
