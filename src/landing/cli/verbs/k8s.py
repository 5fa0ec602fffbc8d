"""`landing k8s`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from landing.catalog.workspace import Workspace
from landing.cli.arguments import add_json
from landing.cli.text.output import counted, print_json, printable, stdout_to_stderr
from landing.errors import UsageError

if TYPE_CHECKING:
    from landing.catalog.schedule import Schedule
    from landing.cli.json.shapes import CronJobs
    from landing.kubernetes import Timetable

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
    add_json(parser)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing import kubernetes
    from landing.catalog.orphans import orphans
    from landing.catalog.variables import source_variables

    timetable = kubernetes.timetable(workspace, options.per, _default(options))
    with stdout_to_stderr(options):
        for one in orphans(workspace):
            print(printable(f"note: {one.message}"))
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
    different = kubernetes.differences(folder, files) if options.check else []
    if not options.check:
        kubernetes.write(folder, files)
    done = _done(options, workspace.shown(folder), timetable, different)
    if options.json:
        print_json(done)
    else:
        _print(done)
    return 1 if different else 0


def _done(
    options: argparse.Namespace, folder: str, timetable: Timetable, differences: Sequence[str]
) -> CronJobs:
    from landing.cli.json.shapes import CronJob, CronJobs

    return CronJobs(
        folder=folder,
        written=not options.check,
        jobs=[
            CronJob(
                name=job.name, source=job.source, streams=job.streams, schedule=str(job.schedule)
            )
            for job in timetable.jobs
        ],
        unscheduled=timetable.unscheduled,
        differences=differences,
    )


def _print(done: CronJobs) -> None:
    for difference in done.differences:
        print(f"{done.folder}: {difference}")
    if done.written:
        print(f"{done.folder}: {counted(len(done.jobs), 'CronJob')}")
        for job in done.jobs:
            print(f"  {job.name}: {job.source} {' '.join(job.streams)}, at {job.schedule}")


def _default(options: argparse.Namespace) -> Schedule | None:
    from landing.catalog.schedule import parse_schedule

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
