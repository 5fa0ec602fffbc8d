"""The code location as a whole."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

import dagster as dg

from landing.catalog.workspace import Workspace, load_env_file, show_names
from landing.dagster.assets import asset_of
from landing.dagster.backfills import backfill_of
from landing.dagster.freshness import freshness_of
from landing.dagster.options import FIRST_DAY, RETRIES, LocationOptions, Span
from landing.dagster.streams import streams_of
from landing.errors import WorkspaceError

SENSOR = "landing_schedules"


def definitions(
    orchestration: str | os.PathLike[str],
    *,
    owners: Sequence[str] = (),
    retries: dg.RetryPolicy = RETRIES,
    backfill_by: Span = "month",
    backfill_from: date = FIRST_DAY,
) -> dg.Definitions:
    """The streams of the workspace, which is the folder that has `dlt/sources/` and `dag/`.

    `owners` are those of each asset, such as `team:data`. `retries` is for failures that may pass.
    Partitions of the past are `backfill_by` long, and those of a stream whose config has no
    `initial_value` begin at `backfill_from`. Raises WorkspaceError if there is no such workspace.
    """
    options = LocationOptions(
        workspace=_workspace(Path(orchestration).resolve()),
        owners=tuple(owners),
        retries=retries,
        backfill_by=backfill_by,
        backfill_from=backfill_from,
    )
    load_env_file(options.workspace)
    show_names(options.workspace)
    streams = list(streams_of(options.workspace))
    for stream in streams:
        if stream.mistake is not None:
            dg.get_dagster_logger("landing").warning(stream.mistake)
    assets = [asset_of(stream, options) for stream in streams]
    pasts = [backfill_of(stream, options) for stream in streams]
    freshness = freshness_of(streams, options)
    checks = [] if freshness is None else [freshness]
    return dg.Definitions(
        assets=[*assets, *(past for past in pasts if past is not None)],
        asset_checks=checks,
        sensors=list(_sensors(assets, checks)),
    )


def _workspace(root: Path) -> Workspace:
    workspace = Workspace(root)
    if not workspace.sources.is_dir():
        raise WorkspaceError(
            f"{root} is no workspace: it has no folder dlt/sources; give definitions() the path "
            "of one, such as Path(__file__).parent in orchestration/definitions.py"
        )
    return workspace


def _sensors(
    assets: Sequence[dg.AssetsDefinition], checks: Iterable[dg.AssetChecksDefinition]
) -> Iterable[dg.SensorDefinition]:
    """Starts what is due. Dagster makes such a sensor itself, but one that somebody would have to
    switch on."""
    checked: dg.AssetSelection = dg.AssetSelection.checks(
        *(key for check in checks for key in check.check_keys)
    )
    if assets:
        target = dg.AssetSelection.assets(*(key for asset in assets for key in asset.keys))
        yield dg.AutomationConditionSensorDefinition(
            SENSOR,
            target=target | checked,
            default_status=dg.DefaultSensorStatus.RUNNING,
            description="Materializes each stream when its schedule is due, and has its freshness "
            "looked at.",
        )
