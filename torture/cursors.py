"""Whether a cursor passes anything that has not landed: known kinds, and generated histories."""

from __future__ import annotations

import gc
import multiprocessing
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from pprint import pformat
from unittest import mock

import hypothesis
from dlt.extract import incremental
from hypothesis import HealthCheck, Phase, given, settings

from torture.cursor_rows import cursor_rows
from torture.figures import Section, Tally
from torture.histories import History, histories
from torture.moving_api import KINDS
from torture.player import Outcome, Player

Say = Callable[[str], None]


def ignore(text: str) -> None:
    pass


CHUNK = 100
"""Histories of one seed: `python -m torture.cursors KIND SEED` plays them again."""
_SHOWN = 3
_MEMORY = Path("/dev/shm")


@dataclass
class Figures:
    """Of the histories of one kind of cursor."""

    kind: str
    histories: int = 0
    interrupted: int = 0
    """Histories in which a run was killed."""
    runs: int = 0
    killed: int = 0
    edits: int = 0
    refused: int = 0
    lost: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, history: History, outcome: Outcome) -> None:
        self.histories += 1
        self.interrupted += outcome.killed > 0
        self.runs += outcome.runs
        self.killed += outcome.killed
        self.edits += outcome.edits
        self.refused += outcome.refused
        self.lost += len(outcome.lost)
        found = outcome.lost + outcome.repeated + outcome.problems
        if found and len(self.problems) < _SHOWN:
            self.problems.append(f"{'; '.join(found)}: {pformat(history)}")

    def join(self, other: Figures) -> None:
        for name in ("histories", "interrupted", "runs", "killed", "edits", "refused", "lost"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.problems += other.problems[: _SHOWN - len(self.problems)]

    @property
    def _note(self) -> str:
        refused = f", {self.refused:,} refused" if self.refused else ""
        return f"{self.runs:,} runs, {self.killed:,} killed{refused}, {self.edits:,} edits"

    @property
    def tally(self) -> Tally:
        return Tally(
            f"histories: {self.kind}",
            times=self.histories,
            completed_later=self.interrupted,
            lost=self.lost,
            note=self._note,
            problems=self.problems,
        )


@dataclass(frozen=True)
class Chunk:
    kind: str
    seed: int
    count: int
    over_http: bool = False
    to_first_loss: bool = False
    """Play none after the first one that loses something."""

    def played(self) -> Figures:
        found = Figures(self.kind)

        @hypothesis.seed(self.seed)
        @settings(
            max_examples=self.count,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(histories(self.kind))
        def play(history: History) -> None:
            if self.to_first_loss and found.lost:
                return
            found.add(history, Player(history, over_http=self.over_http).play())

        with _cheaply():
            play()
        return found


@contextmanager
def _cheaply() -> Iterator[None]:
    """What a run writes to its local disk goes to memory, and dlt's path expressions are parsed
    once, which else takes a quarter of a run's time."""
    folder = str(_MEMORY) if _MEMORY.is_dir() else tempfile.gettempdir()
    parsed = cache(incremental.compile_path)
    with (
        mock.patch.object(tempfile, "tempdir", folder),
        mock.patch.object(incremental, "compile_path", parsed),
    ):
        yield


def generated(count: int, over_http: int, lanes: int, say: Say = ignore) -> Iterator[Figures]:
    """The figures of so many histories in this process, and of so many whose API is on a socket."""
    figures = {kind: Figures(kind) for kind in KINDS}
    chunks = [*_chunks(count, 0), *_chunks(over_http, 1_000_000, over_http=True)]
    for found in _played(chunks, lanes):
        figures[found.kind].join(found)
        played = sum(one.histories for one in figures.values())
        say(f"{played:,} histories, lost {sum(one.lost for one in figures.values()):,}")
    return iter(figures.values())


def _played(chunks: Sequence[Chunk], lanes: int) -> Iterator[Figures]:
    if lanes == 1:
        yield from map(_play, chunks)
        return
    with ProcessPoolExecutor(lanes, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_play, chunks)


def _play(chunk: Chunk) -> Figures:
    gc.freeze()  # the libraries' objects, which a collection else looks at again and again
    return chunk.played()


def _chunks(count: int, seeds: int, *, over_http: bool = False) -> Iterator[Chunk]:
    """As many histories of each kind, those of one kind after those of another."""
    of_kind = -(-count // len(KINDS))
    for start in range(0, of_kind, CHUNK):
        for number, kind in enumerate(KINDS):
            seed = seeds + number * 10_000 + start // CHUNK
            yield Chunk(kind, seed, min(CHUNK, of_kind - start), over_http)


def cursors(count: int, over_http: int, lanes: int, say: Say = ignore) -> Section:
    figures = list(generated(count, over_http, lanes, say))
    runs, killed, edits = (
        sum(getattr(one, name) for one in figures) for name in ("runs", "killed", "edits")
    )
    note = (
        f"{sum(one.histories for one in figures):,} generated histories, about {over_http:,} of "
        f"them over HTTP: {runs:,} runs, of which {killed:,} were killed, and {edits:,} edits."
    )
    tallies = [*cursor_rows(), *(one.tally for one in figures)]
    return Section("Edge: cursor", tallies, notes=[note])


if __name__ == "__main__":
    print(Chunk(sys.argv[1], int(sys.argv[2]), CHUNK).played())
