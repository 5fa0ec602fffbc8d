"""`landing state`: look at where a stream's next run starts, and move it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from landing.catalog.workspace import Workspace
from landing.cli.arguments import (
    add_json,
    add_source,
    add_stream,
    add_yes,
    config_if_any,
    is_agreed,
    known_stream,
    named_stream,
)
from landing.cli.parser import Parser, add_verbs
from landing.cli.text.console import say
from landing.cli.text.output import print_json
from landing.errors import LandingError, UsageError, counted

if TYPE_CHECKING:
    from landing.catalog.stream_config import StreamConfig
    from landing.extraction.incremental import FrozenIncremental
    from landing.operations.state_edit import Change
    from landing.operations.state_view import StreamState
    from landing.zone.bucket import Bucket
    from landing.zone.layout import StreamPaths

HELP = "show or change where a stream's next run starts, or restore an earlier state"
_SHOW = "show"
_WITH_VALUE = ("--cursor", "--to", "--parent")


def configure(parser: Parser) -> None:
    parser.description = (
        "`%(prog)s SOURCE STREAM` is short for `%(prog)s show SOURCE STREAM`; a source that is "
        "named like one of the verbs needs the long form. Every change saves the previous "
        "state: `history` lists the saved states, `restore` brings one back."
    )
    verbs = add_verbs(
        parser,
        {
            _SHOW: ("show the cursor, where the next run starts, and the lease", _show),
            "history": ("list the earlier states, the newest first", _history),
            "set": ("set the cursor", _set),
            "reset": ("remove the state: the next run reads from the start", _reset),
            "copy": ("copy the state to another stream", _copy),
            "restore": ("bring an earlier state back", _restore),
        },
    )
    for name, verb in verbs.items():
        add_source(verb)
        add_stream(verb)
        if name not in (_SHOW, "history"):
            add_yes(verb)
        add_json(verb)
    verbs["set"].add_argument(
        "--cursor", metavar="VALUE", required=True, help="the new value, as the API writes it"
    )
    verbs["set"].add_argument(
        "--parent", metavar="STREAM", help="set the cursor of this parent of a child stream instead"
    )
    verbs["copy"].add_argument(
        "--to", metavar="SOURCE/STREAM", required=True, help="the stream that gets the state"
    )
    verbs["restore"].add_argument(
        "number", metavar="NUMBER", nargs="?", type=int, help="from `history`; default: the newest"
    )
    parser.reordered = _with_verb_first


def _with_verb_first(words: Sequence[str]) -> Sequence[str]:
    """Options may come before the verb, and `show` may be left out."""
    for at, word in enumerate(words):
        if word.startswith("-") or (at and words[at - 1] in _WITH_VALUE):
            continue
        if word in ("show", "history", "set", "reset", "copy", "restore"):
            return [word, *words[:at], *words[at + 1 :]]
        return [_SHOW, *words]
    return words


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    bucket, paths = known_stream(options, workspace)
    code: int = options.call(options, workspace, bucket, paths)
    return code


def _set(
    options: argparse.Namespace, workspace: Workspace, bucket: Bucket, paths: StreamPaths
) -> int:
    from landing.catalog.files import read_config
    from landing.operations.cursor_edit import cursor_set, parent_cursor_set

    if options.parent is not None:
        change = parent_cursor_set(bucket, paths, options.parent, options.cursor)
        return _make(options, bucket, change)
    config = read_config(workspace, paths.source, paths.stream)
    frozen = _frozen(workspace, config)
    return _make(options, bucket, cursor_set(bucket, config, frozen, options.cursor))


def _reset(
    options: argparse.Namespace, workspace: Workspace, bucket: Bucket, paths: StreamPaths
) -> int:
    from landing.operations.state_edit import start_over

    return _make(options, bucket, start_over(bucket, paths))


def _copy(
    options: argparse.Namespace, workspace: Workspace, bucket: Bucket, paths: StreamPaths
) -> int:
    from landing.catalog.files import read_config
    from landing.operations.state_edit import copied

    source, slash, stream = options.to.partition("/")
    if not slash:
        raise UsageError(f"--to '{options.to}' is not SOURCE/STREAM: name both, as in shop/orders")
    target = named_stream(source, stream)
    config = read_config(workspace, target.source, target.stream)
    return _make(options, bucket, copied(bucket, paths, config))


def _restore(
    options: argparse.Namespace, workspace: Workspace, bucket: Bucket, paths: StreamPaths
) -> int:
    from landing.operations.state_edit import restored

    return _make(options, bucket, restored(bucket, paths, options.number))


def _frozen(workspace: Workspace, config: StreamConfig) -> FrozenIncremental | None:
    """What the source's code declares about the cursor, if it can be imported."""
    from landing.extraction.prepared import freeze_cursor
    from landing.extraction.sources import load_source

    try:
        return freeze_cursor(config, load_source(workspace, config.source).stream(config.stream))
    except LandingError:
        return None


def _make(options: argparse.Namespace, bucket: Bucket, change: Change) -> int:
    from landing.operations.state_edit import make

    number = None
    say(f"{change.paths.data}: {change.verb}{'' if options.yes else ', if you confirm it'}")
    for line in change.message:
        say(line, mark="  ")
    if is_agreed(options, "Make this change?"):
        number = make(bucket, change)
        name = f"{change.paths.source} {change.paths.stream}"
        say(f"done; `landing state restore {name} {number}` undoes it")
    else:
        say("nothing was changed")
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
    return 1 if number is None else 0


def _show(
    options: argparse.Namespace, workspace: Workspace, bucket: Bucket, paths: StreamPaths
) -> int:
    from landing.extraction.import_records import ImportRecords
    from landing.operations.state_view import stream_state

    config = config_if_any(workspace, paths)

    def freeze(cursor: Any) -> FrozenIncremental | None:
        if config is None or not ImportRecords(workspace).may_decide(config, cursor):
            return None
        return _frozen(workspace, config)  # imports the source, which takes long

    state = stream_state(bucket, paths, config, freeze)
    if options.json:
        print_json(state)
        return 0
    say(f"{paths.data}{'' if state.exists else ': no state yet'}")
    for title, text in _lines(state):
        say(text, mark=f"  {title:<9}  ")
    return 0


def _lines(state: StreamState) -> list[tuple[str, str]]:
    lines = []
    if state.cursor_field is not None:
        cursor = "none" if state.cursor is None else state.cursor
        lines.append(("cursor", f"{state.cursor_field}: {cursor}"))
    for parent in state.parents:
        lines.append(("parent", f"{parent.stream}, {parent.cursor_field}: {parent.cursor}"))
    lines.append(("next run", _next_run(state)))
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
        lines.append(("earlier", f"{earlier}, the newest is {state.earlier[-1]}"))
    return lines


def _next_run(state: StreamState) -> str:
    behind = ""
    if state.lookback and state.cursor is not None:
        behind = f", the lookback of {state.lookback} behind it"
    if state.parents:
        starts = (
            f"{p.stream} from {'the start' if p.cursor is None else p.cursor}"
            for p in state.parents
        )
        return f"requests the children of {' and of '.join(starts)} on{behind}"
    if state.is_child:
        return f"requests the children of all parents{behind}"
    start = "the start" if state.reads_from is None else state.reads_from
    return f"reads from {start}{behind}"


def _history(
    options: argparse.Namespace, workspace: Workspace, bucket: Bucket, paths: StreamPaths
) -> int:
    from landing.zone.previous_states import kept_states

    kept = kept_states(bucket, paths)
    if options.json:
        print_json(kept)
        return 0
    what = "earlier states, the newest first" if kept else "no earlier state is kept"
    say(f"{paths.data}: {what}")
    for state in kept:
        cursors = ", ".join(
            [
                *(f"{name} {value}" for name, value in state.cursors.items()),
                *(f"{p.stream}'s {p.cursor_field} {p.cursor}" for p in state.parents),
            ]
        )
        found = (cursors or "no cursor") if state.exists else "no state"
        say(found, mark=f"  {state.number:>4}  {state.kept}  before {state.before}: ")
    return 0
