"""Runs on machines whose network is unplugged in the middle of an upload, for 66 seconds.

Each machine is a network namespace (`torture/machines.py`), which takes root. Its kernel sends the
rest of the upload once the cable is plugged in again: another run has landed by then.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from demo.servers import S3Server, seaweedfs
from torture.feeding import Feeder
from torture.figures import Search, Section, Tally
from torture.fleet import PYTHON, RUN_SECONDS, Gate, serve_fleet
from torture.machines import SERVERS, Machine, go_inside, lab, missing
from torture.sources import EXACT
from torture.stopped import PATIENT
from torture.stops import CUT_OFF_FOR, STREAM

_MODULE = "torture.cut_networks"
_TITLE = "Edge: zone, machines whose network is cut"
_ROWS = 600
_PADDING = 2_000
"""Bytes in each row, so that a part is larger than what a socket takes before it is read."""
_FILE_MB = "0.4"


@dataclass
class _Lane:
    machine: Machine
    nth: int
    tally: Tally
    polls: int = 0
    sealed: int = 0
    search: Search = field(default_factory=Search)

    def __call__(self, s3: S3Server, gate: Gate) -> None:
        with gate, serve_fleet(EXACT, [STREAM], s3, _ROWS, host=SERVERS) as fleet:
            chance = random.Random(self.nth)
            rows = fleet.api.rows(STREAM)
            for row in rows:
                row["customer"] = {"note": chance.randbytes(_PADDING // 2).hex()}
            fleet.api.set_rows(STREAM, rows)
            feeder = Feeder(fleet.zone, f"{fleet.source}/{STREAM}")
            feeder.start()
            program = (*self.machine.inside, *PYTHON)
            is_cut, may_be_read, seen = threading.Event(), threading.Event(), [0]

            def cut(method: str, target: str) -> None:
                if method != "PUT" or not target.endswith(".parquet"):
                    return
                seen[0] += 1
                if seen[0] == self.nth % 2 + 1:
                    time.sleep(0.2)  # until the socket is full
                    self.machine.unplug()
                    is_cut.set()
                    may_be_read.wait(RUN_SECONDS)

            fleet.bucket_proxy.on_headers = cut
            own = {"LANDING_FILE_MB": _FILE_MB, **PATIENT}
            first = fleet.start(program=program, **own)
            while not is_cut.wait(0.05):
                if first.process.poll() is not None:
                    self.tally.problems.append(f"it did not upload: {fleet.ended(first).text}")
                    return
            may_be_read.set()  # what it reads from now on is what has come through
            fleet.change(STREAM, 80)
            time.sleep(CUT_OFF_FOR)
            second = fleet.run(S3_ENDPOINT=s3.endpoint, **own)
            there = set(fleet.zone.parts(fleet.source, STREAM))
            self.machine.plug_in()
            ended = fleet.ended(first)
            time.sleep(1)
            feeder.end()
            self.tally.times += 1
            self.tally.completed_later += 1
            if second.code != 0:
                self.tally.problems.append(f"the second run: {second.text.strip()}")
            if ended.code != 3 or "lost its lease" not in ended.err:
                self.tally.problems.append(f"the first run: {ended.code}: {ended.text.strip()}")
            if late := set(fleet.zone.parts(fleet.source, STREAM)) - there:
                self.tally.problems.append(f"{sorted(late)} appeared late")
            verified = fleet.verify(STREAM)
            if verified.code != 0:
                self.tally.problems.append(f"verify: {verified.text.strip()}")
            self.tally.lost += fleet.lost(STREAM)
            self.tally.lost += len(set(fleet.landed[STREAM].paths) - set(feeder.taken))
            self.tally.problems += fleet.landed[STREAM].problems
            self.polls = len(feeder.intervals)
            self.sealed = len(fleet.zone.paths(f"_dlt/{fleet.source}/{STREAM}/seals"))
            self.search = fleet.search()


def cut_networks(count: int) -> Section:
    """So many machines, each of which is cut off once; where there can be none, it says why."""
    if why := missing():
        return Section(_TITLE, [], notes=[f"Not run: {why}."])
    with tempfile.TemporaryFile() as result:
        code = go_inside(_MODULE, [str(count)], result)
        result.seek(0)
        if code != 0:
            raise RuntimeError(f"{_MODULE} ended with {code}")
        found = json.load(result)
    tally = Tally(**found["tally"])
    return Section(_TITLE, [tally], Search(**found["search"]), [found["note"]])


def _cut_off(count: int) -> dict[str, object]:
    with lab() as machines, machines.machines(count, Path(__file__).parent / "programs") as made:
        folder = machines.folder / "s3"
        with seaweedfs(folder) as s3:
            lanes = [_Lane(machine, n, Tally("")) for n, machine in enumerate(made)]
            gate = Gate(12)
            with ThreadPoolExecutor(count) as pool:
                list(pool.map(lambda lane: lane(s3, gate), lanes))
    tally = Tally(f"unplugged in mid-upload for {CUT_OFF_FOR:.0f} s")
    for lane in lanes:
        tally.add(lane.tally)
    note = (
        f"{sum(lane.sealed for lane in lanes):,} loads were sealed. The feeders polled "
        f"{sum(lane.polls for lane in lanes):,} times; files that they missed count as lost."
    )
    search = sum((lane.search for lane in lanes), Search())
    return {"tally": asdict(tally), "search": asdict(search), "note": note}


if __name__ == "__main__":
    print(json.dumps(_cut_off(int(sys.argv[1]))))
