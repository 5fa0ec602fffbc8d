"""`kill -9` at every point of a run, the disk thrown away; the next run has to deliver the rest.

Two proxies see all that a run asks of its API and of its bucket, so they know where it is and can
kill it just before, in the middle of, or right after any of its requests.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from demo.servers import S3Server
from tests.servers.proxy import Exchange, Request, Response
from torture.figures import Search, Section, Tally
from torture.fleet import Fleet, Gate, Running, serve_fleet
from torture.landed import Landed
from torture.sources import EXACT, SLICED, Client

STREAM = "orders"
ROWS = 1_200
SLICES = 3
PHASES = (
    "import",
    "taking the lease",
    "extract",
    "write",
    "upload",
    "between parts",
    "before writing the state",
    "after writing the state",
    "releasing the lease",
)

Moment = Literal["before", "half", "after"]


@dataclass(frozen=True)
class Target:
    """Where a run shall die: at the `nth` request of a kind, counted from 0, or after seconds."""

    kind: str
    nth: int = 0
    moment: Moment = "before"
    seconds: float = 0.0


class Attempt:
    """One run that is killed at its target, if it comes there; `phase` is where it really was."""

    def __init__(self, fleet: Fleet, target: Target) -> None:
        self.phase = ""
        self._fleet = fleet
        self._target = target
        self._seen: Counter[str] = Counter()
        self._last = ("", "")
        self._lock = threading.Lock()
        self._running: Running | None = None

    def run(self) -> bool:
        """Whether the run was killed; it may have ended before it came to its target."""
        fleet = self._fleet
        fleet.api_proxy.spoil(self._watch, times=float("inf"))
        fleet.bucket_proxy.spoil(self._watch, times=float("inf"))
        begun = time.monotonic()
        self._running = fleet.start()
        if self._target.kind == "import":
            time.sleep(max(0.0, self._target.seconds - (time.monotonic() - begun)))
            self._kill()
        ended = fleet.ended(self._running)
        fleet.api_proxy.fix()
        fleet.bucket_proxy.fix()
        return ended.code == -9 and bool(self.phase)

    def _watch(self, exchange: Exchange) -> None:
        kind = request_kind(exchange.request)
        with self._lock:
            nth = self._seen[kind]
            self._seen[kind] += 1
            if kind == "lease" and nth:
                kind = ""  # renewed
            self._last = (kind, "begun") if kind else self._last
        target = self._target
        if kind == target.kind and nth == target.nth:
            self._die_at(exchange, kind)
            return
        response = exchange.forward()
        is_last = kind == "page" and _is_last(exchange.request, response)
        self._note(kind, is_last=is_last)
        if kind == "page" and nth % 3 == 1:
            self._fleet.change(STREAM, 20)  # rows that change during paging
        exchange.answer(response)
        if is_last and target.kind == "write":
            time.sleep(target.seconds)
            self._kill()

    def _die_at(self, exchange: Exchange, kind: str) -> None:
        match self._target.moment:
            case "before":
                self._kill()
            case "half" if exchange.request.body:
                exchange.forward_half()
                self._kill()
            case "half":
                exchange.answer_half(exchange.forward())
                self._kill()
            case "after":
                exchange.forward()
                self._note(kind)
                self._kill()
        exchange.reset()

    def _note(self, kind: str, *, is_last: bool = False) -> None:
        with self._lock:
            if is_last:
                self._last = ("last page", "done")
            elif kind:
                self._last = (kind, "done")

    def _kill(self) -> None:
        with self._lock:
            if self._running is not None and self._running.process.poll() is None:
                self._running.kill()
                self.phase = self.phase or _phase(*self._last)


def request_kind(request: Request) -> str:
    """What a request is to a run; empty for what tells nothing about where it is."""
    path = request.path
    if request.method == "GET" and "since" in request.query:
        return "page"
    if request.method != "PUT":
        return ""
    if path.endswith("/lease.json"):
        return "release" if json.loads(request.body)["released"] else "lease"
    if path.endswith(".parquet"):
        return "part"
    if "/loads/" in path:
        return "record"
    return "state" if path.endswith("/state.json") else ""


def _is_last(request: Request, response: Response) -> bool:
    return response.status == 200 and (
        len(json.loads(response.body)["data"]) < int(request.query["limit"])
    )


def _phase(kind: str, progress: str) -> str:
    match kind, progress:
        case "", _:
            return "import"
        case "lease", _:
            return "taking the lease"
        case "page", _:
            return "extract"
        case "last page", _:
            return "write"
        case "part", "begun":
            return "upload"
        case "part", "done":
            return "between parts"
        case "state", "done":
            return "after writing the state"
        case "release", _:
            return "releasing the lease"
    return "before writing the state"


def targets(count: int, loads: int) -> list[Target]:
    """So many points, spread evenly over the phases, and over so many loads of a run."""
    moments: tuple[Moment, ...] = ("before", "half", "after")
    made: list[Callable[[int], Target]] = [
        lambda n: Target("import", seconds=0.05 + 0.13 * (n % 9)),
        lambda n: Target("lease", moment=moments[n % 3]),
        lambda n: Target("page", nth=n % 6, moment=moments[n % 3]),
        lambda n: Target("write", seconds=0.02 * (n % 8)),
        lambda n: Target("part", nth=n % 5, moment=moments[n % 2]),
        lambda n: Target("part", nth=n % 5, moment="after"),
        lambda n: (
            Target("record", nth=n % loads, moment=moments[n % 3])
            if n % 2
            else Target("state", nth=n % loads, moment=moments[n // 2 % 2])
        ),
        lambda n: Target("state", nth=n % loads, moment="after"),
        lambda n: Target("release", moment=moments[::2][n % 2]),
    ]
    return [made[n % len(made)](n // len(made)) for n in range(count)]


@dataclass
class _Lane:
    """One stream that is killed again and again."""

    client: Client
    goals: Sequence[Target]
    waits: bool
    tallies: dict[str, Tally] = field(default_factory=lambda: {p: Tally(p) for p in PHASES})
    search: Search = field(default_factory=Search)
    committed: int = 0
    """Runs that had moved the cursor before they were killed while they went on."""

    def __call__(self, s3: S3Server, gate: Gate) -> None:
        pending: list[Tally] = []
        with serve_fleet(self.client, [STREAM], s3, ROWS) as fleet:
            for number, goal in enumerate(self.goals):
                with gate:
                    phase = self._kill(fleet, goal)
                if phase:
                    self.tallies[phase].times += 1
                    pending.append(self.tallies[phase])
                fleet.free_leases(waits=self.waits)
                # Now and then the next run is killed as well, before one may complete.
                if pending and (number % 4 != 3 or number == len(self.goals) - 1):
                    with gate:
                        _complete(fleet, pending)
                    pending.clear()
            self.search = fleet.search()

    def _kill(self, fleet: Fleet, goal: Target) -> str:
        """The phase in which a run died; empty if it ended before, having had too little to do."""
        fleet.change(STREAM, 400)
        landed = fleet.landed[STREAM]
        before = landed.loads()
        attempt = Attempt(fleet, goal)
        was_killed = attempt.run()
        landed.note_interruption()
        goes_on = attempt.phase not in ("after writing the state", "releasing the lease")
        if was_killed and goes_on and landed.loads() - before - landed.interrupted:
            self.committed += 1
        return attempt.phase if was_killed else ""


def kills(s3: S3Server, count: int, lanes: int, *, waits: bool) -> Section:
    """So many kills, in `lanes` that take turns while the leases of dead runs expire.

    The streams of half of the lanes publish as they go, a page or two at a time.
    """
    gate = Gate()
    jobs = [
        _Lane(client, _of_turn(targets(count, loads), turn)[lane :: lanes // 2], waits)
        for turn, (client, loads) in enumerate([(SLICED, SLICES), (EXACT, 1)])
        for lane in range(lanes // 2)
    ]
    with ThreadPoolExecutor(len(jobs)) as pool:
        list(pool.map(lambda job: job(s3, gate), jobs))
    tallies = {phase: Tally(phase) for phase in PHASES}
    for job in jobs:
        for phase, tally in job.tallies.items():
            tallies[phase].add(tally)
    note = (
        f"{sum(tally.times for tally in tallies.values()):,} kills; "
        f"{sum(job.committed for job in jobs):,} of them hit a run that had published a slice."
    )
    searched = sum((job.search for job in jobs), Search())
    return Section("Killed with kill -9", list(tallies.values()), searched, [note])


def _of_turn(points: Sequence[Target], turn: int) -> list[Target]:
    """Every second point, and of each phase as many for either turn."""
    return [p for n, p in enumerate(points) if (n + n // len(PHASES)) % 2 == turn]


def _complete(fleet: Fleet, killed: Sequence[Tally]) -> None:
    """One run after those that were killed: what is wrong after it is put to the last of them."""
    done = fleet.run()
    last = killed[-1]
    last.lost += fleet.lost(STREAM)
    if done.code == 0:
        for tally in killed:
            tally.completed_later += 1
    else:
        last.problems.append(f"the next run ended with {done.code}: {done.text.strip()}")
    last.problems += _doubts(fleet.landed[STREAM])


def _doubts(landed: Landed) -> list[str]:
    repeats, torn = landed.unexplained_repeats(), landed.torn_deliveries()
    told = [f"{repeats} rows landed twice without an interruption"] if repeats else []
    told += [f"{torn} rows were not delivered again"] if torn else []
    told += landed.problems
    landed.problems.clear()
    return told
