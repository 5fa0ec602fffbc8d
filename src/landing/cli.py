"""The command line: parses, calls, prints. `landing VERB …`, or a workspace's own scripts."""

from __future__ import annotations

import argparse
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from landing import __version__
from landing.errors import LandingError, LeaseHeld, UsageError, listed
from landing.workspace import Workspace, bucket_settings, find_workspace, load_env_file

if TYPE_CHECKING:
    from landing.discovery import DiscoveryResult
    from landing.report import RunResult, StreamResult
    from landing.run import Plan

# The engine is imported inside the verbs: `--help` and a wrong word should not wait for dlt.

EXIT_CODES = (
    "exit codes: 0 all done, 1 a stream failed or differs, 2 wrong usage or configuration, "
    "3 another run of the stream is under way"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script `landing`: the workspace is the one of the current folder."""
    parser = argparse.ArgumentParser(prog="landing", epilog=EXIT_CODES)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, verb in _VERBS.items():
        verb.configure(verbs.add_parser(name, help=verb.help, epilog=EXIT_CODES))
    options = parser.parse_args(arguments)
    return _guarded(_VERBS[options.verb].call, options, Path.cwd())


def script(verb: str, file: str) -> int:
    """A workspace's own script for one verb: the workspace is the one the script lies in."""
    parser = argparse.ArgumentParser(prog=Path(file).name, epilog=EXIT_CODES)
    _VERBS[verb].configure(parser)
    return _guarded(_VERBS[verb].call, parser.parse_args(), Path(file).parent)


def _guarded(
    call: Callable[[argparse.Namespace, Workspace], int], options: argparse.Namespace, start: Path
) -> int:
    # A pod is ended with SIGTERM: unwinding gives the lease back.
    signal.signal(signal.SIGTERM, _terminate)
    try:
        workspace = find_workspace(start)
        load_env_file(workspace)
        return call(options, workspace)
    except LandingError as error:
        _complain(error, options)
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        print("interrupted; the next run goes on from the last load", file=sys.stderr)
        return 143 if isinstance(interrupt, _Terminated) else 130
    except BrokenPipeError:
        return 0


class _Terminated(KeyboardInterrupt):
    pass


def _terminate(number: int, frame: object) -> None:
    raise _Terminated


class _Discover:
    help = "sample a source's API and write what it can provide to dag/sources/"

    @staticmethod
    def configure(parser: argparse.ArgumentParser) -> None:
        parser.description = f"Example: {parser.prog} odoo orders --sample-limit=50"
        parser.add_argument("source", metavar="SOURCE")
        parser.add_argument("streams", metavar="STREAM", nargs="*", help="all, if none is named")
        parser.add_argument(
            "--sample-limit",
            type=_positive,
            default=100,
            metavar="N",
            help="records to ask the API for, per stream (default 100)",
        )
        parser.add_argument(
            "--check",
            action="store_true",
            help="write nothing; exit 1 if a file differs from what the API shows",
        )
        _common(parser)

    @staticmethod
    def call(options: argparse.Namespace, workspace: Workspace) -> int:
        from landing.discovery import discover
        from landing.sources import load_source

        source = load_source(workspace, options.source)
        result = discover(source, options.streams, options.sample_limit, write=not options.check)
        differs = _print_discovery(result, workspace, options)
        for stream, error in result.failed.items():
            kept = workspace.discovered_file(source.name, stream)
            _complain(error, options)
            if kept.is_file():
                print(f"       {workspace.shown(kept)} is left as it was", file=sys.stderr)
        if result.failed:
            return _exit_code(result.failed.values())
        return 1 if options.check and differs else 0


class _Run:
    help = "land what is new of a source's streams as parquet"

    @staticmethod
    def configure(parser: argparse.ArgumentParser) -> None:
        parser.description = f"Example: {parser.prog} odoo orders order_lines"
        parser.add_argument("source", metavar="SOURCE")
        parser.add_argument("streams", metavar="STREAM", nargs="*")
        parser.add_argument("--all", action="store_true", help="all configured, selected streams")
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="show what would be done; ask for no records and write nothing",
        )
        _common(parser)

    @staticmethod
    def call(options: argparse.Namespace, workspace: Workspace) -> int:
        from landing import run
        from landing.bucket import Bucket
        from landing.sources import load_source
        from landing.tuning import tune_process

        source = load_source(workspace, options.source)
        tune_process()
        broken: dict[str, LandingError] = {}
        streams: list[str] = options.streams
        if bool(streams) == options.all:
            raise UsageError(_which(source.name, workspace, named=bool(streams)))
        if options.all:
            streams, broken = run.selected_streams(source)
            if not streams and not broken:
                raise UsageError(_none_selected(source.name, workspace))
        settings = bucket_settings(workspace)
        if settings.is_default:
            print(f"DLT_BUCKET_URL is not set: landing in {settings.url}")
        bucket = Bucket(settings)
        if options.dry_run:
            _print_plans(run.plan_streams(source, streams, bucket))
            failed: dict[str, Exception] = dict(broken)
        else:
            result = run.run_streams(source, streams, bucket, _Terminal(source.name))
            _print_results(result)
            failed = {**broken, **result.failed}
        for error in failed.values():
            _complain(error, options)
        return _exit_code(failed.values())


_VERBS: dict[str, type[_Discover] | type[_Run]] = {"discover": _Discover, "run": _Run}


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--debug", action="store_true", help="show where in the code a failure came from"
    )


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of records above 0")
    return number


def _which(source: str, workspace: Workspace, *, named: bool) -> str:
    if named:
        return "name streams or say --all, not both"
    from landing.catalog import configured_streams

    configured = listed(configured_streams(workspace, source))
    return f"name the streams to run, or say --all; configured for '{source}': {configured}"


def _none_selected(source: str, workspace: Workspace) -> str:
    from landing.catalog import configured_streams

    names = list(configured_streams(workspace, source))
    folder = workspace.shown(workspace.config_dir(source))
    if not names:
        return (
            f"{folder} has no stream configs: copy files there from dag/sources/{source}/, keep "
            'the fields you want, and set "selected": true'
        )
    return f'{folder}: no stream is selected: set "selected": true in one of {listed(names)}'


def _exit_code(errors: Iterable[Exception]) -> int:
    codes = [getattr(error, "exit_code", 1) for error in errors]
    if not codes:
        return 0
    if UsageError.exit_code in codes:
        return UsageError.exit_code
    return LeaseHeld.exit_code if set(codes) == {LeaseHeld.exit_code} else 1


def _complain(error: BaseException, options: argparse.Namespace) -> None:
    print(f"error: {error}", file=sys.stderr)
    if options.debug:
        from landing.failures import redacted

        print(redacted("".join(traceback.format_exception(error))), file=sys.stderr)


class _Terminal:
    """Tells a person about a run as it goes on."""

    def __init__(self, source: str) -> None:
        self._source = source

    def note(self, stream: str, text: str) -> None:
        print(f"{self._source}/{stream}: {text}")

    def progress(self, stream: str, rows: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{self._source}/{stream}: {rows:,} rows read", end="", file=sys.stderr)


def _print_discovery(
    result: DiscoveryResult, workspace: Workspace, options: argparse.Namespace
) -> bool:
    """Say what was found; True if anything differs from the files that were there."""
    from landing.discovery import spelled

    differs = False
    for name, found in result.found.items():
        file = workspace.shown(workspace.discovered_file(options.source, name))
        state = "new" if found.is_new else "changed" if found.changes else "unchanged"
        differs = differs or state != "unchanged"
        print(f"{file}: {_counted(len(found.schema.fields), 'field')}, {state}")
        for change in found.changes:
            print(f"  {change}")
        for field_name, field in found.schema.fields.items():
            if len(field.kinds) > 1 and not field.kinds <= {"array", "object"}:
                print(f"  ! {field_name}: mixed kinds, {spelled(field)}; lands as text")
            elif not field.kinds:
                print(f"  ! {field_name}: null in every sampled record; lands as text")
        for cursor in found.schema.defaults.cursor_field or []:
            field = found.schema.fields[cursor]
            if field.kinds == {"string"} and field.format is None:
                print(f"  ! {cursor}: the cursor, and no date-time: compared as text")
    for name in result.gone:
        differs = True
        file = workspace.shown(workspace.discovered_file(options.source, name))
        print(f"{file}: the source has no such stream any more; delete the file")
    return differs


def _print_plans(plans: Sequence[Plan]) -> None:
    for plan in plans:
        config = plan.config
        print(f"{config.source}/{config.stream}  (dry run: asks for no records, writes nothing)")
        print(f"  config    {config.origin}")
        print(f"  mode      {config.sync_mode}, {config.destination_sync_mode}")
        print(f"  key       {', '.join(config.primary_key) or 'none'}")
        if config.is_incremental:
            since = "the beginning" if plan.cursor is None else plan.cursor
            print(f"  cursor    {config.cursor_field}, from {since}")
        print(f"  to        {plan.location}/year=YYYY/month=MM/day=DD/{{load_id}}.{{part}}.parquet")
        for doubt in plan.doubts:
            print(f"  !         {doubt}")
        print(f"  columns   {len(plan.columns)}")
        width = max(len(name) for name in plan.columns.names)
        for column in plan.columns:
            print(f"    {column.name:<{width}}  {column.type}")


def _print_results(result: RunResult) -> None:
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    for stream in result.landed:
        print(_summary(stream))


def _summary(result: StreamResult) -> str:
    name = f"{result.source}/{result.stream}"
    if not result.files:
        return f"{name}: nothing new{_cursor(result)}, {result.seconds:.1f} s"
    return (
        f"{name}: {_counted(result.rows, 'row')} in {_counted(result.files, 'file')} "
        f"({_size(result.bytes)}) to {result.location}{_cursor(result)}, {result.seconds:.1f} s"
    )


def _cursor(result: StreamResult) -> str:
    if result.cursor_after is None:
        return ""
    if result.cursor_before in (None, result.cursor_after):
        return f", cursor {result.cursor_after}"
    return f", cursor {result.cursor_before} → {result.cursor_after}"


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "KB", "MB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GB"
