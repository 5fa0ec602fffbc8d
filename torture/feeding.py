"""A feeder that polls all the time, while loads publish under clocks that are wrong."""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import obstore

from demo.servers import S3Server
from tests.kit import Zone, natural
from tests.servers.proxy import late
from torture.figures import Search, Section, Tally
from torture.fleet import PYTHON, Ended, Fleet, Gate, Running, serve_fleet
from torture.sources import EXACT
from torture.stopped import PATIENT

STREAM = "orders"
PARTS = 20
ROWS = 2_350
_FILE_MB = "0.005"  # of which a load of so many rows makes a few more than 20
_POLL_SECONDS = 0.005
_RUN_AT = Path(__file__).parent / "programs" / "run_at.py"


class Feeder(threading.Thread):
    """Lists what sorts after the last file it processed, and takes that as processed."""

    def __init__(self, zone: Zone, prefix: str) -> None:
        super().__init__(daemon=True)
        self._zone = zone
        self._prefix = prefix
        self._ended = threading.Event()
        self.taken: list[str] = []
        self.intervals: list[float] = []

    def run(self) -> None:
        last = time.monotonic()
        while not self._ended.wait(_POLL_SECONDS):
            self.poll()
            now = time.monotonic()
            self.intervals.append(now - last)
            last = now

    def poll(self) -> None:
        after = self.taken[-1] if self.taken else None
        pages = obstore.list(self._zone.store, self._prefix, offset=after)
        found = [entry["path"] for page in pages for entry in page]
        self.taken += [
            path
            for path in sorted(found, key=natural)
            if after is None or natural(path) > natural(after)
        ]

    def end(self) -> None:
        self._ended.set()
        self.join()
        self.poll()


def _midnight(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


MIDNIGHT = "midnight passes during the load"
CLOCKS: dict[str, Callable[[datetime], datetime | None]] = {
    "the clock is right": lambda now: None,
    "the clock is a day behind": lambda now: now - timedelta(days=1),
    MIDNIGHT: lambda now: _midnight(now) - timedelta(seconds=0.5),
    "the clock is a day ahead": lambda now: now + timedelta(days=1),
}
OVERLAPPED = "a second run starts during the load"


@dataclass
class _Fed:
    """What one stream's loads came to."""

    tallies: dict[str, Tally]
    refused: int = 0
    crossed: int = 0
    parts: int = 0
    fewest: int = 10**9
    polls: int = 0
    intervals: list[float] = field(default_factory=list)
    search: Search = field(default_factory=Search)


def feeding(s3: S3Server, loads: int, streams: int) -> Section:
    """So many loads in all, over so many streams that each have a feeder of their own."""
    gate = Gate()
    numbers = [range(loads)[stream::streams] for stream in range(streams)]
    with ThreadPoolExecutor(streams) as pool:
        fed = list(pool.map(lambda own: _feed(s3, own, gate), numbers))
    tallies = {name: Tally(name) for name in [*CLOCKS, OVERLAPPED]}
    for each in fed:
        for name, tally in each.tallies.items():
            tallies[name].add(tally)
    intervals = [interval for each in fed for interval in each.intervals]
    note = (
        f"Each load had at least {min(each.fewest for each in fed)} files, "
        f"{sum(each.parts for each in fed):,} in all. The feeders polled "
        f"{sum(each.polls for each in fed):,} times, every {statistics.median(intervals):.3f} s "
        f"at the median. {sum(each.refused for each in fed)} second runs were refused with exit "
        f"code 3 and the holder's name. {sum(each.crossed for each in fed)} loads began on one "
        f"day and ended on the next."
    )
    searched = sum((each.search for each in fed), Search())
    return Section("Loads while a feeder reads", list(tallies.values()), searched, [note])


def _feed(s3: S3Server, numbers: range, gate: Gate) -> _Fed:
    fed = _Fed({name: Tally(name) for name in [*CLOCKS, OVERLAPPED]})
    with serve_fleet(EXACT, [STREAM], s3, ROWS) as fleet:
        feeder = Feeder(fleet.zone, f"{fleet.source}/{STREAM}")
        feeder.start()
        for number in numbers:
            with gate:
                _load(fleet, feeder, number, fed)
        feeder.end()
        _compare(fleet, feeder, fed)
        fed.search = fleet.search()
    return fed


def _load(fleet: Fleet, feeder: Feeder, number: int, fed: _Fed) -> None:
    fleet.change(STREAM, ROWS)
    clock = list(CLOCKS)[number // 2 % len(CLOCKS)]
    is_overlapped = number % 5 == 4
    tally = fed.tallies[OVERLAPPED if is_overlapped else clock]
    if is_overlapped:
        done = _overlapped(fleet, clock, tally)
        fed.refused += 1
    else:
        done = fleet.ended(_start(fleet, clock))
    tally.times += 1
    if done.code != 0:
        tally.problems.append(f"ended with {done.code}: {done.text.strip()}")
    fed.crossed += clock == MIDNIGHT and _crossed_midnight(fleet)
    landed = fleet.landed[STREAM]
    new = len(landed.look())
    if new < PARTS:
        tally.problems.append(f"a load had {new} files instead of {PARTS}")
    fed.parts += new
    fed.fewest = min(fed.fewest, new)
    tally.lost += fleet.lost(STREAM)
    tally.problems += landed.problems
    landed.problems.clear()


def _start(fleet: Fleet, clock: str, **env: str) -> Running:
    moment = CLOCKS[clock](datetime.now(UTC))
    program = (*PYTHON, str(_RUN_AT), moment.isoformat()) if moment else PYTHON
    return fleet.start(program=program, LANDING_FILE_MB=_FILE_MB, **env)


def _overlapped(fleet: Fleet, clock: str, tally: Tally) -> Ended:
    """A run, and a second one that begins and ends while the first one waits for a page."""
    may_go_on = threading.Event()
    waited = fleet.api_proxy.spoil(late(may_go_on))
    first = _start(fleet, clock, **PATIENT)
    try:
        while not waited.hits and first.process.poll() is None:
            time.sleep(0.01)
        second = fleet.run()
    finally:
        may_go_on.set()
    if second.code != 3 or f"process {first.process.pid}" not in second.err:
        tally.problems.append(f"the second run ended with {second.code}: {second.text}")
    return fleet.ended(first)


def _crossed_midnight(fleet: Fleet) -> bool:
    last = fleet.zone.paths(f"_dlt/{fleet.source}/{STREAM}/loads")[-1]
    record = json.loads(fleet.zone.read(last))
    return bool(record["started"][:10] != record["finished"][:10])


def _compare(fleet: Fleet, feeder: Feeder, fed: _Fed) -> None:
    published = fleet.landed[STREAM].paths
    missed = len(set(published) - set(feeder.taken))
    fed.polls, fed.intervals = len(feeder.intervals), feeder.intervals
    first = next(iter(fed.tallies.values()))
    first.lost += missed
    if feeder.taken != published:
        first.problems.append(f"of {len(published)} files, {missed} were missed")
