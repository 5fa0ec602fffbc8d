"""`landing state`: look at where a stream's next run starts, and move it."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from landing.catalog.workspace import Workspace, bucket_settings
from landing.cli.arguments import add_json, add_yes
from landing.cli.text.output import counted, print_json, printable, stdout_to_stderr
from landing.errors import CatalogError, LandingError, UsageError

if TYPE_CHECKING:
    from landing.catalog.stream_config import StreamConfig
    from landing.extraction.incremental import FrozenIncremental
    from landing.operations.state_edit import Change
    from landing.operations.state_view import StreamState
    from landing.zone.bucket import Bucket
    from landing.zone.layout import StreamPaths

HELP = "where a stream's next run starts: show it, set it, start over, go back"
WORDS = "[VERB] SOURCE STREAM"
VERBS = ("show", "set", "reset", "copy", "restore", "history")
_NOT_DONE = 1


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = (
        f"{parser.prog} [show] SOURCE STREAM [--json]\n"
        f"       {parser.prog} history SOURCE STREAM [--json]\n"
        f"       {parser.prog} set SOURCE STREAM --cursor VALUE [--yes] [--json]\n"
        f"       {parser.prog} reset SOURCE STREAM [--yes] [--json]\n"
        f"       {parser.prog} copy SOURCE STREAM --to SOURCE/STREAM [--yes] [--json]\n"
        f"       {parser.prog} restore SOURCE STREAM [NUMBER] [--yes] [--json]"
    )
    parser.description = (
        "Every change keeps the state that was; `history` lists those, `restore` brings one back."
    )
    parser.add_argument("words", nargs="+", metavar=WORDS, help=argparse.SUPPRESS)
    parser.add_argument("--cursor", metavar="VALUE", help="with set: as the API spells it")
    parser.add_argument("--to", metavar="SOURCE/STREAM", help="with copy: whose state it becomes")
    add_yes(parser)
    add_json(parser)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    verb, paths, rest = _words(options.words)
    _check_options(verb, options, rest)

    from landing.operations.known_streams import check_known
    from landing.zone.bucket import Bucket

    bucket = Bucket(bucket_settings(workspace))
    check_known(workspace, bucket, paths)
    if verb == "show":
        return _show(options, workspace, bucket, paths)
    if verb == "history":
        return _history(options, bucket, paths)
    return _make(options, bucket, _change(verb, rest, options, workspace, bucket, paths))


def _words(words: list[str]) -> tuple[str, StreamPaths, list[str]]:
    from landing.catalog.names import check_name
    from landing.zone.layout import StreamPaths

    verb, names = (words[0], words[1:]) if words[0] in VERBS else ("show", words)
    if len(names) < 2:
        raise UsageError(f"`landing state {' '.join(words)}` lacks a name: say SOURCE and STREAM")
    check_name(names[0], "source")
    check_name(names[1], "stream")
    return verb, StreamPaths(names[0], names[1]), names[2:]


def _check_options(verb: str, options: argparse.Namespace, rest: list[str]) -> None:
    if rest[1 if verb == "restore" else 0 :]:
        raise UsageError(
            f"'{rest[-1]}' is one word too many: `landing state {verb}` takes SOURCE and STREAM"
        )
    for name, value, verbs in (
        ("--cursor", options.cursor, ("set",)),
        ("--to", options.to, ("copy",)),
    ):
        if value is not None and verb not in verbs:
            raise UsageError(f"{name} goes with {verbs[0]}, not with {verb}")
        if value is None and verb in verbs:
            raise UsageError(f"`landing state {verb}` needs {name}")


def _change(
    verb: str,
    rest: list[str],
    options: argparse.Namespace,
    workspace: Workspace,
    bucket: Bucket,
    paths: StreamPaths,
) -> Change:
    from landing.catalog.files import read_config
    from landing.operations import state_edit as stateedit

    if verb == "set":
        config = read_config(workspace, paths.source, paths.stream)
        frozen = _frozen(workspace, config)
        return stateedit.cursor_set(bucket, config, frozen, options.cursor)
    if verb == "copy":
        target = _stream_named(options.to)
        config = read_config(workspace, target.source, target.stream)
        return stateedit.copied(bucket, paths, config)
    if verb == "restore":
        return stateedit.restored(bucket, paths, _number(rest))
    return stateedit.start_over(bucket, paths)


def _stream_named(text: str) -> StreamPaths:
    from landing.catalog.names import check_name
    from landing.zone.layout import StreamPaths

    source, slash, stream = text.partition("/")
    if not slash:
        raise UsageError(f"--to '{text}' is no SOURCE/STREAM: name both, such as shop/orders")
    return StreamPaths(check_name(source, "source"), check_name(stream, "stream"))


def _number(rest: list[str]) -> int | None:
    if not rest:
        return None
    if not rest[0].isdecimal():
        raise UsageError(f"'{rest[0]}' is no number of an earlier state, as history lists them")
    return int(rest[0])


def _frozen(workspace: Workspace, config: StreamConfig) -> FrozenIncremental | None:
    """What the source's code says of the cursor, if it can be asked."""
    from landing.extraction.prepared import freeze_cursor
    from landing.extraction.sources import load_source

    try:
        return freeze_cursor(config, load_source(workspace, config.source).stream(config.stream))
    except LandingError:
        return None


def _make(options: argparse.Namespace, bucket: Bucket, change: Change) -> int:
    with stdout_to_stderr(options):
        number = _made(options, bucket, change)
    if options.json:
        from landing.cli.json.shapes import StateChanged

        print_json(
            StateChanged(
                source=change.paths.source,
                stream=change.paths.stream,
                verb=change.verb,
                message=change.message,
                kept=number,
            )
        )
    return _NOT_DONE if number is None else 0


def _made(options: argparse.Namespace, bucket: Bucket, change: Change) -> int | None:
    """The number by which the state that was can be restored; None if the answer was no."""
    from landing.operations.state_edit import make

    print(f"{change.paths.data}: {change.verb}")
    for line in change.message:
        print(f"  {printable(line)}")
    if not options.yes and not _is_agreed():
        print("nothing was changed")
        return None
    number = make(bucket, change)
    name = f"{change.paths.source} {change.paths.stream}"
    print(f"done; `landing state restore {name} {number}` brings the state back that was")
    return number


def _is_agreed() -> bool:
    if not sys.stdin.isatty():
        raise UsageError("a change is asked for first, and there is no terminal: say --yes")
    try:
        return input("do it? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _show(
    options: argparse.Namespace, workspace: Workspace, bucket: Bucket, paths: StreamPaths
) -> int:
    from landing.catalog.files import read_config
    from landing.operations.state_view import stream_state

    config: StreamConfig | None
    try:
        config = read_config(workspace, paths.source, paths.stream)
    except CatalogError:  # the bucket may have streams that nobody runs any more
        config = None
    frozen = None if config is None else _frozen(workspace, config)
    state = stream_state(bucket, paths, config, frozen)
    if options.json:
        print_json(state)
    else:
        _print_state(state)
    return 0


def _print_state(state: StreamState) -> None:
    name = f"{state.source}/{state.stream}"
    print(name if state.exists else f"{name}: no state yet")
    for title, text in _lines(state):
        print(f"  {title:<9}  {printable(text)}")


def _lines(state: StreamState) -> list[tuple[str, str]]:
    lines = []
    if state.cursor_field is not None:
        cursor = "none" if state.cursor is None else state.cursor
        lines.append(("cursor", f"{state.cursor_field}: {cursor}"))
    start = "the start" if state.reads_from is None else str(state.reads_from)
    behind = f", the lookback of {state.lookback} behind it" if state.lookback else ""
    lines.append(("next run", f"reads from {start}{behind if state.cursor is not None else ''}"))
    if (load := state.last_load) is not None:
        brought = f"{counted(load.rows, 'row')} in {counted(load.files, 'file')}"
        lines.append(("last load", f"{load.load_id}, {load.finished[:16]} UTC: {brought}"))
    if state.schema_version is not None:
        lines.append(("schema", f"version {state.schema_version}"))
    lines.append(("lease", state.lease or "free"))
    if state.keeps:
        lines.append(("keeps", ", ".join(state.keeps)))
    if state.earlier:
        earlier = f"{counted(len(state.earlier), 'state')} that can be restored"
        lines.append(("earlier", f"{earlier}, the last is {state.earlier[-1]}"))
    return lines


def _history(options: argparse.Namespace, bucket: Bucket, paths: StreamPaths) -> int:
    from landing.zone.previous_states import kept_states

    kept = kept_states(bucket, paths)
    if options.json:
        from landing.cli.json.shapes import StateKept

        print_json(
            [
                StateKept(
                    number=state.number,
                    kept=state.kept,
                    before=state.before,
                    cursors=state.cursors,
                    exists=state.document is not None,
                )
                for state in kept
            ]
        )
    elif not kept:
        print(f"{paths.data}: no earlier state is kept")
    else:
        print(f"{paths.data}: earlier states, the newest first")
    for state in [] if options.json else kept:
        cursors = ", ".join(f"{name} {value}" for name, value in state.cursors.items())
        what = "no state" if state.document is None else cursors or "no cursor"
        print(f"  {state.number:>4}  {state.kept}  before {state.before}: {printable(what)}")
    return 0
