"""Prints the result of a run: a table in a terminal, a line for each stream in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence

from landing.cli.text.console import grid, say, terminal_width
from landing.cli.text.output import ARROW, print_table
from landing.errors import counted, listed, sized
from landing.results import Ahead, Drifted, RunResult, StreamResult

_SHOWN_FIELDS = 6


def print_results(result: RunResult) -> None:
    """Print the results to standard output. In a pipe, lines have a stable format for scripts."""
    width = terminal_width()
    if width is None:
        for stream in result.landed:
            say(_summary(stream))
            print_table(stream.table)
    elif len(result.landed) < 2 or not _print_board(result.landed, width):
        for stream in result.landed:
            _print_card(stream)


def print_remedies(result: RunResult) -> None:
    """Print the command to try next to standard error, if something needs attention."""
    for remedy in _remedies(result.landed):
        say(remedy, mark=ARROW, style="yellow", to=sys.stderr)


def _remedies(landed: Sequence[StreamResult]) -> Iterator[str]:
    for stream in landed:
        if stream.quarantined:
            name = f"{stream.source} {stream.stream}"
            what = counted(stream.quarantined, "record")
            yield (
                f"`landing quarantine show {name}` shows the {what} that did not fit; once the "
                f"config is fixed, `landing quarantine land {name}` lands them"
            )
        if stream.ahead is not None and stream.ahead.is_cursor:
            yield (
                f"{stream.ahead.remedy(stream.source, stream.stream)} puts the cursor back to a "
                "value that is not in the future; rows from there on are read again"
            )
    if drifted := [one for one in landed if one.drift.gained or one.drift.lost]:
        source, names = drifted[0].source, [stream.stream for stream in drifted]
        configs = listed(f"{name}.json" for name in names)
        yield (
            f"`landing discover {source} {' '.join(names)}` updates the discovered schema; then "
            f"add the fields to land to dag/streams/{source}/ ({configs}), and remove those that "
            "are gone"
        )
    for stream in landed:
        if stream.drift.changed:
            yield type_remedy(stream.source, stream.stream, stream.drift)


def type_remedy(source: str, stream: str, drift: Drifted) -> str:
    """What to do about changed types. Discovery samples the first records of the API, which are
    often the oldest, so it need not see what a run sees."""
    name, change = next(iter(drift.changed.items()))
    before, _, after = change.partition(" → ")
    kinds = list(dict.fromkeys([*before.split(" or "), *after.split(" or ")]))
    listed_kinds = ", ".join(f'"{kind}"' for kind in kinds)
    return (
        f"if all of these types are right, list them in dag/streams/{source}/{stream}.json, as in "
        f'"{name}": {{"type": [{listed_kinds}]}}; or, if only the new one is, '
        f"`landing discover {source} {stream} --sample-limit N` finds it in the first N records"
    )


def _summary(result: StreamResult) -> str:
    name = f"{result.source}/{result.stream}"
    cursor = f", cursor {moved}" if (moved := _cursor(result)) else ""
    effort = f"{result.seconds:.1f} s"
    if result.traffic.requests:
        effort += f"; {result.traffic}"
    if not result.files:
        return f"{name}: {_landed(result)}{cursor}, {effort}"
    files = f"{counted(result.files, 'file')} ({sized(result.bytes)})"
    landed = f"{_landed(result)} in {files} to {result.location}"
    quarantined = f", {result.quarantined:,} to quarantine" if result.quarantined else ""
    return f"{name}: {landed}{quarantined}{cursor}, {effort}"


def _landed(result: StreamResult) -> str:
    if not result.files and result.quarantined:
        return f"no rows, {counted(result.quarantined, 'record')} to quarantine"
    if not result.files:
        return "no records" if result.load_ids else "nothing new"
    rows = counted(result.rows - result.deleted, "row")
    return f"{rows}, {result.deleted:,} deleted" if result.deleted else rows


def _cursor(result: StreamResult) -> str:
    if result.cursor_after is None:
        return ""
    before, after = result.cursor_before, result.cursor_after
    moved = f"{after}" if before in (None, after) else f"{before} → {after}"
    return moved if result.read_from == before else f"{moved} (read from {result.read_from})"


def _print_card(result: StreamResult) -> None:
    """Print one stream, with a fact on each line."""
    name = f"{result.source}/{result.stream}"
    say(f"{name}: {_landed(result)}, {result.seconds:.1f} s", style="bold")
    for title, fact in _facts(result):
        say(fact, mark=f"  {title:<10} ")
    print_table(result.table)


def _facts(result: StreamResult) -> Iterator[tuple[str, str]]:
    if result.read:
        yield "read", f"{counted(result.read, 'record')}{_known(result)}"
    if result.below_cursor:
        yield "left out", f"{counted(result.below_cursor, 'record')} below the cursor"
    if result.repeated:
        yield "repeated", f"{counted(result.repeated, 'row')} with a key that came before"
    if result.ahead is not None:
        yield "ahead", _ahead(result.ahead)
    for text in result.unexpected:
        yield "rows", text
    if result.files:
        yield "landed", f"{counted(result.files, 'file')} ({sized(result.bytes)})"
        yield "to", result.location
    if result.quarantined:
        yield "quarantine", f"{counted(result.quarantined, 'record')} that did not fit"
    if drift := drift_in_words(result.drift):
        yield "source", drift
    if moved := _cursor(result):
        yield "cursor", moved
    if result.traffic.requests:
        yield "API", str(result.traffic)


def _known(result: StreamResult) -> str:
    """How many of the records had landed before; empty for a stream with deletes, since it also
    lands tombstones of records that it did not read."""
    known = result.read - result.rows - result.quarantined - result.below_cursor
    if known <= 0 or result.deleted:
        return ""
    return f", {'all' if known == result.read else f'{known:,}'} of them known"


def _ahead(ahead: Ahead) -> str:
    if ahead.is_cursor:
        return f"the cursor {ahead.name} is at {ahead.value}, beyond the source's time"
    return f"a record has {ahead.field} {ahead.value}, beyond the source's time"


def drift_in_words(drift: Drifted) -> str:
    """`+ discount (number); − note; ~ total: number → string`."""
    parts = []
    if drift.gained:
        parts.append(f"+ {_few(f'{name} ({kind})' for name, kind in drift.gained.items())}")
    if drift.lost:
        parts.append(f"− {_few(drift.lost)}")
    parts += [f"~ {name}: {change}" for name, change in drift.changed.items()]
    return "; ".join(parts)


def _few(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - _SHOWN_FIELDS} more" if len(every) > _SHOWN_FIELDS else ""
    return f"{', '.join(every[:_SHOWN_FIELDS])}{more}"


def _print_board(landed: Sequence[StreamResult], width: int) -> bool:
    """Print a table of several streams, with notes below each. Returns False, and prints nothing,
    if the table does not fit."""
    columns = _columns(landed)
    with_cursor = {**columns, "CURSOR": [_cursor(stream) for stream in landed]}
    lines = _table(columns)
    if is_whole := max(map(len, wide := _table(with_cursor))) <= width:
        lines = wide
    elif max(map(len, lines)) > width:
        return False
    say(lines[0], style="bold")
    for stream, line in zip(landed, lines[1:], strict=True):
        say(line)
        if (moved := _cursor(stream)) and not is_whole:
            say(moved, mark="  cursor ")
        if drift := drift_in_words(stream.drift):
            say(drift, mark="  source ")
        print_table(stream.table)
    return True


def _table(columns: dict[str, list[str]]) -> list[str]:
    rows = list(zip(*columns.values(), strict=True))
    numbers = [title for title in columns if title not in ("STREAM", "CURSOR")]
    return grid(list(columns), rows, None, right=numbers)


def _columns(landed: Sequence[StreamResult]) -> dict[str, list[str]]:
    """The columns, without those of rare figures that are 0 for every stream."""
    numbers = {
        "READ": [stream.read for stream in landed],
        "ROWS": [stream.rows - stream.deleted for stream in landed],
        "LEFT OUT": [stream.below_cursor for stream in landed],
        "REPEATED": [stream.repeated for stream in landed],
        "DELETED": [stream.deleted for stream in landed],
        "QUARANTINE": [stream.quarantined for stream in landed],
        "FILES": [stream.files for stream in landed],
        "RETRIES": [stream.traffic.retries.total() for stream in landed],
    }
    optional = ("LEFT OUT", "REPEATED", "DELETED", "QUARANTINE", "RETRIES")
    return {
        "STREAM": [stream.stream for stream in landed],
        **{
            title: [f"{count:,}" for count in counts]
            for title, counts in numbers.items()
            if title not in optional or any(counts)
        },
        "SIZE": [sized(stream.bytes) if stream.files else "" for stream in landed],
        "TIME": [f"{stream.seconds:.1f} s" for stream in landed],
    }
