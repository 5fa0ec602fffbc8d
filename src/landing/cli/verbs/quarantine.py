"""`landing quarantine list`, `show`, `land` and `drop`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.cli.arguments import (
    add_flag,
    add_json,
    add_limit,
    add_source,
    add_stream,
    add_yes,
    is_agreed,
)
from landing.cli.parser import add_verbs
from landing.cli.text.console import put, put_document, say
from landing.cli.text.output import print_json, print_table
from landing.errors import UsageError, counted, sized
from landing.results import most_common, shaped

if TYPE_CHECKING:
    from landing.cli.json.shapes import QuarantineListed
    from landing.extraction.kept_rows import KeptRow
    from landing.operations.quarantine_landing import Replayed
    from landing.operations.quarantine_removal import Removal
    from landing.operations.quarantined import StreamQuarantine
    from landing.zone.bucket import Bucket

HELP = "records that did not fit: list, show, land them once the config is fixed, or drop them"
_LOADS_NAMED = 10


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "A record whose values do not fit its stream's config is kept in quarantine, and lands "
        "with `land` once they do."
    )
    verbs = add_verbs(
        parser,
        {
            "list": ("list the streams with records in quarantine, and why they are there", _list),
            "show": ("print the records with their reasons", _show),
            "land": ("land the records that fit the config now", _land),
            "drop": ("remove records that are not going to land", _drop),
        },
    )
    for name, verb in verbs.items():
        add_source(verb, is_optional=name == "list")
        add_stream(verb, is_optional=name == "list")
        add_json(verb, is_lines=name == "show")
    add_limit(verbs["show"])
    for name in ("show", "drop"):
        verbs[name].add_argument(
            "--field", metavar="FIELD", help="only records that this field does not fit"
        )
    verbs["drop"].add_argument(
        "--key",
        metavar="VALUE",
        help="only the record with this primary key; values of several fields separated by commas",
    )
    add_yes(verbs["drop"])
    add_flag(
        verbs["show"],
        "--failed",
        "the records of the last run, if it failed because of its quarantine_limit",
    )
    add_flag(verbs["land"], "--dry-run", "show how many would land; write nothing")


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.catalog.names import check_name
    from landing.zone.bucket import Bucket

    for name, what in ((options.source, "source"), (options.stream, "stream")):
        if name:
            check_name(name, what)
    bucket = Bucket(bucket_settings(workspace))
    code: int = options.call(options, workspace, bucket)
    return code


def _list(options: argparse.Namespace, workspace: Workspace, bucket: Bucket) -> int:
    from landing.operations.quarantined import quarantined_streams

    found = quarantined_streams(bucket, options.source or "", options.stream or "")
    if options.json:
        print_json([_listed(summary) for summary in found])
    elif not found:
        say("nothing is in quarantine")
    else:
        for summary in found:
            _print_summary(summary)
    return 0


def _listed(summary: StreamQuarantine) -> QuarantineListed:
    from landing.cli.json.shapes import QuarantinedLoad, QuarantineListed

    return shaped(
        QuarantineListed,
        summary,
        records=summary.rows,
        failed_run=summary.failed,
        loads=[QuarantinedLoad(load_id=load, records=n) for load, n in summary.loads.items()],
        reasons=most_common(summary.reasons),
    )


def _print_summary(summary: StreamQuarantine) -> None:
    name = f"{summary.source}/{summary.stream}"
    if summary.rows:
        oldest = min(summary.loads)
        loads = counted(len(summary.loads), "load")
        since = f"{_time(oldest)} ({_age(oldest)})"
        say(f"{name}: {counted(summary.rows, 'record')} of {loads}, since {since}")
    for (field, reason), count in summary.reasons.most_common():
        say(f"{field}: {reason}", mark=f"  {count:>9,}  ")
    for load_id in islice(summary.loads, _LOADS_NAMED):
        say(f"  load {load_id}, {_time(load_id)}: {counted(summary.loads[load_id], 'record')}")
    if (more := len(summary.loads) - _LOADS_NAMED) > 0:
        say(f"  and {counted(more, 'load')} more")
    if summary.failed:
        say(
            f"{name}: the last run failed with {counted(summary.failed, 'record')} that did not "
            f"fit, which the next one reads again (`landing quarantine show {summary.source} "
            f"{summary.stream} --failed`)"
        )


def _show(options: argparse.Namespace, workspace: Workspace, bucket: Bucket) -> int:
    from landing.operations.quarantined import quarantined_rows
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
            put_document([kept.line.decode(errors="replace").rstrip("\n")])
        else:
            say(f"{_time(kept.load_id)}  {kept.field}: {kept.reason}")
            put(f"  {kept.text}")
    if options.json:
        return 0
    if not shown:
        say("nothing is in quarantine")
    elif next(rows, None) is not None:
        say(f"…and more: --limit shows more than {options.limit:,}")
    return 0


def _land(options: argparse.Namespace, workspace: Workspace, bucket: Bucket) -> int:
    from landing.extraction.sources import load_source
    from landing.operations.quarantine_landing import plan_replay, replay

    config = load_source(workspace, options.source).config(options.stream)
    done = plan_replay(config, bucket) if options.dry_run else replay(config, bucket)
    if options.json:
        print_json(done)
    else:
        _print_outcome(done)
    return 0


def _drop(options: argparse.Namespace, workspace: Workspace, bucket: Bucket) -> int:
    from landing.operations.quarantine_removal import drop, plan_drop
    from landing.zone.layout import StreamPaths

    paths = StreamPaths(options.source, options.stream)
    choose = _choice(options, workspace)
    found = plan_drop(bucket, paths, choose)
    if not found.rows:
        say(f"{paths.data}: no such record is in quarantine")
        return _dropped(options, found, is_done=True)
    condition = "" if options.yes else ", if you confirm it"
    what = counted(found.rows, "record")
    say(f"{paths.data}: drops {what} from quarantine, for good{condition}")
    for (field, reason), count in found.reasons.most_common():
        say(f"{field}: {reason}", mark=f"  {count:>9,}  ")
    say("a run lands such a record only if the API returns another version of it", mark="  ")
    if not is_agreed(options, "Drop them?"):
        say("nothing was changed")
        return _dropped(options, found, is_done=False)
    found = drop(bucket, paths, choose)
    say(f"{paths.data}: {counted(found.rows, 'record')} dropped")
    return _dropped(options, found, is_done=True)


def _choice(options: argparse.Namespace, workspace: Workspace) -> Callable[[KeptRow], bool]:
    from landing.catalog.files import read_config

    key: Sequence[str] = ()
    if options.key is not None:
        config = read_config(workspace, options.source, options.stream)
        key = config.primary_key
        if not key:
            raise UsageError(f"--key needs a primary_key, which {config.origin} does not have")

    def choose(kept: KeptRow) -> bool:
        if options.field not in (None, kept.field):
            return False
        if not key:
            return True
        row = kept.row
        return isinstance(row, dict) and options.key == ",".join(str(row.get(name)) for name in key)

    return choose


def _dropped(options: argparse.Namespace, found: Removal, *, is_done: bool) -> int:
    from landing.cli.json.shapes import QuarantineDropped

    if options.json:
        print_json(
            QuarantineDropped(
                source=options.source,
                stream=options.stream,
                records=found.rows,
                dropped=is_done,
                reasons=most_common(found.reasons),
            )
        )
    return 0 if is_done else 1


def _print_outcome(done: Replayed) -> None:
    name = f"{done.source}/{done.stream}"
    if not (done.rows or done.stays or done.superseded):
        say(f"{name}: nothing is in quarantine")
    elif done.dry_run:
        say(f"{name}: {counted(done.rows, 'record')} would land  (dry run: writes nothing)")
    elif not done.rows:
        say(f"{name}: nothing landed")
    else:
        files = f"{counted(done.files, 'file')} ({sized(done.bytes)})"
        say(f"{name}: {counted(done.rows, 'row')} in {files} from quarantine to {done.location}")
    if done.superseded:
        ends = "would leave" if done.dry_run else "left"
        say(
            f"{counted(done.superseded, 'record')} {ends} quarantine without landing, since newer "
            "versions have landed",
            mark="  ",
        )
    print_table(done.table)
    for one in done.stays:
        say(one.reason, mark=f"  {one.records:>9,} stay: ")


def _time(load_id: str) -> str:
    return f"{_moment(load_id):%Y-%m-%d %H:%M} UTC"


def _moment(load_id: str) -> datetime:
    return datetime.fromtimestamp(float(load_id), UTC)


def _age(load_id: str) -> str:
    age = datetime.now(UTC) - _moment(load_id)
    if age.days:
        return f"{counted(age.days, 'day')} ago"
    return f"{counted(age.seconds // 3600, 'hour')} ago" if age.seconds >= 3600 else "just now"
