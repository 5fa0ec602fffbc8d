"""The streams of a run as lines in a terminal, with as many figures as fit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len as cells

from landing.cli.text.console import presentable
from landing.cli.text.live import Line
from landing.cli.text.output import counted, lasting, sized
from landing.observe.progress import StreamProgress, Watch, in_words, retries_in_words

_GAP = "  "
_WIDEST_NAME = 28
_SHOWN = (16, 24)
"""Cells that what a stream is at has, at least, in narrow and in wide terminals."""


@dataclass(frozen=True)
class _Figure:
    of: Callable[[StreamProgress, float], str]
    rank: int
    """The lowest have room in the narrowest terminals."""


def _rows(of: StreamProgress, now: float) -> str:
    return f"{of.rows:,}" if of.total is None or of.is_over else f"{of.rows:,} of {of.total:,}"


def _rate(of: StreamProgress, now: float) -> str:
    rate = of.rate(now)
    return "" if rate is None else f"{rate:,.0f}/s"


def _left(of: StreamProgress, now: float) -> str:
    left = of.seconds_left(now)
    return "" if left is None else f"{lasting(left)} left"


def _retries(of: StreamProgress, now: float) -> str:
    return retries_in_words(of.retries) if of.retries else ""


def _waited(of: StreamProgress, now: float) -> str:
    return f"paced {lasting(of.pacing_seconds)}" if of.pacing_seconds >= 0.5 else ""


# In the order in which they stand.
_FIGURES = (
    _Figure(_rows, 0),
    _Figure(_rate, 1),
    _Figure(lambda of, now: counted(of.pages, "page") if of.pages else "", 4),
    _Figure(lambda of, now: sized(of.size) if of.size else "", 3),
    _Figure(_left, 2),
    _Figure(lambda of, now: lasting(of.seconds(now)), 7),
    _Figure(_retries, 5),
    _Figure(_waited, 6),
)
_MARKS = {"landed": ("✓", "green"), "failed": ("✗", "red")}


class RunLines:
    """The lines that `Live` draws of a run: all streams, or the last if they run in sequence."""

    def __init__(self, source: str, watch: Watch, *, only_last: bool = False) -> None:
        self._source = source
        self._watch = watch
        self._only_last = only_last
        self._begun = time.monotonic()

    def __call__(self, width: int, height: int) -> Sequence[Line]:
        now = time.monotonic()
        streams = self._watch.streams
        if not streams:
            return [[(f"{self._source}: begins", "dim")]]
        if self._only_last:
            return _drawn(streams[-1:], width, now)
        # The last line is for all, if there are several.
        count = max(len(streams), self._watch.planned_streams)
        foot = [self._foot(streams, count, now)] if count > 1 else []
        return [*_drawn(_shown(streams, height - len(foot)), width, now), *foot]

    def _foot(self, streams: Sequence[StreamProgress], count: int, now: float) -> Line:
        over = sum(of.is_over for of in streams)
        failed = sum(of.doing == "failed" for of in streams)
        rows = sum(of.rows for of in streams)
        message = f"{over} of {count} streams done"
        line = [(f"{self._source}: {message}", "bold")]
        if failed:
            line.append((f", {failed} failed", "red"))
        return [*line, (f", {rows:,} rows read, {lasting(now - self._begun)}", "dim")]


def _shown(streams: Sequence[StreamProgress], room: int) -> Sequence[StreamProgress]:
    """The streams to show: if not all fit, those in progress first, then the last to end."""
    if len(streams) <= room:
        return streams
    by_need = sorted(streams, key=lambda of: (of.is_over, -(of.ended or 0.0)))
    kept = {of.stream for of in by_need[: max(1, room)]}
    return [of for of in streams if of.stream in kept]


def _drawn(streams: Sequence[StreamProgress], width: int, now: float) -> Sequence[Line]:
    figures = [[figure.of(of, now) for of in streams] for figure in _FIGURES]
    widths = [max(map(cells, texts)) for texts in figures]
    name = min(_WIDEST_NAME, max(8, width // 3), max(cells(of.stream) for of in streams))
    least, most = _SHOWN
    room = width - 2 - name - len(_GAP) - max(least, min(most, width // 3))
    kept = set()
    for number in sorted(range(len(_FIGURES)), key=lambda number: _FIGURES[number].rank):
        needed = widths[number] + len(_GAP)
        if widths[number] and needed <= room:
            room -= needed
            kept.add(number)
    lines: list[Line] = []
    for row, of in enumerate(streams):
        mark, style = _MARKS.get(of.doing, ("•", "cyan"))
        message = [
            f"{_GAP}{figures[number][row].rjust(widths[number])}"
            for number in range(len(_FIGURES))
            if number in kept
        ]
        lines.append(
            [
                (f"{mark} ", style),
                (_fitted(presentable(of.stream), name), "bold"),
                ("".join(message), ""),
                (f"{_GAP}{in_words(of, now)}", _style(of, now)),
            ]
        )
    return lines


def _style(of: StreamProgress, now: float) -> str:
    if of.doing == "failed":
        return "red"
    return "yellow" if of.wait(now) else "dim"


def _fitted(text: str, width: int) -> str:
    if cells(text) > width:
        text = f"{text[: width - 1]}…"
    return text + " " * (width - cells(text))
