"""`landing k8s`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from landing.cli.output import counted
from landing.errors import UsageError
from landing.workspace import Workspace

if TYPE_CHECKING:
    from landing.schedule import Schedule

HELP = "render a kustomize base of CronJobs from the schedules of stream configs"
FOLDER = Path("deploy") / "kubernetes" / "base"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Each selected stream with a schedule is run by a CronJob. The same stream configs give "
        "the same files."
    )
    parser.add_argument(
        "--per",
        choices=["source", "stream"],
        default="source",
        help="a CronJob for each source, whose streams then share one pace, or for each stream "
        "(default source)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help=f"where the base is (default {FOLDER} of the repository)",
    )
    parser.add_argument(
        "--default-schedule",
        metavar="CRON",
        help="for selected streams whose config has no schedule; without it they are left out",
    )
    parser.add_argument(
        "--default-timezone", metavar="ZONE", help="of --default-schedule (default UTC)"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; exit with 1 if the folder is not what would be written",
    )


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing import kubernetes
    from landing.variables import source_variables

    timetable = kubernetes.timetable(workspace, options.per, _default(options))
    for stream in timetable.unscheduled:
        print(f"{stream}: has no schedule, and is left out (or say --default-schedule)")
    if not timetable.jobs:
        raise UsageError(
            f"no stream to start: in {workspace.shown(workspace.root / 'dag' / 'streams')}, set "
            '"selected": true and "schedule" in those to run'
        )
    sources = {job.source for job in timetable.jobs}
    variables = {source: bool(source_variables(workspace, source)) for source in sources}
    files = kubernetes.rendered(timetable, variables)
    folder = options.output or workspace.repository / FOLDER
    shown = workspace.shown(folder)
    if options.check:
        different = kubernetes.differences(folder, files)
        for difference in different:
            print(f"{shown}: {difference}")
        return 1 if different else 0
    kubernetes.write(folder, files)
    print(f"{shown}: {counted(len(timetable.jobs), 'CronJob')}")
    for job in timetable.jobs:
        print(f"  {job.name}: {job.source} {' '.join(job.streams)}, at {job.schedule}")
    return 0


def _default(options: argparse.Namespace) -> Schedule | None:
    from landing.schedule import parse_schedule

    if options.default_schedule is None:
        if options.default_timezone is not None:
            raise UsageError("--default-timezone goes with --default-schedule; say both")
        return None
    written = {"cron": options.default_schedule}
    if options.default_timezone is not None:
        written["timezone"] = options.default_timezone
    try:
        return parse_schedule(written)
    except ValueError as error:
        raise UsageError(f"--default-schedule: {error}") from None
