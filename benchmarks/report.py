"""The numbers as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from benchmarks.contenders import FLOOR, PLAIN_DLT
from benchmarks.contests import Contest
from benchmarks.mark import Mark
from benchmarks.race import Outcome, differences
from benchmarks.records import PAGE_SIZE

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
  system time of the whole process and of those that it starts; it can exceed *seconds* because
  threads run in parallel. *peak MB* is the largest resident memory, of the largest process if
  there are several.
- The API is a separate process on the loopback interface. It encodes its pages before the clock
  starts, but it shares the cores with the contender that it serves, and so does SeaweedFS.
- *download only* requests the pages and discards them. The *floor* is a script written for these
  fields: it has no cursor, state, lease or quarantine. *plain dlt* is the example of the
  founding document, with its cursor read only once so that it lands every row.
- *Rows readable in a bucket* ends when the rows can be read from SeaweedFS. Each tool writes
  parquet with a target of its own: dlt with its filesystem destination, ingestr and Sling with
  theirs, the tap of the Singer SDK with target-s3 (plinxore-target-s3), in a process of its own.
  Airbyte's destination for S3 is written in Java and not published as a package, so only the
  source's half of its work is measured: its messages go nowhere.
- ingestr has no source for APIs in general, so a loop in Python requests the pages and gives them
  to its SDK as tables of Arrow. Sling reads the API by a spec, and emits all 25 fields. Both have
  newer versions (ingestr 1.1.23 and later, Sling 1.5 and later), whose packages download their
  programs from elsewhere when they first run. Measured are the newest that come with their program.
- Of the two Airbyte sources, the manifest is how most connectors are written; it emits all 25
  fields, because the platform selects fields. The one in Python selects the 20 fields itself.
- *Pull requests* and *Alerts* are objects that GitHub sent (`benchmarks/recorded/`), repeated,
  100 a page: pull requests of 18 kB with deep objects and 5 to 11 nulls in 48 fields, and code
  scanning alerts of 0.7 to 2.8 kB with long texts and up to 5 nulls in 15 fields. They are read as
  an API sends them in compact form, and pretty-printed.
- *contents*: files are compared by a digest over their sorted rows, in all fields, whatever type a
  file uses for a value, and in whatever order it has an object's members. The records of Airbyte
  are counted in an unmeasured run.
- The targets with 20 and 3,000 streams, with 20,000 files and with servers that do not answer
  (`python -m benchmarks --only scale`) are times of a whole `landing` process, the start of Python
  and all imports included, without those of dlt where the target says so. Their streams need no
  API. Those of 3,000 streams and 20,000 files are measured once, and so is the memory of the larger
  number of records.
- The generated records are regular, and compress better than real ones.
- Ratios differ between machines, most of all those with 50 ms a page: the API waits as long on any
  machine, but the work takes as long as the machine needs. Results of other machines, with the
  versions of their time, are in `benchmarks/results/`."""


@dataclass(frozen=True)
class Result:
    contest: Contest
    outcomes: Sequence[Outcome]

    @property
    def differences(self) -> list[str]:
        return differences(self.outcomes, self.contest.records)


@dataclass(frozen=True)
class Run:
    day: date
    records: int
    machine: str
    versions: str
    load: str
    results: Sequence[Result]
    skipped: Mapping[str, str]
    """Why, by the contender's title."""
    failed: Mapping[str, str]
    marks: Sequence[Mark]


def markdown(run: Run) -> str:
    sections = [
        "# Benchmark",
        f"`make bench` on {run.day.isoformat()}: {run.records:,} records of 25 fields, 20 kept, "
        f"{PAGE_SIZE:,} a page, if nothing else is said.",
        f"{run.machine}. System load before and after: {run.load}.\n\n{run.versions}.",
        *(
            section
            for result in run.results
            for section in _result(result, {**run.skipped, **run.failed})
        ),
    ]
    if run.marks:
        sections += [
            "## Targets",
            table(("case", "target", "measured", "verdict"), map(_mark, run.marks)),
        ]
    return "\n\n".join([*sections, HOW_TO_READ]) + "\n"


def _result(result: Result, skipped: Mapping[str, str]) -> list[str]:
    contest = result.contest
    size = f"{_plural(contest.records, 'record')}, {contest.page_size:,} a page"
    fewer = [
        f", {len(each.measurements)} of {each.contender.title}"
        for each in result.outcomes
        if not each.failed and len(each.measurements) < contest.rounds
    ]
    rounds = f"{_plural(contest.rounds, 'round')}{''.join(fewer)}"
    found = [f"## {contest.title}", f"{size}; {rounds}."]
    found.append(contenders_table(result, skipped))
    if result.differences:
        found.append("\n".join(f"- **{difference}**" for difference in result.differences))
    return found


def contenders_table(result: Result, skipped: Mapping[str, str]) -> str:
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
    finished = [outcome for outcome in result.outcomes if not outcome.failed]
    seconds = {outcome.contender.title: outcome.seconds for outcome in finished}
    rows = [_row(outcome, seconds, result) for outcome in finished]
    absent = [c.title for c in result.contest.contenders if c.title not in seconds]
    rows += [(title, f"skipped: {skipped[title]}".replace("|", "/"), *[""] * 8) for title in absent]
    return table(head, rows)


def _row(outcome: Outcome, seconds: Mapping[str, float], result: Result) -> tuple[str, ...]:
    own = outcome.seconds
    low, high = outcome.spread
    dlt, floor = seconds.get(PLAIN_DLT.title), seconds.get(FLOOR.title)
    return (
        outcome.contender.title,
        f"{own:.2f}",
        f"{low:.2f}–{high:.2f}",
        f"{result.contest.records / own:,.0f}",
        f"{dlt / own:.1f} ×" if dlt else _NONE,
        f"{own / floor:.2f} ×" if floor else _NONE,
        f"{outcome.median(lambda m: m.cpu_seconds):.1f}",
        f"{outcome.median(lambda m: m.peak_bytes) / _MB:.0f}",
        f"{outcome.median(lambda m: m.process_seconds):.2f}",
        _contents(outcome, is_equal=not result.differences),
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
