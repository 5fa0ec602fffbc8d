"""The numbers as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from benchmarks.contenders import FLOOR, PLAIN_DLT, Contender
from benchmarks.mark import Mark
from benchmarks.race import Outcome

_MB = 1_000_000
_NONE = "–"

HOW_TO_READ = """\
## How to read this

- All rows come from one run of `make bench`. In each round the contenders run one after another,
  so that a slow minute of the machine affects all of them. Numbers are medians over the rounds;
  the spread is the fastest and the slowest round.
- *seconds* is the time of the whole process, except for the import of its framework (dlt, the CDK,
  the SDK). Everything else counts: the start of Python, other imports, and this project's lease,
  state and load record. *process s* includes the import of the framework. *CPU s* is user and
  system time of the whole process; it can exceed *seconds* because threads run in parallel.
  *peak MB* is the largest resident memory.
- The API is a separate process on the loopback interface. It encodes its pages before the clock
  starts, but it shares the cores with the contender that it serves.
- *download only* requests the pages and discards them. The *floor* is a script written for these
  20 fields: it has no cursor, state, lease or quarantine. *plain dlt* is the example of the
  founding document, with its cursor read only once so that it lands every row.
- The taps write neither parquet nor state, which is about half of the work of the others. Of the
  two Airbyte sources, the manifest is how most connectors are written; it emits all 25 fields,
  because the platform selects fields. The one in Python selects the 20 fields itself.
- *contents*: files are compared by a digest over their sorted rows, in all 20 fields, whatever
  type a file uses for a value. The records of the taps are counted in an unmeasured run.
- The targets with 20 and 3,000 streams, with 20,000 files and with servers that do not answer
  (`python -m benchmarks --only scale`) are times of a whole `landing` process, the start of Python
  and all imports included, without those of dlt where the target says so. Their streams need no
  API. Those of 3,000 streams and 20,000 files are measured once.
- The records are generated and regular, and compress better than real ones.
- Ratios differ between machines, most of all those with 50 ms a page: the API waits as long on any
  machine, but the work takes as long as the machine needs. Results of other machines, with the
  versions of their time, are in `benchmarks/results/`."""


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
        f"{run.machine}. System load before and after: {run.load}.\n\n{run.versions}.",
        contenders_table(run),
    ]
    if run.differences:
        sections.append("\n".join(f"- **{difference}**" for difference in run.differences))
    if run.marks:
        sections += [
            "## Targets",
            table(("case", "target", "measured", "verdict"), map(_mark, run.marks)),
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
