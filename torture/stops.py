"""Runs that are stopped in mid-publication while another one lands, and then go on.

A run is stopped by SIGSTOP, or cut off from its bucket, at a request of its publication: before it,
with half of its body sent, or once the bucket has done it. Its lease expires, another run takes it
and lands, and the first goes on. A feeder polls all the time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from demo.servers import S3Server
from torture.feeding import Feeder
from torture.figures import Search, Section, Tally
from torture.fleet import LEASE_SECONDS, PYTHON, Ended, Fleet, Gate, serve_fleet
from torture.kills import request_kind
from torture.sources import EXACT
from torture.stopped import PATIENT, Cause, Moment, Place, Stopped

STREAM = "orders"
ROWS = 600
_EDITS = 80
CUT_OFF_FOR = 66.0
IMPATIENT = (*PYTHON, str(Path(__file__).parent / "programs" / "run_impatient.py"), "2")

CAUSES: tuple[Cause, ...] = ("stopped", "cut off")
PLACES: dict[str, tuple[str, Moment]] = {
    "in mid-upload": ("part", "half"),
    "before an upload": ("part", "before"),
    "when a part had arrived": ("part", "after"),
    "before the load's record": ("record", "before"),
    "before the state": ("state", "before"),
}


@dataclass(frozen=True)
class Goal:
    cause: Cause
    place: str
    nth: int
    """Of the requests of that kind, counted from 0."""

    @property
    def what(self) -> str:
        return f"{self.cause} {self.place}"

    @property
    def at(self) -> Place:
        kind, moment = PLACES[self.place]
        return Place(lambda request: request_kind(request) == kind, self.nth, moment)


def goals(count: int) -> list[Goal]:
    """So many, spread over causes and places."""
    kinds = [(cause, place) for place in PLACES for cause in CAUSES]
    found = []
    for number in range(count):
        cause, place = kinds[number % len(kinds)]
        nth = number // len(kinds) % 4 if PLACES[place][0] == "part" else 0
        found.append(Goal(cause, place, nth))
    return found


@dataclass
class _Lane:
    goals: Sequence[Goal]
    waits: bool
    tallies: dict[str, Tally] = field(default_factory=dict)
    search: Search = field(default_factory=Search)
    polls: int = 0
    sealed: int = 0

    def __call__(self, s3: S3Server, gate: Gate) -> None:
        with serve_fleet(EXACT, [STREAM], s3, ROWS) as fleet:
            feeder = Feeder(fleet.zone, f"{fleet.source}/{STREAM}")
            feeder.start()
            for goal in self.goals:
                tally = self.tallies.setdefault(goal.what, Tally(goal.what))
                with gate:
                    self._outrun(fleet, s3, goal, tally)
            feeder.end()
            self._compare(fleet, feeder)
            self.polls = len(feeder.intervals)
            self.sealed = len(fleet.zone.paths(f"_dlt/{fleet.source}/{STREAM}/seals"))
            self.search = fleet.search()

    def _outrun(self, fleet: Fleet, s3: S3Server, goal: Goal, tally: Tally) -> None:
        fleet.change(STREAM, _EDITS * 4)
        stopped = Stopped(fleet, goal.cause, goal.at, lambda: fleet.start(**PATIENT))
        if not stopped.is_reached():
            tally.problems.append(f"ended before its goal: {stopped.go_on().text.strip()}")
            return
        fleet.change(STREAM, _EDITS)
        second = self._second(fleet, s3)
        there = fleet.zone.parts(fleet.source, STREAM)
        first = stopped.go_on()
        tally.times += 1
        if second.code != 0:
            tally.problems.append(f"the second run ended with {second.code}: {second.text}")
        if first.code != 3 or "lost its lease" not in first.err:
            tally.problems.append(f"the first run ended with {first.code}: {first.text.strip()}")
        if late := set(fleet.zone.parts(fleet.source, STREAM)) - set(there):
            tally.problems.append(f"{sorted(late)} appeared late")
        tally.completed_later += 1
        tally.lost += fleet.lost(STREAM)
        tally.problems += fleet.landed[STREAM].problems
        fleet.landed[STREAM].problems.clear()
        verified = fleet.verify(STREAM)
        if verified.code != 0:
            tally.problems.append(f"verify: {verified.text.strip()}")

    def _second(self, fleet: Fleet, s3: S3Server) -> Ended:
        """By a way of its own to the bucket, once the lease of the first has expired."""
        if not self.waits:
            time.sleep(2)
            return fleet.run(program=IMPATIENT, S3_ENDPOINT=s3.endpoint, **PATIENT)
        time.sleep(max(LEASE_SECONDS, CUT_OFF_FOR))
        return fleet.run(S3_ENDPOINT=s3.endpoint, **PATIENT)

    def _compare(self, fleet: Fleet, feeder: Feeder) -> None:
        published = fleet.landed[STREAM].paths
        first = next(iter(self.tallies.values()))
        if missed := set(published) - set(feeder.taken):
            first.lost += len(missed)
        if feeder.taken != published:
            first.problems.append(f"of {len(published)} files, {len(missed)} were missed")


def stops(s3: S3Server, count: int, lanes: int, *, waits: bool) -> Section:
    """So many runs that are outrun; without `waits`, the second run finds the lease expired after
    two seconds, and the first one still trusts it."""
    gate = Gate(12) if waits else Gate()  # they sleep most of the time
    jobs = [_Lane(goals(count)[lane::lanes], waits) for lane in range(lanes)]
    with ThreadPoolExecutor(lanes) as pool:
        list(pool.map(lambda job: job(s3, gate), jobs))
    tallies = {goal.what: Tally(goal.what) for goal in goals(count)}
    for job in jobs:
        for what, tally in job.tallies.items():
            tallies[what].add(tally)
    note = (
        f"{sum(job.sealed for job in jobs):,} loads were sealed. The feeders polled "
        f"{sum(job.polls for job in jobs):,} times; files that they missed count as lost. Each "
        "first run ended with exit code 3 and said that it had lost its lease."
    )
    searched = sum((job.search for job in jobs), Search())
    return Section("Edge: zone, runs that are outrun", list(tallies.values()), searched, [note])
