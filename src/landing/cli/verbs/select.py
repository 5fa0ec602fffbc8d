"""`landing select`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from landing.catalog.workspace import Workspace
from landing.cli.arguments import (
    add_count,
    add_flag,
    add_json,
    add_names,
    add_source,
    add_stream,
)
from landing.cli.text.console import say
from landing.cli.text.output import ARROW, exit_code, print_json
from landing.errors import CatalogError, SettingsError, UsageError, counted, nearest

if TYPE_CHECKING:
    from landing.catalog.fields import Privacy
    from landing.cli.json.shapes import SelectedStream
    from landing.operations.discovery import Discovered
    from landing.operations.selection import Decisions, Selection

Sampled: TypeAlias = "tuple[Mapping[str, Discovered], Mapping[str, Exception]]"
"""What the API has, and why streams could not be sampled, by stream."""
HELP = "choose the fields of a stream that land: a checklist, or options for scripts"
NONE = "none"
_NONE: Sampled = ({}, {})
_CHOOSING = ("fields", "all_fields", "add", "remove", "accept", "hash", "mask")
_OTHERS = ("cursor", "primary_key", "on", "off")
_OF_ANY = {"all_fields", "accept", "on", "off"}
"""Options that apply to all streams of a source, if none is named."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Writes dag/streams/SOURCE/STREAM.json from the discovered schema. Keys and fields that "
        "are in the file already stay as they are, unless they are changed here. Without options, "
        "it asks in the terminal, for which it samples the API; the sample is only shown."
    )
    add_source(parser)
    add_stream(parser, is_optional=True)
    add_names(parser, "--fields", "land these fields and no others")
    add_flag(parser, "--all-fields", "land all fields of the discovered schema")
    add_names(parser, "--add", "land these fields, too")
    add_names(parser, "--remove", "do not land these fields")
    add_flag(
        parser,
        "--accept",
        "take over what has changed at the source: new fields that do not look private, and wider "
        "types of fields whose type nobody has edited; nothing is removed",
    )
    add_names(parser, "--hash", "land a keyed hash of these fields")
    add_names(parser, "--mask", "land *** instead of these fields")
    parser.add_argument(
        "--cursor", metavar="FIELD", help=f"the cursor field; {NONE} for a full refresh each run"
    )
    add_names(parser, "--primary-key", f"the fields that identify a record; {NONE} for no key")
    switch = parser.add_mutually_exclusive_group()
    what = "set selected to true, as the checklist, --fields, --all-fields and a new file do"
    add_flag(switch, "--on", what)
    add_flag(switch, "--off", "set selected to false: --all no longer runs the stream")
    add_flag(parser, "--discover", "sample the API first, and update the discovered schema, too")
    add_flag(parser, "--no-sample", "in a terminal, do not sample the API")
    add_count(parser, "--sample-limit", "N", 100, "records to read per stream")
    add_json(parser)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.catalog.names import check_source

    check_source(workspace, options.source)
    asks = _asks(options)
    found, failed = _sampled(options, workspace, _named(options)) if options.discover else _NONE
    streams = _streams(options, workspace, found)
    if options.accept and options.stream is None:
        streams = [one for one in streams if workspace.config_file(options.source, one).is_file()]
    chosen = _chosen(options, workspace, streams) if asks else dict.fromkeys(streams, True)
    wanted = [name for name, is_selected in chosen.items() if is_selected]
    if wanted and asks and not options.discover and not options.no_sample:
        found, failed = _sampled(options, workspace, wanted)
    for name, error in failed.items():
        say(f"{name} could not be sampled: {error}", mark="note: ", to=sys.stderr)
    done: list[SelectedStream] = []
    wrong: list[CatalogError] = []
    for name, is_selected in chosen.items():
        schema = found.get(name)
        try:
            one = _select(options, workspace, name, schema, asks=asks, is_selected=is_selected)
        except CatalogError as error:
            if len(chosen) == 1:
                raise
            say(f"{error}; the other streams are written", mark="error: ", to=sys.stderr)
            wrong.append(error)
            continue
        done.append(one)
        if not options.json:
            _print(one)
    if options.json:
        print_json(done)
    elif first := next((one for one in done if one.selected and one.written), None):
        command = f"landing run {options.source} {first.stream} --dry-run"
        say(f"`{command}` shows what a run would do", mark=ARROW)
        _say_missing_key(
            workspace, options.source, [one.stream for one in done if one.selected and one.written]
        )
    return exit_code([*wrong, *(failed.values() if options.discover else ())])


def _say_missing_key(workspace: Workspace, source: str, streams: Sequence[str]) -> None:
    from landing.catalog.files import read_config
    from landing.columns.privacy import check_key

    for stream in streams:
        config = read_config(workspace, source, stream)
        try:
            check_key(config.fields, config.origin)
        except SettingsError as error:
            say(f"before a run: {error}", mark=ARROW)
            return


def _named(options: argparse.Namespace) -> Sequence[str]:
    return [] if options.stream is None else [options.stream]


def _asks(options: argparse.Namespace) -> bool:
    """Whether to ask in the terminal, rather than to do what the options say."""
    given = [name for name in (*_CHOOSING, *_OTHERS) if getattr(options, name)]
    if given or options.json:
        if options.stream is None and (names := sorted({*given} - _OF_ANY)):
            raise UsageError(f"--{names[0].replace('_', '-')} is about one stream: name it")
        return False
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "there is no terminal to choose fields in: say which ones with --all-fields, "
            "--fields A,B, --add A,B, --remove A,B or --accept; --json shows what there is"
        )
    return True


def _sampled(options: argparse.Namespace, workspace: Workspace, streams: Sequence[str]) -> Sampled:
    """Raises the error of a stream to discover if no other is."""
    from landing.cli.text.live import Sampling
    from landing.extraction.sources import load_source
    from landing.operations.discovery import discover

    source = load_source(workspace, options.source)
    with Sampling(source.name) as shown:
        result = discover(source, streams, options.sample_limit, write=False, notify=shown.notify)
    if options.discover and options.stream in result.failed:
        raise result.failed[options.stream]
    return result.found, result.failed


def _streams(
    options: argparse.Namespace, workspace: Workspace, found: Mapping[str, Discovered]
) -> Sequence[str]:
    """The named stream, or all, which have to be discovered."""
    from landing.catalog.files import discovered_streams

    known = list(dict.fromkeys([*discovered_streams(workspace, options.source), *found]))
    if options.stream is None and known:
        return known
    if options.stream in known:
        return [options.stream]
    name = " ".join([options.source, *_named(options)])
    what = "it has no discovered schema"
    if options.stream is not None:
        what = f"stream '{options.stream}' has no discovered schema{nearest(options.stream, known)}"
    raise UsageError(
        f"source '{options.source}': {what}",
        remedy=f"`landing discover {name}` writes one, or add --discover",
    )


def _chosen(
    options: argparse.Namespace, workspace: Workspace, streams: Sequence[str]
) -> Mapping[str, bool]:
    """The streams to go through, and whether each is to be selected."""
    if options.stream is not None:
        return dict.fromkeys(streams, True)
    from landing.catalog.config_document import config_document
    from landing.cli.text.checklist import chosen_streams

    configs = {name: config_document(workspace, options.source, name).value for name in streams}
    now = {name: bool(config and config.get("selected")) for name, config in configs.items()}
    wanted = chosen_streams(options.source, now)
    return {name: name in wanted for name in streams if name in wanted or now[name]}


def _select(
    options: argparse.Namespace,
    workspace: Workspace,
    stream: str,
    sampled: Discovered | None,
    *,
    asks: bool,
    is_selected: bool,
) -> SelectedStream:
    from landing.catalog.config_document import config_document
    from landing.catalog.files import read_discovered, write_discovered
    from landing.cli.json.shapes import SelectedStream
    from landing.operations.selection import (
        base_of,
        edited,
        edits,
        selection_of,
        with_left_out,
    )

    source = options.source
    config = config_document(workspace, source, stream)
    before = config.value
    written = read_discovered(workspace, source, stream)
    base = base_of(workspace, source, stream, written if options.discover else None)
    schema = written
    if sampled is not None and options.discover:
        schema = with_left_out(sampled.schema, written, before)
    assert schema is not None, "_streams has only those that are discovered"
    records = () if sampled is None else sampled.records
    selection = selection_of(schema, before, base, records)
    document, is_written = before, False
    if decided := _decided(options, selection, asks=asks, is_selected=is_selected):
        document = edited(selection, decided)
        is_written = config.write(source, document, schema)
    if options.discover and decided is not None:
        write_discovered(workspace, source, schema)
    after = selection_of(schema, document, base, records)
    return SelectedStream(
        source=source,
        stream=stream,
        file=workspace.shown(workspace.config_file(source, stream)),
        written=is_written,
        selected=bool(document and document.get("selected")),
        primary_key=after.primary_key,
        cursor_field=after.cursor_field,
        fields=after.choices,
        changes=list(edits(before, document)) if document and is_written else [],
    )


def _decided(
    options: argparse.Namespace, selection: Selection, *, asks: bool, is_selected: bool
) -> Decisions | None:
    """By answers or by the options; None if these say nothing, as with --json alone."""
    if asks and is_selected:
        from landing.cli.text.checklist import decided

        return decided(selection)
    from landing.operations.selection import Decisions

    if is_selected and not any(getattr(options, name) for name in (*_CHOOSING, *_OTHERS)):
        return None
    _check_names(options, selection)
    key, cursor = selection.primary_key, selection.cursor_field
    if options.primary_key:
        key = [] if options.primary_key == (NONE,) else options.primary_key
    if options.cursor:
        cursor = None if options.cursor == NONE else options.cursor
    names = set(options.fields or selection.selected) | set(options.add)
    retyped: set[str] = set()
    if options.all_fields:
        names |= set(selection.schema.fields)
    if options.accept:
        names |= {one.name for one in selection.of("new") if not one.looks_private}
        retyped = set(selection.widened)
    privacy: dict[str, Privacy] = dict.fromkeys(options.hash, "hash")
    privacy.update(dict.fromkeys(options.mask, "mask"))
    # A run needs these, whatever else lands.
    names |= {*privacy, *key, *([cursor] if cursor else [])}
    names -= set(options.remove)
    turns_on = options.on or options.fields or options.all_fields or selection.config is None
    stays_on = selection.config is not None and bool(selection.config.get("selected"))
    is_on = is_selected and not options.off and (turns_on or stays_on)
    return Decisions(names, cursor, key, retyped, privacy, is_selected=bool(is_on))


def _check_names(options: argparse.Namespace, selection: Selection) -> None:
    cursor = () if options.cursor in (None, NONE) else (options.cursor,)
    key = () if options.primary_key == (NONE,) else options.primary_key
    chosen = (*options.fields, *options.add, *options.remove, *options.hash, *options.mask)
    for name in (*chosen, *cursor, *key):
        if name not in selection.names:
            raise UsageError(
                f"stream '{selection.schema.stream}' has no field '{name}'"
                f"{nearest(name, selection.names)}"
            )


def _print(done: SelectedStream) -> None:
    landing = sum(one.selected for one in done.fields)
    what = f"{landing} of {counted(len(done.fields), 'field')}"
    state = "" if done.selected else ", not selected"
    say(f"{done.file}: {what}{state}{'' if done.written else ', unchanged'}")
    for change in done.changes:
        say(change, mark="  ")
    for note in _notes(done):
        say(note, mark="  ! ")


def _notes(done: SelectedStream) -> Iterator[str]:
    left = [one.name for one in done.fields if one.looks_private and not one.selected]
    if left and done.written:
        yield f"looks private and does not land: {', '.join(left)}"
    needed = {*done.primary_key, done.cursor_field}
    for one in done.fields:
        if one.state == "gone" and one.name in needed:
            yield f"{one.name}: the source no longer has it, but the stream needs it"
        elif one.state == "gone":
            yield f"{one.name}: not in the discovered schema; --remove {one.name} takes it out"
        elif one.state == "changed":
            yield (
                f"{one.name}: {one.type} at the source; it stays {one.configured} unless you "
                "change it in the file"
            )
