"""How streams appear as assets: their key, group, owners, tags, dependencies, automation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dagster as dg

from landing.catalog.stream_config import StreamConfig


@dataclass(frozen=True)
class StreamAsset:
    """What a translator knows of an asset."""

    source: str
    stream: str
    config: StreamConfig | None
    """None if the stream config can't be read."""
    is_backfill: bool
    """Whether it is the stream's past, in partitions."""
    spec: dg.AssetSpec
    """The asset as it is without a translator."""


class StreamTranslator:
    """Subclass it and change the spec, as for the translators of Dagster's own integrations:

        class InTeams(StreamTranslator):
            def get_asset_spec(self, data: StreamAsset) -> dg.AssetSpec:
                spec = super().get_asset_spec(data)
                return spec.replace_attributes(owners=[f"team:{data.source}"])

    A key must depend on nothing but `data`: Dagster loads the code location in many processes.
    """

    def get_asset_spec(self, data: StreamAsset) -> dg.AssetSpec:
        return data.spec


def when_due(config: StreamConfig) -> dg.AutomationCondition[Any] | None:
    """Due at each time of the schedule. While a run is queued or in progress, due times are not
    counted up: the stream runs once when that run has ended."""
    if config.schedule is None:
        return None
    cron, timezone = config.schedule.cron, config.schedule.timezone
    is_idle = ~dg.AutomationCondition.in_progress()
    due = dg.AutomationCondition.on_cron(cron, timezone) & is_idle
    return due.with_label(f"{cron} ({timezone})")
