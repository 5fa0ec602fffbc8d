"""Streams of one source that each meet a fault of their own, round after round."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from demo.servers import S3Server
from tests.servers.proxy import Request, Spoiled
from torture.figures import Search, Section, Tally
from torture.fleet import PYTHON, Ended, Fleet, Gate, serve_fleet
from torture.sources import Client

FOR_EVER = float("inf")
ROWS = 400
CHANGED = 250
"""Rows before each run: three pages of them, and about as many parts."""


@dataclass(frozen=True)
class Fault:
    """What happens to one stream in each round.

    `cause` is a pattern of what the message says; without one, the run must not fail.
    """

    stream: str
    what: str
    spoil: Callable[[Fleet, str], Spoiled]
    cause: str = ""
    changes_rows: bool = False


Program = Callable[[Fleet], Sequence[str]]


@dataclass(frozen=True)
class Torment:
    """So many rounds of a source whose streams are named for the faults they meet.

    `program` starts Python for the run that meets them.
    """

    client: Client
    faults: Sequence[Fault]
    rounds: int
    waits: bool
    program: Program = lambda _: PYTHON

    def __call__(self, s3: S3Server, gate: Gate) -> tuple[dict[str, Tally], Search]:
        tallies = {fault.what: Tally(fault.what) for fault in self.faults}
        names = [fault.stream for fault in self.faults]
        with serve_fleet(self.client, names, s3, ROWS) as fleet:
            for _ in range(self.rounds):
                self._round(fleet, tallies, gate)
            return tallies, fleet.search()

    def _round(self, fleet: Fleet, tallies: dict[str, Tally], gate: Gate) -> None:
        met: dict[str, Spoiled] = {}
        for fault in self.faults:
            fleet.change(fault.stream, CHANGED)
            met[fault.stream] = fault.spoil(fleet, fault.stream)
        with gate:
            first = fleet.run(program=self.program(fleet))
        fleet.api_proxy.fix()
        fleet.bucket_proxy.fix()
        fleet.free_leases(waits=self.waits)
        later = [f.stream for f in self.faults if not _landed(fleet, f, first) or f.changes_rows]
        second = None
        if later:
            with gate:
                second = fleet.run(*later)
        for fault in self.faults:
            tally = tallies[fault.what]
            tally.times += bool(met[fault.stream].hits)
            _judge(fleet, fault, first, second, tally)


def _judge(fleet: Fleet, fault: Fault, first: Ended, second: Ended | None, tally: Tally) -> None:
    if _landed(fleet, fault, first):
        tally.recovered += 1
    else:
        tally.problems += _unclear(fleet, fault, first)
        tally.problems += [] if fault.cause else [f"did not recover: {first.err.strip()}"]
        if second is not None and _landed(fleet, fault, second):
            tally.completed_later += 1
        else:
            told = second.text.strip() if second is not None else "it was not run"
            tally.problems.append(f"the next run did not complete: {told}")
    landed = fleet.landed[fault.stream]
    tally.lost += fleet.lost(fault.stream)
    tally.problems += landed.problems
    landed.problems.clear()


def _landed(fleet: Fleet, fault: Fault, ended: Ended) -> bool:
    name = re.escape(f"{fleet.source}/{fault.stream}")
    return bool(re.search(rf"^{name}: (nothing new|[\d,]+ rows? in)", ended.out, re.MULTILINE))


def _unclear(fleet: Fleet, fault: Fault, ended: Ended) -> list[str]:
    """What is wrong with how a run that failed told of it."""
    if ended.code < 0:
        return ["the run did not end by itself"]
    name = f"{fleet.source}/{fault.stream}"
    lines = _of_each(ended.err.splitlines(), fleet.source)
    told = [line for line in lines if re.search(rf"{name}\b", line)]
    if len(told) != 1:
        return [f"{len(told)} messages about {name}: {ended.err.strip()}"]
    problems = [] if re.search(fault.cause, told[0]) else [f"not clear: {told[0]}"]
    if "Traceback" in ended.text or "?since" in told[0]:
        problems.append(f"too much told: {ended.err.strip()}")
    return problems


def _of_each(lines: Sequence[str], source: str) -> list[str]:
    """With a message that is said once for several streams repeated for the others."""
    found: list[str] = []
    for line in lines:
        if same := re.match(r"\s+the same for (.*)", line):
            others = same[1].split(", ")
            first = found[-1]
            found += [re.sub(rf"{source}/\w+", f"{source}/{other}", first) for other in others]
        else:
            found.append(line)
    return found


def of_stream(stream: str) -> Callable[[Request], bool]:
    """Whether a request to the API is one of this stream."""
    return lambda request: request.path == f"/{stream}"


def run_torments(
    title: str,
    torments: Iterable[Torment],
    tallies: Sequence[Tally],
    s3: S3Server,
    *,
    at_once: int = 1,
) -> Section:
    """All of them in turns; `at_once` is how many runs a processor may have."""
    gate = Gate(at_once)
    jobs = list(torments)
    with ThreadPoolExecutor(len(jobs)) as pool:
        done = list(pool.map(lambda job: job(s3, gate), jobs))
    for found, _ in done:
        for tally in tallies:
            if tally.what in found:
                tally.add(found[tally.what])
    return Section(title, tallies, sum((searched for _, searched in done), Search()))
