"""`landing discover`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from landing.catalog.workspace import Workspace
from landing.cli.arguments import add_count, add_flag, add_json, add_source, add_streams
from landing.cli.text.console import say
from landing.cli.text.output import ARROW, complain_of_each, exit_code, print_json
from landing.errors import counted

if TYPE_CHECKING:
    from landing.cli.json.shapes import DiscoveredStream, DiscoveryDone
    from landing.operations.discovery import Discovered, DiscoveryResult

HELP = "sample a source's API and write its streams and fields to dag/sources/"


def configure(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    add_streams(parser, "default: all streams of the source")
    add_count(parser, "--sample-limit", "N", 100, "records to read per stream")
    add_flag(
        parser, "--check", "write nothing; exit with 1 if a file differs from what the API returns"
    )
    add_json(parser)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.cli.text.live import Sampling
    from landing.extraction.sources import load_source
    from landing.operations.discovery import discover

    source = load_source(workspace, options.source)
    with Sampling(source.name) as sampling:
        result = discover(
            source,
            options.streams,
            options.sample_limit,
            write=not options.check,
            notify=sampling.notify,
        )
    done = _done(options, workspace, result)
    if options.json:
        print_json(done)
    else:
        for stream in done.streams:
            _print(stream)
        _print_next(workspace, done)
    complain_of_each(source.name, result.failed, options)
    for name in result.failed:
        kept = workspace.discovered_file(source.name, name)
        if kept.is_file():
            say(f"{workspace.shown(kept)} stays as it was", mark="       ", to=sys.stderr)
    if result.failed:
        return exit_code(result.failed.values())
    differs = any(stream.state != "unchanged" for stream in done.streams)
    return 1 if options.check and differs else 0


def _done(
    options: argparse.Namespace, workspace: Workspace, result: DiscoveryResult
) -> DiscoveryDone:
    from landing.cli.json.shapes import DiscoveredStream, DiscoveryDone, StreamFailed

    def file(name: str) -> str:
        return workspace.shown(workspace.discovered_file(options.source, name))

    found = [_found(name, file(name), one) for name, one in result.found.items()]
    gone = [
        DiscoveredStream(
            stream=name, file=file(name), state="gone", fields=0, changes=[], warnings=[]
        )
        for name in result.gone
    ]
    return DiscoveryDone(
        source=options.source,
        written=not options.check,
        streams=found + gone,
        failed=[StreamFailed(stream=name, error=error) for name, error in result.failed.items()],
    )


def _found(name: str, file: str, found: Discovered) -> DiscoveredStream:
    from landing.cli.json.shapes import DiscoveredStream

    return DiscoveredStream(
        stream=name,
        file=file,
        state="new" if found.is_new else "changed" if found.changes else "unchanged",
        fields=len(found.schema.fields),
        changes=found.changes,
        warnings=[*_warnings(found), *found.notes],
        schema=found.schema,
    )


def _warnings(found: Discovered) -> Iterator[str]:
    from landing.operations.discovered_changes import spelled
    from landing.zone.layout import PARTITIONS

    seen: dict[str, str] = {}
    for name, field in found.schema.fields.items():
        other = seen.setdefault(name.lower(), name)
        if other != name:
            yield (
                f"{name}: differs from {other} only in case, and most readers of the files take "
                "them for one column or rename one; rename it in streams.py, or leave one out"
            )
        if _are_too_large(row.get(name) for row in found.records):
            yield f"{name}: integers of more than 64 bits; lands as text"
        elif len(field.kinds) > 1 and not field.kinds <= {"array", "object"}:
            yield f"{name}: mixed types, {spelled(field)}; lands as text"
        elif not field.kinds:
            yield f"{name}: null in every sampled record; lands as text"
        if name.lower() in PARTITIONS:
            yield (
                f"{name}: a folder of the landing zone has this name, too, and most readers return "
                "its value instead; read the files with hive_partitioning = false"
            )
    for cursor in found.schema.defaults.cursor_field or []:
        field = found.schema.fields[cursor]
        if field.kinds == {"string"} and field.format is None:
            yield f"{cursor}: the cursor is not a date-time, and is compared as text"


def _are_too_large(values: Iterable[Any]) -> bool:
    """Whether a column can't be numeric only because some of its integers don't fit."""
    from landing.columns.plain_values import fits_64_bits

    known = [value for value in values if value is not None]
    is_numeric = all(isinstance(value, int | float | Decimal) for value in known)
    return is_numeric and not all(fits_64_bits(v) for v in known if isinstance(v, int))


def _print_next(workspace: Workspace, done: DiscoveryDone) -> None:
    """To standard error: what to do with new files, until there is a config for them, and with
    changes of the others."""
    for one in done.streams:
        if one.state == "changed" and workspace.config_file(done.source, one.stream).exists():
            what = f"`landing select {done.source} {one.stream}` takes changes over into its config"
            say(what, mark=ARROW, to=sys.stderr)
    fresh = [one.stream for one in done.streams if one.state == "new"]
    if not done.written or all(workspace.config_file(done.source, one).exists() for one in fresh):
        return
    message = (
        f"`landing select {done.source}` lets you choose what lands; or copy what you want to "
        f"{workspace.shown(workspace.config_dir(done.source))}/, keep the fields to land, set "
        '"selected": true; then '
        f"`landing run {done.source} {fresh[0]} --dry-run` shows what a run would do"
    )
    say(message, mark=ARROW, to=sys.stderr)


def _print(stream: DiscoveredStream) -> None:
    if stream.state == "gone":
        say(f"{stream.file}: the source no longer has this stream; delete the file")
        return
    say(f"{stream.file}: {counted(stream.fields, 'field')}, {stream.state}")
    for change in stream.changes:
        say(change, mark="  ")
    for warning in stream.warnings:
        say(warning, mark="  ! ")
