"""`landing k8s`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from landing.catalog.workspace import Workspace
from landing.cli.arguments import add_check, add_json
from landing.cli.text.console import say
from landing.cli.text.output import ARROW, print_json
from landing.errors import UsageError, counted
from landing.results import shaped

if TYPE_CHECKING:
    from landing.catalog.schedule import Schedule
    from landing.cli.json.shapes import CronJobs
    from landing.kubernetes import Change, Timetable

HELP = "write Kubernetes CronJobs, as a kustomize base, from the schedules in stream configs"
FOLDER = Path("deploy") / "kubernetes" / "base"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "A CronJob runs each selected stream that has a schedule. The same stream configs "
        "always produce the same files."
    )
    parser.add_argument(
        "--per",
        choices=["source", "stream"],
        default="source",
        help="a CronJob for each source, whose streams then share one rate limit, or for each "
        "stream (default source)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help=f"the folder to write (default {FOLDER} in the repository)",
    )
    parser.add_argument(
        "--default-schedule",
        metavar="CRON",
        help="the schedule of selected streams without one; by default they are left out",
    )
    parser.add_argument(
        "--default-timezone",
        metavar="ZONE",
        help="the time zone of --default-schedule (default UTC)",
    )
    parser.add_argument(
        "--service-account",
        metavar="NAME",
        help="the service account of the pods, such as one with an AWS role (default: none)",
    )
    add_check(parser)
    add_json(parser)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing import kubernetes
    from landing.catalog.orphans import REMEDY, orphans

    folder = options.output or workspace.repository / FOLDER
    existing = kubernetes.existing_jobs(folder)
    timetable = kubernetes.timetable(workspace, options.per, _default(options), existing)
    for one in orphans(workspace):
        if one.source in {job.source for job in existing}:
            raise UsageError(
                f"{workspace.shown(folder)} runs {one.source}, but {one.message}; nothing was "
                "written",
                remedy=REMEDY,
            )
        say(one.message, mark="note: ")
    for stream in timetable.unscheduled:
        say(f"{stream}: left out, as it has no schedule (or use --default-schedule)")
    if not (timetable.jobs or existing or options.check):
        raise UsageError(
            f"no stream to run: in {workspace.shown(workspace.root / 'dag' / 'streams')}, set "
            '"selected": true and "schedule" in those to run'
        )
    files = rendered(workspace, timetable, _service_account(options))
    changes = kubernetes.changes(folder, files)
    different = kubernetes.differences(folder, files) if options.check else []
    if not options.check:
        kubernetes.write(folder, files)
    done = _done(options, workspace.shown(folder), timetable, changes, different)
    if options.json:
        print_json(done)
    else:
        _print(done)
    return 1 if different else 0


def rendered(
    workspace: Workspace, timetable: Timetable, service_account: str | None = None
) -> dict[str, str]:
    """The files of the base, by name."""
    from landing import kubernetes
    from landing.catalog.variables import source_variables

    sources = {job.source for job in timetable.jobs}
    variables = {source: bool(source_variables(workspace, source)) for source in sources}
    return kubernetes.rendered(timetable, variables, service_account)


def _done(
    options: argparse.Namespace,
    folder: str,
    timetable: Timetable,
    changes: Sequence[Change],
    differences: Sequence[str],
) -> CronJobs:
    from landing.cli.json.shapes import CronJob, CronJobChange, CronJobs

    return CronJobs(
        folder=folder,
        written=not options.check,
        jobs=[shaped(CronJob, job, schedule=str(job.schedule)) for job in timetable.jobs],
        changes=[shaped(CronJobChange, change) for change in changes],
        unscheduled=timetable.unscheduled,
        differences=differences,
    )


def _print(done: CronJobs) -> None:
    for difference in done.differences:
        say(f"{done.folder}: {difference}")
    if done.written:
        say(f"{done.folder}: {counted(len(done.jobs), 'CronJob')}")
        for job in done.jobs:
            say(f"  {job.name}: {job.source} {' '.join(job.streams)}, at {job.schedule}")
        for one in done.changes:
            say(f"{one.change} {': '.join(filter(None, (one.name, '; '.join(one.details))))}")
        if any(one.change == "removed" for one in done.changes):
            say("`kubectl apply --prune` removes that from the cluster, too (docs/deployment.md)")
        elif done.changes:
            say("`kubectl apply` brings that into the cluster (docs/deployment.md)", mark=ARROW)


def _service_account(options: argparse.Namespace) -> str | None:
    name: str | None = options.service_account
    if name is not None and not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", name):
        raise UsageError(
            f"--service-account: '{name}' can't be a service account's name: lower-case letters, "
            "digits, '-' and '.' only, and a letter or digit at both ends"
        )
    return name


def _default(options: argparse.Namespace) -> Schedule | None:
    from landing.catalog.schedule import parse_schedule

    if options.default_schedule is None:
        if options.default_timezone is not None:
            raise UsageError("--default-timezone needs --default-schedule")
        return None
    written = {"cron": options.default_schedule}
    if options.default_timezone is not None:
        written["timezone"] = options.default_timezone
    try:
        return parse_schedule(written)
    except ValueError as error:
        raise UsageError(f"--default-schedule: {error}") from None
