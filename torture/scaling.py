"""One backfill on one machine and on two, which share nothing but the bucket; then one is lost.

sudo make scaling                          all of it, into docs/scaling.md: about 10 minutes
sudo python -m torture.scaling --quick     a little of it; proves that it works, prints only

The machines are Linux namespaces (torture/machines.py), which takes root; where they can't be
made, it says why and exits with 77.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import machine
from benchmarks.report import table
from demo.servers import seaweedfs
from torture.figures import write_between_markers
from torture.machines import SERVERS, UNAVAILABLE, Lab, go_inside, is_inside, lab, missing
from torture.site import DELAY, PAGE, Backfill, Failed, Site, awaited, serve_site

REPORT = Path(__file__).parent.parent / "docs" / "scaling.md"
COMMAND = "make scaling"
ASKED = 1.8
"""Times the speed of one machine, of two with as many windows side by side as that one."""


@dataclass(frozen=True)
class Size:
    windows: int
    pages: int
    rounds: int
    workers: Sequence[int]
    losses: Sequence[bool]
    """Whether the machine is to be lost while it publishes, which takes a minute longer."""


LONG = Size(windows=60, pages=10, rounds=3, workers=(1, 4), losses=(False, True))
QUICK = Size(windows=6, pages=2, rounds=1, workers=(1,), losses=(False,))


@dataclass(frozen=True)
class Run:
    """Of one backfill, to the end of all its processes."""

    seconds: float
    windows: Sequence[int]
    """That each machine did."""


@dataclass(frozen=True)
class Loss:
    """What became of a backfill on two machines of which one was lost."""

    is_publishing: bool
    """It left the lease behind, which only expires."""
    before: int
    """Windows that were done when it was lost."""
    by_lost: int
    by_other: int
    """Windows that each machine did in all."""
    pause: float
    """Seconds from then until the next window was done."""
    rest: float
    """And until all were."""
    again: int
    """Rows that landed twice: of the window that it was publishing."""


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    if not is_inside():
        if reason := missing():
            print(f"error: {reason}", file=sys.stderr)
            return UNAVAILABLE
        return go_inside("torture.scaling", given)
    size = QUICK if options.quick else LONG
    try:
        text, is_reached = _measured(size)
    except Failed as error:
        print(f"PROBLEM {error}", file=sys.stderr)
        return 1
    print(text)
    if options.quick:
        return 0
    write_between_markers(REPORT, text, COMMAND)
    return 0 if is_reached else 1


def _measured(size: Size) -> tuple[str, bool]:
    """The figures, and whether two machines are as fast as they should be. Raises Failed if
    anything was lost."""
    begun, load = time.monotonic(), machine.load()
    with ExitStack() as stack:
        machines = stack.enter_context(lab())
        s3 = stack.enter_context(seaweedfs(machines.folder / "s3", host=SERVERS))
        records = size.windows * size.pages * PAGE
        site = stack.enter_context(serve_site(s3, machines.folder, records, size.pages, SERVERS))
        runs = {workers: _race(site, machines, workers, size.rounds) for workers in size.workers}
        losses = [_lost(site, machines, is_publishing) for is_publishing in size.losses]
    speed = _speed(runs[1])
    text = "\n\n".join(
        [
            f"`{COMMAND}` on {datetime.now(UTC):%Y-%m-%d}, {machine.description()}: "
            f"{(time.monotonic() - begun) / 60:.0f} minutes. A backfill of {size.windows} windows "
            f"of {size.pages} pages of {PAGE} records, {DELAY * 1000:.0f} ms each. System load "
            f"before and after: {load}, {machine.load()}.",
            _speed_table(runs),
            f"Target for two machines with `--workers 1`: ≥ {ASKED:g} × the speed of one; "
            f"{'reached' if speed >= ASKED else 'missed'} with {speed:.2f} ×.",
            _loss_table(losses),
            f"In each of the {_count(runs) + len(losses)} backfills, the newest landed row of "
            f"every key equals that of the API, and no window is missing. A feeder that polled "
            f"during the {len(losses)} losses missed no file.",
        ]
    )
    return text, speed >= ASKED


def _race(site: Site, machines: Lab, workers: int, rounds: int) -> dict[int, list[Run]]:
    """One machine and two in turn, so that a slow minute is shared by both."""
    runs: dict[int, list[Run]] = {1: [], 2: []}
    for _ in range(rounds):
        for count, own in runs.items():
            own.append(_run(site, machines, count, workers))
            _say(f"{count} × --workers {workers}: {own[-1].seconds:.1f} s, {own[-1].windows}")
    return runs


def _run(site: Site, machines: Lab, count: int, workers: int) -> Run:
    with machines.machines(count, site.image) as made:
        backfill = Backfill(site)
        begun = time.monotonic()
        jobs = [backfill.start(each, workers) for each in made]
        for job in jobs:
            job.end()
        seconds = time.monotonic() - begun
        if again := backfill.check():
            raise Failed(f"{again} rows landed twice, though nothing was killed")
        return Run(seconds, [job.windows() for job in jobs])


def _lost(site: Site, machines: Lab, is_publishing: bool) -> Loss:
    """Half-way, the first of two machines is lost, while it publishes a window or does not."""
    with machines.machines(2, site.image) as made:
        backfill = Backfill(site)
        with backfill.fed():
            lost, other = (backfill.start(each, workers=1) for each in made)
            name = made[0].name
            backfill.hold_until_begun(len(made))
            awaited(lambda: backfill.done() >= site.windows // 2 and lost.windows() > 0, other)
            awaited(lambda: (backfill.lease_holder() == name) == is_publishing, other)
            made[0].lose()
            at = time.monotonic()
            lost.process.wait()
            left_lease = backfill.lease_holder() == name
            before = backfill.done()
            awaited(lambda: backfill.done() > before, other)
            pause = time.monotonic() - at
            other.end()
            rest = time.monotonic() - at
        again = backfill.check()
        _say(f"lost after {before} windows, lease left: {left_lease}; went on after {pause:.1f} s")
        by_other = other.windows()
        return Loss(left_lease, before, site.windows - by_other, by_other, pause, rest, again)


def _speed(runs: dict[int, list[Run]]) -> float:
    return _median(runs[1]) / _median(runs[2])


def _median(runs: Sequence[Run]) -> float:
    return statistics.median(run.seconds for run in runs)


def _speed_table(all_runs: dict[int, dict[int, list[Run]]]) -> str:
    rows = []
    for workers, runs in all_runs.items():
        for count, own in runs.items():
            seconds = [run.seconds for run in own]
            windows = "; ".join(" + ".join(map(str, run.windows)) for run in own)
            rows.append(
                (
                    f"`--workers {workers}`",
                    str(count),
                    f"{_median(own):.1f}",
                    f"{min(seconds):.1f}–{max(seconds):.1f}",
                    windows if count > 1 else "–",
                    f"{_speed(runs):.2f} ×" if count > 1 else "–",
                )
            )
    head = ("each machine", "machines", "seconds", "spread", "windows, by round", "speed-up")
    return table(head, rows)


def _loss_table(losses: Sequence[Loss]) -> str:
    head = (
        "one machine is lost",
        "windows done before",
        "by the lost machine",
        "by the other",
        "next window after, s",
        "all done after, s",
        "rows landed twice",
    )
    rows = [
        (
            "while it published" if loss.is_publishing else "while it read",
            str(loss.before),
            str(loss.by_lost),
            str(loss.by_other),
            f"{loss.pause:.1f}",
            f"{loss.rest:.1f}",
            f"{loss.again:,}",
        )
        for loss in losses
    ]
    return table(head, rows)


def _count(runs: dict[int, dict[int, list[Run]]]) -> int:
    return sum(len(own) for each in runs.values() for own in each.values())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m torture.scaling", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="few windows, one round")
    return parser


def _say(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
