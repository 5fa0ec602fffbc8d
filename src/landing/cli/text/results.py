"""What came of a run: lines that stay the same in a pipe, a table for a person."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from landing.cli.text.colours import painted
from landing.cli.text.grid import cells, grid
from landing.cli.text.lines import hanging, terminal_width
from landing.cli.text.output import counted, printable, sized, table_lines
from landing.errors import listed
from landing.results import Drifted, RunResult, StreamResult

_SHOWN_FIELDS = 6


def print_results(result: RunResult) -> None:
    """To standard output: at a terminal as wide as that is, else each stream in a line that stays
    the same for scripts."""
    width = terminal_width()
    if width is None:
        lines = _plain(result.landed)
    elif len(result.landed) == 1:
        lines = _card(result.landed[0], width)
    else:
        lines = _board(result.landed, width)
    for line in lines:
        print(line)


def print_remedies(result: RunResult) -> None:
    """To standard error: the next command, where there is something to look into."""
    width = terminal_width(sys.stderr)
    for remedy in _remedies(result.landed):
        message = hanging(f"  → {remedy}", 4, width)
        print(painted(message, "yellow", sys.stderr), file=sys.stderr)


def _remedies(landed: Sequence[StreamResult]) -> Iterator[str]:
    for stream in landed:
        if stream.quarantined:
            name = f"{stream.source} {stream.stream}"
            what = counted(stream.quarantined, "record")
            yield (
                f"`landing quarantine show {name}` shows the {what} that did not fit; once the "
                f"config is mended, `landing quarantine land {name}` lands them"
            )
    if drifted := [stream for stream in landed if stream.drift]:
        source, names = drifted[0].source, [stream.stream for stream in drifted]
        configs = listed(f"{name}.json" for name in names)
        yield (
            f"`landing discover {source} {' '.join(names)}` takes note of the fields as they are "
            f"now; then add those to land, and take out those that are gone, in "
            f"dag/streams/{source}/: {configs}"
        )


def _plain(landed: Sequence[StreamResult]) -> Iterator[str]:
    for stream in landed:
        yield _summary(stream)
        if stream.table is not None:
            yield from table_lines(stream.table)


def _summary(result: StreamResult) -> str:
    name = f"{result.source}/{result.stream}"
    cursor = f", cursor {message}" if (message := _cursor(result)) else ""
    if not result.files:
        return f"{name}: {_nothing(result)}{cursor}, {_effort(result)}"
    deleted = f", {result.deleted:,} deleted" if result.deleted else ""
    return (
        f"{name}: {counted(result.rows - result.deleted, 'row')}{deleted} in "
        f"{counted(result.files, 'file')} ({sized(result.bytes)}) to {result.location}"
        f"{cursor}, {_effort(result)}"
    )


def _nothing(result: StreamResult) -> str:
    return "no records" if result.load_ids and not result.quarantined else "nothing new"


def _effort(result: StreamResult) -> str:
    message = f"{result.seconds:.1f} s"
    return f"{message}; {result.traffic}" if result.traffic.requests else message


def _cursor(result: StreamResult) -> str:
    if result.cursor_after is None:
        return ""
    before, after = result.cursor_before, result.cursor_after
    message = f"{after}" if before in (None, after) else f"{before} → {after}"
    return message if result.read_from == before else f"{message} (read from {result.read_from})"


def _card(result: StreamResult, width: int) -> Iterator[str]:
    """One stream, a fact in each line."""
    message = f"{result.source}/{result.stream}: {_landed(result)}, {result.seconds:.1f} s"
    yield painted(message, "bold", sys.stdout)
    for name, message in _facts(result):
        yield hanging(printable(f"  {name:<10} {message}"), 13, width)
    yield from _of_table(result, width)


def _known(result: StreamResult) -> str:
    """Of the records read, those that had landed before; not told of a stream with deletions,
    whose marks it may have read or found out."""
    known = result.read - result.rows - result.quarantined
    if known <= 0 or result.deleted:
        return ""
    return f", {'all' if known == result.read else f'{known:,}'} of them known"


def _of_table(result: StreamResult, width: int) -> Iterator[str]:
    if result.table is not None:
        yield from (hanging(line, 9, width) for line in table_lines(result.table))


def _landed(result: StreamResult) -> str:
    if not result.files:
        return _nothing(result)
    rows = counted(result.rows - result.deleted, "row")
    return f"{rows}, {result.deleted:,} deleted" if result.deleted else rows


def _facts(result: StreamResult) -> Iterator[tuple[str, str]]:
    if result.read:
        yield "read", f"{counted(result.read, 'record')}{_known(result)}"
    if result.files:
        yield "landed", f"{counted(result.files, 'file')} ({sized(result.bytes)})"
        yield "to", result.location
    if result.quarantined:
        yield "quarantine", f"{counted(result.quarantined, 'record')} that did not fit"
    if message := drift_in_words(result.drift):
        yield "source", message
    if message := _cursor(result):
        yield "cursor", message
    if result.traffic.requests:
        yield "asked", str(result.traffic)


def drift_in_words(drift: Drifted) -> str:
    """`+ discount (number); − note; ~ total: number → string`."""
    message = []
    if drift.gained:
        message.append(f"+ {_few(f'{name} ({kind})' for name, kind in drift.gained.items())}")
    if drift.lost:
        message.append(f"− {_few(drift.lost)}")
    message += [f"~ {name}: {change}" for name, change in drift.changed.items()]
    return "; ".join(message)


def _few(names: Iterator[str] | Sequence[str]) -> str:
    every = list(names)
    more = f" and {len(every) - _SHOWN_FIELDS} more" if len(every) > _SHOWN_FIELDS else ""
    return f"{', '.join(every[:_SHOWN_FIELDS])}{more}"


@dataclass(frozen=True)
class _Column:
    title: str
    texts: list[str]
    is_number: bool = True


def _board(landed: Sequence[StreamResult], width: int) -> Iterator[str]:
    """Several streams: a table as far as it fits, and below each what does not."""
    if not landed:
        return
    columns = _columns(landed)
    room = sum(_wide(column) + 2 for column in columns) - 2
    if room > width:
        for stream in landed:
            yield from _card(stream, width)
        return
    cursor = _Column("CURSOR", [_cursor(stream) for stream in landed], is_number=False)
    has_room = room + 2 + _wide(cursor) <= width
    if has_room:
        columns.append(cursor)
    titles = [column.title for column in columns]
    rows = list(zip(*(column.texts for column in columns), strict=True))
    numbers = [column.title for column in columns if column.is_number]
    head, *lines = grid(titles, rows, width, right=numbers)
    yield painted(head, "bold", sys.stdout)
    for stream, line in zip(landed, lines, strict=True):
        yield line
        if (message := _cursor(stream)) and not has_room:
            yield hanging(printable(f"  cursor {message}"), 9, width)
        if message := drift_in_words(stream.drift):
            yield hanging(printable(f"  source {message}"), 9, width)
        yield from _of_table(stream, width)


def _columns(landed: Sequence[StreamResult]) -> list[_Column]:
    """Those of which any stream has something to tell."""
    numbers = {
        "READ": [stream.read for stream in landed],
        "ROWS": [stream.rows - stream.deleted for stream in landed],
        "DELETED": [stream.deleted for stream in landed],
        "QUARANTINE": [stream.quarantined for stream in landed],
        "FILES": [stream.files for stream in landed],
        "RETRIES": [stream.traffic.retries.total() for stream in landed],
    }
    optional = ("DELETED", "QUARANTINE", "RETRIES")
    columns = [_Column("STREAM", [stream.stream for stream in landed], is_number=False)]
    columns += [
        _Column(title, [f"{count:,}" for count in counts])
        for title, counts in numbers.items()
        if title not in optional or any(counts)
    ]
    size = [sized(stream.bytes) if stream.files else "" for stream in landed]
    columns.append(_Column("SIZE", size))
    columns.append(_Column("TIME", [f"{stream.seconds:.1f} s" for stream in landed]))
    return columns


def _wide(column: _Column) -> int:
    return max(map(cells, [column.title, *column.texts]))
