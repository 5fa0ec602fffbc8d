"""Freshness checks: whether streams landed when they were due, and request what is new. They run
once an hour."""

# Dagster checks the annotation of `context` against its classes: it can't be a string.

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from landing.catalog.settings import bucket_settings
from landing.dagster.options import LocationOptions
from landing.dagster.outcomes import message
from landing.dagster.specs import live_spec
from landing.dagster.streams import Stream
from landing.observe.freshness import Late

if TYPE_CHECKING:
    from landing.observe.ahead import AheadStream

NAME = "freshness"
CRON = "0 * * * *"


def freshness_of(
    streams: Sequence[Stream], options: LocationOptions
) -> dg.AssetChecksDefinition | None:
    """One step that checks all streams with a schedule or a mistake, by the time at which each
    one's state was last written in the bucket. None if there are no such streams."""
    watched = {live_spec(one, options).key: one for one in streams if _is_watched(one)}
    if not watched:
        return None

    @dg.multi_asset_check(
        name=f"{NAME}_of_streams", specs=list(map(_spec, watched)), can_subset=True
    )
    def freshness(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        with message(context, options.retries):
            keys = [check.asset_key for check in context.selected_asset_check_keys]
            found = list(_results({key: watched[key] for key in keys}, options))
        yield from found

    return freshness


def _is_watched(stream: Stream) -> bool:
    return stream.mistake is not None or (
        stream.config is not None and stream.config.schedule is not None
    )


def _spec(key: dg.AssetKey) -> dg.AssetCheckSpec:
    # Not on_cron, which waits for the asset: a late one would never be checked.
    passed: dg.AutomationCondition[Any] = dg.AutomationCondition.cron_tick_passed(CRON)
    return dg.AssetCheckSpec(
        NAME,
        asset=key,
        description="A run has landed since the stream was last due, at least an hour ago, and "
        "its cursor is not in the future.",
        automation_condition=passed.since_last_handled().with_label("once an hour"),
    )


def _results(
    streams: Mapping[dg.AssetKey, Stream], options: LocationOptions
) -> Iterator[dg.AssetCheckResult]:
    stale = _stale(list(streams.values()), options)
    for key, stream in streams.items():
        found = "; ".join(map(str, stale.get((stream.source, stream.name), ())))
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=NAME,
            passed=not found and stream.mistake is None,
            description=stream.mistake or found or "landed since it was due",
        )


def _stale(
    streams: Sequence[Stream], options: LocationOptions
) -> Mapping[tuple[str, str], Sequence["Late | AheadStream"]]:
    """Those among them that are late, or whose cursor is ahead. Sends the alerts of
    `landing fresh`."""
    from landing.observe.ahead import ahead_streams
    from landing.observe.alerts import alert_of_stale
    from landing.observe.freshness import late_streams
    from landing.zone.bucket import Bucket

    bucket, now = Bucket(bucket_settings(options.workspace)), datetime.now(UTC)
    sources = sorted({stream.source for stream in streams})
    selected = {(stream.source, stream.name) for stream in streams}
    workspace = options.workspace
    late = [one for source in sources for one in late_streams(workspace, source, bucket, now)]
    late = [one for one in late if (one.source, one.stream) in selected]
    ahead = [one for source in sources for one in ahead_streams(workspace, source, bucket, now)]
    ahead = [one for one in ahead if (one.source, one.stream) in selected]
    alert_of_stale(workspace, bucket, selected, late, ahead)
    stale = defaultdict[tuple[str, str], list["Late | AheadStream"]](list)
    stuck = [one for one in ahead if one.ahead.is_cursor]
    found: list[Late | AheadStream] = [*late, *stuck]
    for one in found:
        stale[one.source, one.stream].append(one)
    return stale
