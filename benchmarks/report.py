"""The numbers as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from benchmarks.contenders import FLOOR, PLAIN_DLT, Contender
from benchmarks.marks import Mark
from benchmarks.race import Outcome

_MB = 1_000_000
_NONE = "–"

HOW_TO_READ = """\
## How to read this

- Every row comes from the same run of `make bench`. The contenders take turns, one after the
  other in each round, so that a slow minute of the machine is shared by all. Numbers are medians
  over the rounds; the spread is the fastest and the slowest round.
- *seconds* is a whole process, from start to end, without the import of its framework alone (dlt,
  the CDK, the SDK). Everything else counts: the start of Python, other imports, this project's
  lease, state and load record. *process* is the same with that import. *CPU* is user and system
  time of the whole process, more than one core's where threads work at once; *peak* is its
  resident memory.
- The API is a process of its own on the loopback interface. It has its pages encoded before the
  clock runs, but it shares the machine's cores with the contender it serves.
- *download only* is the wire. The *floor* is a script that knows these 20 fields and nothing else:
  no cursor, no state, no lease, no row that does not fit. *plain dlt* is the founding document's
  example, its cursor read once so that it lands every row.
- The taps write no parquet and no state: they stop where the others' second half begins. Of the
  two Airbyte sources, the manifest is how most connectors are made; it emits all 25 fields, since
  choosing is left to the platform, while the one in Python picks the 20 itself.
- *contents*: files are compared by a digest over their sorted rows, in all 20 fields, with equal
  values spelled equally whatever type a file has them in. The taps' records are counted, in an
  unmeasured run.
- The records are made up, and regular: text that repeats compresses better than life does.
- Ratios differ between machines, and marks with 50 ms a page more so: the API waits as long
  wherever it runs, while the work takes as long as the machine does. What others gave, of the
  versions of their day, is in `benchmarks/results/`."""


@dataclass(frozen=True)
class Run:
    day: date
    records: int
    rounds: int
    machine: str
    versions: str
    load: str
    outcomes: Sequence[Outcome]
    skipped: Mapping[str, str]
    """Why, by the contender's title."""
    marks: Sequence[Mark]
    differences: Sequence[str]


def markdown(run: Run) -> str:
    sections = [
        "# Benchmark",
        f"`make bench` on {run.day.isoformat()}: {run.records:,} records of 25 fields, 20 kept, "
        f"1,000 a page; {_plural(run.rounds, 'round')}.",
        f"{run.machine}. Load of the machine before and after: {run.load}.\n\n{run.versions}.",
        contenders_table(run),
    ]
    if run.differences:
        sections.append("\n".join(f"- **{difference}**" for difference in run.differences))
    if run.marks:
        sections += [
            "## Marks",
            table(("case", "mark", "reached", "verdict"), map(_mark, run.marks)),
        ]
    return "\n\n".join([*sections, HOW_TO_READ]) + "\n"


def contenders_table(run: Run) -> str:
    head = (
        "contender",
        "seconds",
        "spread",
        "rows/s",
        "speed to plain dlt",
        "time to floor",
        "CPU s",
        "peak MB",
        "process s",
        "contents",
    )
    seconds = {outcome.contender: outcome.seconds for outcome in run.outcomes}
    rows = [_row(outcome, seconds, run) for outcome in run.outcomes]
    rows += [(title, f"skipped: {why}", *[""] * 8) for title, why in run.skipped.items()]
    return table(head, rows)


def _row(outcome: Outcome, seconds: Mapping[Contender, float], run: Run) -> tuple[str, ...]:
    own = outcome.seconds
    low, high = outcome.spread
    dlt, floor = seconds.get(PLAIN_DLT), seconds.get(FLOOR)
    return (
        outcome.contender.title,
        f"{own:.2f}",
        f"{low:.2f}–{high:.2f}",
        f"{run.records / own:,.0f}",
        f"{dlt / own:.1f} ×" if dlt else _NONE,
        f"{own / floor:.2f} ×" if floor else _NONE,
        f"{outcome.median(lambda m: m.cpu_seconds):.1f}",
        f"{outcome.median(lambda m: m.peak_bytes) / _MB:.0f}",
        f"{outcome.median(lambda m: m.process_seconds):.2f}",
        _contents(outcome, is_equal=not run.differences),
    )


def _contents(outcome: Outcome, *, is_equal: bool) -> str:
    if outcome.messages is not None:
        return f"{outcome.messages:,} records"
    if not outcome.contents:
        return _NONE
    last = outcome.contents[-1]
    size = f"{_plural(last.files, 'file')}, {last.bytes / _MB:.1f} MB"
    return f"{last.rows:,} rows, {'equal' if is_equal else 'see below'}; {size}"


def _mark(mark: Mark) -> tuple[str, ...]:
    return mark.case, mark.asked, mark.measured, mark.verdict


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
