"""What was counted, as a table; a line is good only if nothing was lost and nothing unexplained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

COMMAND = "make torture"
EDGE_COMMAND = "make torture-edge"
_BEGIN = "<!-- figures: written by {} -->"
BEGIN = _BEGIN.format(COMMAND)
END = "<!-- end of figures -->"


@dataclass
class Tally:
    """The figures of one line. `problems` are sentences about what should not have happened."""

    what: str
    times: int = 0
    recovered: int = 0
    completed_later: int = 0
    lost: int = 0
    note: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return self.times > 0 and not self.lost and not self.problems

    def add(self, other: Tally) -> None:
        self.times += other.times
        self.recovered += other.recovered
        self.completed_later += other.completed_later
        self.lost += other.lost
        self.problems += other.problems

    def cells(self) -> tuple[str, ...]:
        return (
            self.what,
            f"{self.times:,}",
            f"{self.recovered:,}" if self.recovered else "–",
            f"{self.completed_later:,}" if self.completed_later else "–",
            self.note,
            f"lost {self.lost:,}" + (f", {len(self.problems)} problems" if self.problems else ""),
        )


@dataclass(frozen=True)
class Search:
    """For secrets, in what runs have said and in the objects that they left."""

    searched: int = 0
    found: int = 0

    def __add__(self, other: Search) -> Search:
        return Search(self.searched + other.searched, self.found + other.found)

    def __str__(self) -> str:
        return (
            f"Outputs and objects of the bucket that were searched for the API's token and the "
            f"bucket's keys: {self.searched:,}; secrets found {self.found:,}."
        )


@dataclass(frozen=True)
class Section:
    title: str
    tallies: Sequence[Tally]
    search: Search | None = None
    notes: Sequence[str] = ()

    @property
    def problems(self) -> list[str]:
        found = [f"{t.what}: {problem}" for t in self.tallies for problem in t.problems]
        found += [f"{t.what}: lost {t.lost:,}" for t in self.tallies if t.lost]
        found += [str(self.search)] if self.search and self.search.found else []
        return found + [f"{t.what}: never happened" for t in self.tallies if not t.times]

    def markdown(self) -> str:
        head = ("what", "times", "the run recovered", "the next one completed", "also", "")
        lines = [head, ["---"] * len(head), *(tally.cells() for tally in self.tallies)]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        search = [str(self.search)] if self.search else []
        return "\n\n".join([f"### {self.title}", table, *self.notes, *search])


def markdown(heading: str, sections: Iterable[Section]) -> str:
    return "\n\n".join([heading, *(section.markdown() for section in sections)])


def write_between_markers(file: Path, text: str, command: str = COMMAND) -> None:
    begin = _BEGIN.format(command)
    before, _, rest = file.read_text().partition(begin)
    _, _, after = rest.partition(END)
    file.write_text(f"{before}{begin}\n\n{text}\n\n{END}{after}")
