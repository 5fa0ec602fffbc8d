"""A run that is stopped, cut off or killed at each of its requests to the bucket, one after the
other; another run lands, and only then does the request of the first one arrive.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count

from demo.servers import S3Server
from torture.feeding import Feeder
from torture.figures import Search, Section, Tally
from torture.fleet import Ended, Fleet, Gate, serve_fleet
from torture.sources import EXACT
from torture.stopped import PATIENT, Cause, Moment, Place, Stopped
from torture.stops import IMPATIENT, ROWS, STREAM

_EDITS = 160
_LANDED = re.compile(r"([\d,]+) rows?, [\d,]+ files?")
CAUSES: tuple[Cause, ...] = ("stopped", "cut off", "killed")
MOMENTS: dict[Moment, str] = {
    "before": "before a request",
    "half": "with half of a request sent",
    "after": "once a request was done",
}


@dataclass
class _Lane:
    """The requests of one cause and moment: the first, the second, until a run has no more."""

    cause: Cause
    moment: Moment
    step: int
    tally: Tally = field(init=False)
    requests: set[str] = field(default_factory=set)
    search: Search = field(default_factory=Search)
    polls: int = 0

    def __post_init__(self) -> None:
        self.tally = Tally(f"{self.cause} {MOMENTS[self.moment]}")

    def __call__(self, s3: S3Server, gate: Gate) -> None:
        with serve_fleet(EXACT, [STREAM], s3, ROWS) as fleet:
            feeder = Feeder(fleet.zone, f"{fleet.source}/{STREAM}")
            feeder.start()
            for nth in count(step=self.step):
                with gate:
                    if not self._outrun(fleet, s3, nth):
                        break
            feeder.end()
            fleet.landed[STREAM].look()
            published = fleet.landed[STREAM].paths
            self.tally.lost += len(set(published) - set(feeder.taken))
            if feeder.taken != published:
                self.tally.problems.append("the feeder read something else than what landed")
            self.polls = len(feeder.intervals)
            self.search = fleet.search()

    def _outrun(self, fleet: Fleet, s3: S3Server, nth: int) -> bool:
        """Whether the run had so many requests."""
        fleet.change(STREAM, _EDITS)
        known, recorded = fleet.landed[STREAM].loads(), set(_records(fleet))
        place = Place(lambda _: True, nth, self.moment)
        first = Stopped(fleet, self.cause, place, lambda: fleet.start(**PATIENT))
        if not first.is_reached():
            first.go_on()
            return False
        fleet.change(STREAM, _EDITS)
        time.sleep(2)
        second = fleet.run(program=IMPATIENT, S3_ENDPOINT=s3.endpoint, **PATIENT)
        fleet.landed[STREAM].look()
        before = fleet.landed[STREAM].loads()
        ended = first.go_on()
        fleet.landed[STREAM].look()
        late = fleet.landed[STREAM].loads() - before
        self.tally.times += 1
        self.tally.recovered += ended.code == 0
        self.tally.completed_later += ended.code != 0
        self.requests.add(re.sub(r"[\d.]{6,}\d|raw-\w+", "…", first.request))
        if ended.code != 0:
            fleet.landed[STREAM].interrupted |= before - known
        counted = [rows for path, rows in _records(fleet).items() if path not in recorded]
        self._judge(fleet, second, ended, late, counted, first.request)
        return True

    def _judge(
        self,
        fleet: Fleet,
        second: Ended,
        first: Ended,
        late: set[str],
        counted: Sequence[int],
        at: str,
    ) -> None:
        found: list[str] = []
        if second.code != 0:
            found.append(f"the second run ended with {second.code}: {second.text.strip()}")
        if self.cause == "killed":
            is_true = first.code == -9
        elif first.code == 1:  # small requests wait ten seconds, and the bucket did not answer
            is_true = "no answer in time" in first.err
        elif first.code == 3:
            is_true = "lost its lease" in first.err or "is under way" in first.err
        else:
            is_true = first.code == 0 and _is_true(first, counted)
        if not is_true or not _is_true(second, counted):
            found.append(f"the first run ended with {first.code}: {first.text.strip()}")
        if late and first.code != 0:
            found.append(f"{sorted(late)} appeared late")
        landed = fleet.landed[STREAM]
        self.tally.lost += fleet.lost(STREAM)
        if twice := landed.unexplained_repeats():
            found.append(f"{twice} rows landed twice")
        verified = fleet.verify(STREAM)
        if verified.code != 0:
            found.append(f"verify: {verified.text.strip()}")
        found += landed.problems
        landed.problems.clear()
        self.tally.problems += [f"{at}: {one}" for one in found]


def _records(fleet: Fleet) -> dict[str, int]:
    """Rows of each load, as its record in the bucket has them."""
    paths = fleet.zone.paths(f"_dlt/{fleet.source}/{STREAM}/loads")
    return {path: json.loads(fleet.zone.read(path))["rows"] for path in paths}


def _is_true(ended: Ended, counted: Sequence[int]) -> bool:
    """Whether a run that says how many rows it landed has a load of so many."""
    said = _LANDED.search(ended.out)
    return said is None or int(said[1].replace(",", "")) in counted


def any_request(s3: S3Server, *, step: int = 1) -> Section:
    """Each request of a run, or each `step`-th."""
    gate = Gate(4)
    lanes = [_Lane(cause, moment, step) for cause in CAUSES for moment in MOMENTS]
    with ThreadPoolExecutor(len(lanes)) as pool:
        list(pool.map(lambda lane: lane(s3, gate), lanes))
    requests = {request for lane in lanes for request in lane.requests}
    note = (
        f"Requests of {len(requests)} kinds. The second run found the lease expired after two "
        "seconds, while the first one still trusted it. The feeders polled "
        f"{sum(lane.polls for lane in lanes):,} times; files that they missed count as lost. "
        "A first run that completed landed as many rows as it said; any other one said that it "
        "had lost its lease or that the bucket did not answer in time, or was killed."
    )
    searched = sum((lane.search for lane in lanes), Search())
    tallies = [lane.tally for lane in lanes]
    return Section("Edge: zone, runs stopped at each request", tallies, searched, [note])
