"""Measure this project beside its peers and a hand-written floor.

python -m benchmarks                       all of it, into benchmarks/RESULTS.md
python -m benchmarks --quick               proves that it works; its times mean nothing
python -m benchmarks --only folder memory  some of it, printed only
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import machine
from benchmarks.citations import write_citations
from benchmarks.contests import Contest, contests, quick
from benchmarks.mark import Mark, Setting
from benchmarks.marks import MARKS, speed
from benchmarks.process import ProgramFailed
from benchmarks.race import race
from benchmarks.records import RECORDS
from benchmarks.report import Result, Run, markdown

RESULTS = Path(__file__).parent / "RESULTS.md"
ROUNDS = 5
QUICK_RECORDS = 2_000
_ALL_OF_IT = "to be measured"


@dataclass(frozen=True)
class Choice:
    contests: Sequence[Contest]
    marks: Sequence[str]
    records: int
    rounds: int
    is_quick: bool
    is_all: bool


def main(arguments: Sequence[str] | None = None) -> int:
    choice = _chosen(_parser().parse_args(arguments))
    try:
        run = _measure(choice)
    except ProgramFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    text = markdown(run)
    print(text)
    differ = any(result.differences for result in run.results)
    if choice.is_all and not differ:
        RESULTS.write_text(text)
        write_citations(text)
    return 1 if differ or run.failed or any(math.isinf(m.cost) for m in run.marks) else 0


def _measure(choice: Choice) -> Run:
    contenders = dict.fromkeys(c for contest in choice.contests for c in contest.contenders)
    load_before = machine.load()
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        results = [_result(contest, Path(folder)) for contest in choice.contests]
        marks = []
        if not choice.is_quick:
            marks = [m for r in results if r.contest.name == "folder" for m in speed(r.outcomes)]
        for name in choice.marks:
            marks += _mark(name, choice, Path(folder) / name)
    return Run(
        day=datetime.now(UTC).date(),
        records=choice.records,
        machine=machine.description(),
        versions=machine.listed(machine.versions(contenders)),
        load=f"{load_before}, {machine.load()}",
        results=results,
        skipped={c.title: c.missing for c in contenders if c.missing},
        failed={o.contender.title: o.failed for r in results for o in r.outcomes if o.failed},
        marks=marks,
    )


def _result(contest: Contest, folder: Path) -> Result:
    present = [c for c in contest.contenders if not c.missing]
    outcomes = race(replace(contest, contenders=present), folder / contest.name, _say)
    return Result(contest, outcomes)


def _mark(name: str, choice: Choice, folder: Path) -> list[Mark]:
    folder.mkdir()
    try:
        marks = MARKS[name](Setting(choice.records, choice.rounds, folder))
    except ProgramFailed as error:  # what took minutes before it is not lost
        print(f"error: {name}: {error}", file=sys.stderr)
        marks = [Mark(name, _ALL_OF_IT, str(error).partition("\n")[0], math.inf)]
    for mark in marks:
        _say(f"{mark.case}: {mark.measured} ({mark.asked})")
    return marks


def _chosen(options: argparse.Namespace) -> Choice:
    records = options.records or (QUICK_RECORDS if options.quick else RECORDS)
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    all_contests = quick(records) if options.quick else contests(records, rounds)
    return Choice(
        contests=[c for c in all_contests if not options.only or c.name in options.only],
        marks=[] if options.quick else [m for m in MARKS if not options.only or m in options.only],
        records=records,
        rounds=rounds,
        is_quick=options.quick,
        is_all=not (options.quick or options.only),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    names = [*(contest.name for contest in contests(RECORDS, ROUNDS)), *MARKS]
    parser.add_argument("--records", type=_positive, metavar="N", help=f"default {RECORDS:,}")
    parser.add_argument("--rounds", type=_positive, metavar="N", help=f"default {ROUNDS}")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"{QUICK_RECORDS:,} records, one round, nothing that needs an environment of its own",
    )
    parser.add_argument(
        "--only", nargs="+", choices=names, metavar="NAME", help=f"some of {', '.join(names)}"
    )
    return parser


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0")
    return number


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
