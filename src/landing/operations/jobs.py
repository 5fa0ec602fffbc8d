"""Streams paired with their configs, for runs and plans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from landing.catalog.files import unknown_fields
from landing.catalog.stream_config import StreamConfig
from landing.columns.privacy import check_key
from landing.extraction.dlt_bridge import DltResource, clone
from landing.extraction.sources import Source
from landing.tables import place_of
from landing.zone.bucket import Bucket

Job: TypeAlias = tuple[StreamConfig, DltResource]


def jobs_of(source: Source, streams: Sequence[str], bucket: Bucket) -> list[Job]:
    """Raises UsageError if a config or a stream's name is wrong."""
    # Clones, since two streams may share a parent and each run prepares its own.
    resources = [clone(source.stream(stream)) for stream in streams]
    configs = [source.config(stream) for stream in streams]
    for config in configs:
        check_key(config.fields, config.origin)
        place_of(config, bucket.settings)
    return list(zip(configs, resources, strict=True))


def warnings_of(source: Source, config: StreamConfig) -> list[str]:
    """Possible mistakes in a config that do not prevent a run."""
    unknown = unknown_fields(config)
    file = source.workspace.shown(source.workspace.discovered_file(source.name, config.stream))
    warnings = [
        f"{file} has no field {name} (if the source has none, remove it from {config.origin})"
        for name in unknown
    ]
    if config.schedule_mistake is not None:
        warnings.append(f"{config.origin}: {config.schedule_mistake}")
    return warnings
