"""`landing run`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.cli.arguments import (
    add_count,
    add_flag,
    add_json,
    add_source,
    add_streams,
    check_named,
)
from landing.cli.text.console import say
from landing.cli.text.output import complain, complain_of_each, exit_code, print_json
from landing.errors import LandingError, UsageError, listed

if TYPE_CHECKING:
    from landing.cli.text.run import RunDisplay
    from landing.events import Emit
    from landing.extraction.sources import Source
    from landing.observe.freshness import Late
    from landing.observe.progress import Every
    from landing.operations.planning import RunPlan
    from landing.operations.processes import Process
    from landing.results import RunResult

FORMATS = ("text", "json")
HELP = "land the new records of a source's streams as parquet"


def configure(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    add_streams(parser)
    add_flag(parser, "--all", "all selected streams of the source")
    add_count(parser, "--workers", "N", 8, "streams to run at the same time, in each process")
    add_count(
        parser,
        "--processes",
        "N",
        1,
        "processes that share the streams, if the source sets PARALLEL_LOGINS = True",
    )
    add_flag(
        parser,
        "--dry-run",
        "show what a run would do, and the first page as it would land; write nothing",
    )
    add_flag(parser, "--no-preview", "with --dry-run: make no requests")
    add_json(parser)
    parser.add_argument(
        "--log-format",
        choices=FORMATS,
        help="json: one event per line on standard error, and no other output (default: "
        "LANDING_LOG_FORMAT, or text)",
    )
    parser.add_argument(
        "--metrics-file",
        type=Path,
        metavar="PATH",
        help="write Prometheus metrics of the run to this file, for node-exporter",
    )


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.extraction.tuning import import_faster

    import_faster()
    if options.dry_run:
        return _plan(options, workspace)
    if options.no_preview:
        raise UsageError("--no-preview needs --dry-run")
    from landing.events import RunAborted, RunEnded
    from landing.observe import json_log

    options.log = json_log(options.source, options.log_format)
    with _processes(options, workspace) as processes, closing(_display(options)) as display:
        emit = _emit(options, workspace, display)
        try:
            return _run(options, workspace, emit, display, processes)
        except LandingError as error:
            emit(RunAborted(options.streams, error))
            raise
        except KeyboardInterrupt:
            display.leave()
            raise
        finally:
            emit(RunEnded())


def _processes(
    options: argparse.Namespace, workspace: Workspace
) -> AbstractContextManager[Sequence[Process]]:
    """No more than there are streams, and none for one."""
    if options.processes == 1:
        return nullcontext(())
    from landing.catalog.files import configured_streams
    from landing.operations.processes import started_processes

    streams = set(options.streams) or list(configured_streams(workspace, options.source))
    count = min(options.processes, len(streams))
    return started_processes(count if count > 1 else 0)


def _plan(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.cli.text.run import RunDisplay
    from landing.operations.planning import plan_streams
    from landing.zone.bucket import Bucket

    source, streams, broken = _chosen(options, workspace)
    settings = bucket_settings(workspace)
    if settings.is_default and not options.json:
        say(settings.default_note)
    with closing(RunDisplay(options.source, only_last=True)) as display:
        plans = plan_streams(
            source, streams, Bucket(settings), display, previews=not options.no_preview
        )
        made = list(_printed(plans, options))
    if options.json:
        from landing.cli.json import run as runjson

        print_json([runjson.plan(one) for one in made])
    complain_of_each(options.source, broken, options)
    return exit_code([*broken.values(), *filter(None, map(_failure, made))])


def _printed(plans: Iterable[RunPlan], options: argparse.Namespace) -> Iterator[RunPlan]:
    from landing.cli.text.plan import print_plan

    for plan in plans:
        if not options.json:
            print_plan(plan)
        if (error := _failure(plan)) is not None:
            complain(error, options)
        yield plan


def _failure(plan: RunPlan) -> LandingError | None:
    return None if plan.preview is None else plan.preview.error


def _run(
    options: argparse.Namespace,
    workspace: Workspace,
    emit: Emit,
    display: RunDisplay | Every,
    processes: Sequence[Process],
) -> int:
    from landing.events import RunWarning, StreamFailed
    from landing.operations import run
    from landing.zone.bucket import Bucket

    source, streams, broken = _chosen(options, workspace)
    settings = bucket_settings(workspace)
    if settings.is_default:
        emit(RunWarning(settings.default_note))
    for stream, error in broken.items():
        emit(StreamFailed(stream, error))
    bucket = Bucket(settings)
    if processes:
        from landing.operations.processes import run_in_processes

        result = run_in_processes(processes, source, streams, bucket, emit, options.workers)
    else:
        result = run.run_streams(source, streams, bucket, emit, options.workers)
    display.close()
    failed = {**broken, **result.failed}
    _report(options, result, failed)
    return exit_code(failed.values())


def _report(options: argparse.Namespace, result: RunResult, failed: dict[str, Exception]) -> None:
    if options.json:
        from landing.cli.json import run as runjson

        print_json(runjson.results(options.source, result, failed))
    if options.log is not None:
        return
    from landing.cli.text.results import print_remedies, print_results

    if not options.json:
        print_results(result)
    print_remedies(result)
    complain_of_each(options.source, failed, options)


def _chosen(
    options: argparse.Namespace, workspace: Workspace
) -> tuple[Source, list[str], dict[str, LandingError]]:
    """The source, its streams to run, and the errors of configs that can't be read."""
    from landing.extraction.sources import load_source
    from landing.extraction.tuning import tune_process
    from landing.operations import run

    source = load_source(workspace, options.source)
    tune_process()
    streams: list[str] = options.streams
    check_named(options, workspace, "run")
    if options.processes > 1:
        from landing.operations.processes import check_parallel

        check_parallel(source)
    if not options.all:
        return source, streams, {}
    streams, broken = run.selected_streams(source)
    if not streams and not broken:
        raise UsageError(_none_selected(source.name, workspace))
    return source, streams, broken


def _display(options: argparse.Namespace) -> RunDisplay | Every:
    """What shows how far the run is."""
    if options.log is None:
        from landing.cli.text.run import RunDisplay

        return RunDisplay(options.source)
    from landing.observe.progress import Every

    return Every(options.log.at)


def _emit(options: argparse.Namespace, workspace: Workspace, display: Emit) -> Emit:
    from landing.cli.text.run import Terminal
    from landing.events import FanOut
    from landing.observe import observers
    from landing.observe.freshness import late_streams
    from landing.page.publishing import after_runs

    source: str = options.source

    def late() -> Iterator[Late]:
        from landing.zone.bucket import Bucket

        bucket = Bucket(bucket_settings(workspace))
        return late_streams(workspace, source, bucket, datetime.now(UTC))

    # The one for a person comes last: it is closed when the others have reported their errors.
    summarizes = sys.stdout.isatty() and not options.json
    person = options.log or Terminal(source, to_stderr=options.json, summarizes=summarizes)
    others = [*observers(workspace, source, options.metrics_file, late), *after_runs(workspace)]
    return FanOut([display, *others, person])


def _none_selected(source: str, workspace: Workspace) -> str:
    from landing.catalog.files import configured_streams

    names = list(configured_streams(workspace, source))
    folder = workspace.shown(workspace.config_dir(source))
    if not names:
        return (
            f"{folder} has no stream configs: `landing select {source}` writes them; or copy files "
            f"there from dag/sources/{source}/, keep the fields to land, and set "
            '"selected": true'
        )
    return f'{folder}: no stream is selected: set "selected": true in one of {listed(names)}'
