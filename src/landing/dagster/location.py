"""Assembles the code location."""

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
from landing.dagster.translator import StreamTranslator
from landing.errors import WorkspaceError

SENSOR = "landing_schedules"


def definitions(
    orchestration: str | os.PathLike[str],
    *,
    owners: Sequence[str] = (),
    retries: dg.RetryPolicy = RETRIES,
    backfill_by: Span = "month",
    backfill_from: date = FIRST_DAY,
    translator: StreamTranslator | None = None,
) -> dg.Definitions:
    """The streams of the workspace `orchestration`, the folder that has `dlt/sources/` and `dag/`.

    `owners` are the owners of every asset, such as `team:data`. `retries` applies to failures that
    may be temporary. Partitions of the past are one `backfill_by` long; for a stream whose config
    has no `initial_value` they begin at `backfill_from`. `translator` changes how streams appear as
    assets. Raises WorkspaceError if the folder is
    not a workspace.
    """
    options = LocationOptions(
        workspace=_workspace(Path(orchestration).resolve()),
        owners=tuple(owners),
        retries=retries,
        backfill_by=backfill_by,
        backfill_from=backfill_from,
        translator=translator or StreamTranslator(),
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
            f"{root} is not a workspace: it has no folder dlt/sources; give definitions() "
            "the path of one, such as Path(__file__).parent in orchestration/definitions.py"
        )
    return workspace


def _sensors(
    assets: Sequence[dg.AssetsDefinition], checks: Iterable[dg.AssetChecksDefinition]
) -> Iterable[dg.SensorDefinition]:
    """The sensor that starts what is due. Dagster's own default sensor would have to be switched
    on first."""
    checked: dg.AssetSelection = dg.AssetSelection.checks(
        *(key for check in checks for key in check.check_keys)
    )
    if assets:
        target = dg.AssetSelection.assets(*(key for asset in assets for key in asset.keys))
        yield dg.AutomationConditionSensorDefinition(
            SENSOR,
            target=target | checked,
            default_status=dg.DefaultSensorStatus.RUNNING,
            description="Materializes each stream when it is due, and runs its freshness check.",
        )
