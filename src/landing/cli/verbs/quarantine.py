"""`landing quarantine list`, `show` and `land`."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from landing.catalog.workspace import Workspace, bucket_settings
from landing.cli.arguments import add_json, add_limit, add_source, add_stream
from landing.cli.text.output import counted, print_json, printable, sized, table_lines

if TYPE_CHECKING:
    from landing.cli.json.shapes import QuarantineLanded, QuarantineListed
    from landing.extraction.quarantine import KeptRow
    from landing.operations.quarantine_landing import Replayed, StreamQuarantine
    from landing.zone.bucket import Bucket

HELP = "records that did not fit: list them, show them, land them once the config is mended"
_LOADS_NAMED = 10


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="quarantine_verb", required=True, metavar="VERB")
    _configure_list(verbs.add_parser("list", help="which streams have what in quarantine, and why"))
    _configure_show(verbs.add_parser("show", help="print the records with their reasons"))
    _configure_land(verbs.add_parser("land", help="land the records that fit the config now"))
    for verb in verbs.choices.values():
        # Where the verb's own parser does not see it, the one above has it.
        verb.add_argument("--debug", action="store_true", default=argparse.SUPPRESS)


def _configure_list(parser: argparse.ArgumentParser) -> None:
    add_source(parser, is_optional=True)
    add_stream(parser, is_optional=True)
    add_json(parser)
    parser.set_defaults(quarantine_call=_list)


def _configure_show(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    add_stream(parser)
    add_limit(parser)
    parser.add_argument("--field", metavar="FIELD", help="only those with this field as reason")
    parser.add_argument(
        "--failed",
        action="store_true",
        help="those of the last run that failed for its quarantine_limit",
    )
    add_json(parser, is_lines=True)
    parser.set_defaults(quarantine_call=_show)


def _configure_land(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    add_stream(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="say how many would land; write nothing"
    )
    add_json(parser)
    parser.set_defaults(quarantine_call=_land)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.catalog.names import check_name
    from landing.zone.bucket import Bucket

    for name, what in ((options.source, "source"), (options.stream, "stream")):
        if name:
            check_name(name, what)
    bucket = Bucket(bucket_settings(workspace))
    code: int = options.quarantine_call(options, workspace, bucket)
    return code


def _list(options: argparse.Namespace, workspace: Workspace, bucket: Bucket) -> int:
    from landing.operations.quarantine_landing import quarantined_streams

    found = quarantined_streams(bucket, options.source or "", options.stream or "")
    if options.json:
        print_json([_listed(summary) for summary in found])
    elif not found:
        print("nothing is in quarantine")
    else:
        for summary in found:
            _print_summary(summary)
    return 0


def _listed(summary: StreamQuarantine) -> QuarantineListed:
    from landing.cli.json.shapes import QuarantinedLoad, QuarantineListed, QuarantineReason

    return QuarantineListed(
        source=summary.source,
        stream=summary.stream,
        records=summary.rows,
        failed_run=summary.failed,
        loads=[QuarantinedLoad(load_id=load, records=n) for load, n in summary.loads.items()],
        reasons=[
            QuarantineReason(field=field, reason=reason, records=n)
            for (field, reason), n in summary.reasons.most_common()
        ],
    )


def _print_summary(summary: StreamQuarantine) -> None:
    name = f"{summary.source}/{summary.stream}"
    if summary.rows:
        oldest = min(summary.loads)
        print(
            f"{name}: {counted(summary.rows, 'record')} of "
            f"{counted(len(summary.loads), 'load')}, since {_time(oldest)} ({_age(oldest)})"
        )
    for (field, reason), count in summary.reasons.most_common():
        print(f"  {count:>9,}  {printable(field)}: {printable(reason)}")
    for load_id in islice(summary.loads, _LOADS_NAMED):
        print(f"  load {load_id}, {_time(load_id)}: {counted(summary.loads[load_id], 'record')}")
    if (more := len(summary.loads) - _LOADS_NAMED) > 0:
        print(f"  and {counted(more, 'load')} more")
    if summary.failed:
        print(
            f"{name}: the last run failed with {counted(summary.failed, 'record')} that did not "
            f"fit, which the next one reads again (`landing quarantine show {summary.source} "
            f"{summary.stream} --failed`)"
        )


def _show(options: argparse.Namespace, workspace: Workspace, bucket: Bucket) -> int:
    from landing.operations.quarantine_landing import quarantined_rows
    from landing.zone.layout import StreamPaths

    paths = StreamPaths(options.source, options.stream)
    rows = (
        kept
        for kept in quarantined_rows(bucket, paths, failed=options.failed)
        if options.field in (None, kept.field)
    )
    shown = 0
    for kept in islice(rows, options.limit):
        shown += 1
        if options.json:
            print(printable(kept.line.decode(errors="replace").rstrip("\n")))
        else:
            _print_row(kept)
    if not shown and not options.json:
        print("nothing is in quarantine")
    elif next(rows, None) is not None and not options.json:
        print(f"…and more: say --limit for more than {options.limit:,}")
    return 0


def _print_row(kept: KeptRow) -> None:
    print(f"{_time(kept.load_id)}  {printable(kept.field)}: {printable(kept.reason)}")
    print(f"  {printable(kept.text)}")


def _land(options: argparse.Namespace, workspace: Workspace, bucket: Bucket) -> int:
    from landing.extraction.sources import load_source
    from landing.operations.quarantine_landing import plan_replay, replay

    config = load_source(workspace, options.source).config(options.stream)
    done = plan_replay(config, bucket) if options.dry_run else replay(config, bucket)
    if options.json:
        print_json(_outcome(options, done))
    else:
        _print_outcome(f"{config.source}/{config.stream}", done, is_planned=options.dry_run)
    return 0


def _outcome(options: argparse.Namespace, done: Replayed) -> QuarantineLanded:
    from landing.cli.json.shapes import QuarantineLanded, Staying

    return QuarantineLanded(
        source=options.source,
        stream=options.stream,
        dry_run=options.dry_run,
        rows=done.rows,
        files=done.files,
        bytes=done.bytes,
        location=done.location,
        stays=[Staying(reason=why, records=count) for why, count in done.stays.most_common()],
        table=done.table,
    )


def _print_outcome(name: str, done: Replayed, *, is_planned: bool) -> None:
    if not done.rows and not done.stays:
        print(f"{name}: nothing is in quarantine")
    elif is_planned:
        print(f"{name}: {counted(done.rows, 'record')} would land  (dry run: writes nothing)")
    else:
        print(f"{name}: {_landed(done)}")
    if done.table is not None:
        print("\n".join(table_lines(done.table)))
    for reason, count in done.stays.most_common():
        print(f"  {count:>9,} stay: {printable(reason)}")


def _landed(done: Replayed) -> str:
    if not done.rows:
        return "nothing landed"
    return (
        f"{counted(done.rows, 'row')} in {counted(done.files, 'file')} ({sized(done.bytes)}) "
        f"from quarantine to {done.location}"
    )


def _time(load_id: str) -> str:
    return f"{_moment(load_id):%Y-%m-%d %H:%M} UTC"


def _moment(load_id: str) -> datetime:
    return datetime.fromtimestamp(float(load_id), UTC)


def _age(load_id: str) -> str:
    age = datetime.now(UTC) - _moment(load_id)
    if age.days:
        return f"{counted(age.days, 'day')} ago"
    return f"{counted(age.seconds // 3600, 'hour')} ago" if age.seconds >= 3600 else "just now"
