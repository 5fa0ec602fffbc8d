"""The specs of a stream's assets, as the location's translator has them."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from landing.catalog.stream_config import StreamConfig
from landing.dagster import metadata
from landing.dagster.options import LocationOptions
from landing.dagster.streams import Stream
from landing.dagster.translator import StreamAsset, when_due

KINDS = {"dlt", "parquet"}


def live_spec(stream: Stream, options: LocationOptions) -> dg.AssetSpec:
    """The asset that runs the stream, or that shows the mistake in its config."""
    config = stream.config
    spec = _spec(stream, dg.AssetKey([stream.source, stream.name]), stream.group, options)
    if config is None:
        description = f"**This stream can't be run.** {stream.mistake}"
        spec = _with(spec, description, {"landing/broken": "true"})
    else:
        spec = _with(spec, _description(stream, config), {"landing/sync_mode": config.sync_mode})
        spec = spec.replace_attributes(
            metadata=metadata.of_config(config), automation_condition=when_due(config)
        )
    return _translated(stream, options, spec, is_backfill=False)


def backfill_spec(
    stream: Stream, options: LocationOptions, partitions: dg.PartitionsDefinition[str]
) -> dg.AssetSpec:
    """The past, in a group of its own: Dagster's "Materialize all" of the streams' group then runs
    them without asking for partitions."""
    key = dg.AssetKey([stream.source, stream.name, "backfill"])
    cursor = stream.config and stream.config.cursor_field
    spec = _with(
        _spec(stream, key, f"{stream.group}_backfills", options),
        f"The past of {stream.source}/{stream.name}: the records whose {cursor} is in the "
        f"{options.backfill_by}, landed alongside the live runs, whose cursor does not change.",
        {"landing/backfill": options.backfill_by},
    ).replace_attributes(partitions_def=partitions)
    return _translated(stream, options, spec, is_backfill=True)


def _spec(stream: Stream, key: dg.AssetKey, group: str, options: LocationOptions) -> dg.AssetSpec:
    owners, tags = list(options.owners), {"landing/source": stream.source}
    return dg.AssetSpec(key, group_name=group, owners=owners, tags=tags, kinds=KINDS)


def _with(spec: dg.AssetSpec, description: str, tags: Mapping[str, str]) -> dg.AssetSpec:
    return spec.merge_attributes(tags=dict(tags)).replace_attributes(description=description)


def _translated(
    stream: Stream, options: LocationOptions, spec: dg.AssetSpec, *, is_backfill: bool
) -> dg.AssetSpec:
    data = StreamAsset(stream.source, stream.name, stream.config, is_backfill, spec)
    return options.translator.get_asset_spec(data)


def _description(stream: Stream, config: StreamConfig) -> str:
    message = config.description or f"Stream {stream.name} of {stream.source}."
    return f"{message}\n\n**No schedule**: {stream.mistake}" if stream.mistake else message
