"""Histories: an API, how a stream reads it, and what happens in one run after another.

Each is played against the engine itself. Then, with no more edits, one run has to bring what is
missing, and the next one nothing at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal
from unittest import mock

import dlt
import msgspec
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import requests
from hypothesis import strategies as st

from landing.catalog.resolution import resolved
from landing.catalog.stream_config import StreamFile
from landing.errors import LandingError
from landing.events import ignore
from landing.extraction import known_rows
from landing.operations.run import run_stream
from landing.zone import object_store as stores
from torture.dying_bucket import DyingBucket, Killed, Moment
from torture.moving_api import (
    HOST,
    KINDS,
    SPELLINGS,
    Edit,
    InProcess,
    MovingApi,
    Order,
    Paging,
    serving,
)

NONE_FITS = "no record fits"
FEW_HASHES = 3
_SLICES = "LANDING_SLICE_MB"


@dataclass(frozen=True)
class Death:
    """Where a run dies: at a request to the API or a call to the bucket, counted from 0."""

    at: Literal["request", "bucket"]
    nth: int
    moment: Moment = "before"


@dataclass(frozen=True)
class Run:
    waited: float
    """Seconds since the run before."""
    before: tuple[Edit, ...] = ()
    """Edits in the last of them, half a minute before the run."""
    during: Mapping[int, tuple[Edit, ...]] = field(default_factory=dict)
    """After so many answers."""
    pace: float = 0.0
    death: Death | None = None


@dataclass(frozen=True)
class History:
    kind: str
    order: Order
    paging: Paging
    size: int
    ages: tuple[int, ...]
    """Of the first records, in seconds; of versions, only their order counts."""
    ahead: Mapping[int, float]
    """Which of them are dated into the future, by how many days."""
    runs: tuple[Run, ...]
    declared: Literal["asc", "desc"] | None = None
    filters: bool = True
    tells_time: bool = True
    as_arrow: bool = False
    """Each page is a batch of its own, and with `slices` a load."""
    slices: bool = False
    few_in_state: bool = False
    """So that the hashes of rows that are read again are an object of their own."""


@dataclass
class Outcome:
    lost: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    runs: int = 0
    killed: int = 0
    edits: int = 0

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.repeated or self.problems)


class Player:
    """Plays one history."""

    def __init__(self, history: History, *, over_http: bool = False) -> None:
        self.history = history
        self.api = _api_of(history)
        self.bucket = DyingBucket()
        self.outcome = Outcome()
        self._over_http = over_http
        self._death: Death | None = None
        self._requests = 0
        self._landed: set[tuple[int, str]] = set()
        self._seen: set[str] = set()

    def play(self) -> Outcome:
        outcome = self.outcome
        for run in self.history.runs:
            self.api.wait(run.waited)
            for edit in run.before:
                self.api.make(edit)
            self.api.wait(0.5)
            outcome.edits += len(run.before) + sum(map(len, run.during.values()))
            self._run(run)
        self.api.wait(120)
        # A run of which no record fits is none, and would be none again and again.
        self.api.make(Edit(len(self.api.rows)))
        self._run(Run(waited=0))
        self._count_lost()
        before = self._rows()
        self._run(Run(waited=0))
        if (more := len(self._rows()) - len(before)) > 0:
            outcome.repeated.append(f"{more} rows landed though nothing had changed")
        return outcome

    def _run(self, run: Run) -> None:
        self.outcome.runs += 1
        self._death, self._requests = run.death, 0
        self.api.begin(run.during, run.pace)
        self.bucket.live(_bucket_call(run.death))
        try:
            with _settings(self.history), self._reachable() as fetch:
                resource = _resource(self.history, fetch)
                run_stream(_config(self.api), resource, self.bucket, ignore)
        except Killed:
            self.outcome.killed += 1
        except LandingError as error:
            if NONE_FITS not in str(error):
                self.outcome.problems.append(f"a run failed: {error}")
        else:
            self.bucket.live()
            self._note_repeats()
        self.bucket.live()
        self._seen.update(self.bucket.list("shop/rows"))
        self.bucket.delete("_dlt/shop/rows/lease.json")

    def _before_request(self) -> None:
        self.bucket.check()
        number, self._requests = self._requests, self._requests + 1
        death = self._death
        if death is not None and death.at == "request" and death.nth == number:
            self.bucket.die()

    @contextmanager
    def _reachable(self) -> Iterator[Callable[[dict[str, Any]], Any]]:
        with requests.Session() as session:
            opened = nullcontext(HOST)
            if self._over_http:
                opened = serving(self.api)  # type: ignore[assignment]
            else:
                session.mount(HOST, InProcess(self.api))
            with opened as url:

                def fetch(query: dict[str, Any]) -> Any:
                    self._before_request()
                    return session.get(f"{url}/rows", params=query).json()

                yield fetch

    def _rows(self) -> list[tuple[str, int, str]]:
        return [
            row for path in self.bucket.list("shop/rows") for row in _rows_in(self._object(path))
        ]

    def _object(self, path: str) -> bytes:
        store = self.bucket._settled[stores.LARGE_WITHIN]
        return bytes(obstore.get(store, path).bytes())

    def _note_repeats(self) -> None:
        """Versions that landed in this run though they had in an earlier one that has ended."""
        new = [path for path in self.bucket.list("shop/rows") if path not in self._seen]
        landed = {row[1:] for path in new for row in _rows_in(self._object(path))}
        self.outcome.repeated += [f"{text} landed again" for _, text in landed & self._landed]
        self._landed |= landed

    def _count_lost(self) -> None:
        newest: dict[int, tuple[str, str]] = {}
        for version, key, text in self._rows():
            newest[key] = max(newest.get(key, ("", "")), (version, text))
        rejected = {
            json.loads(line)["row"]["text"]
            for path in self.bucket.list("_quarantine/shop/rows")
            for line in self._object(path).splitlines()
        }
        for key, row in self.api.rows.items():
            found = newest.get(key, ("", None))[1]
            fits = row["n"] == key
            if fits and found != row["text"]:
                self.outcome.lost.append(f"{row} is not there, but {found!r}")
            if not fits and row["text"] not in rejected:
                self.outcome.lost.append(f"{row} is not in quarantine")


def _rows_in(data: bytes) -> Iterator[tuple[str, int, str]]:
    table = pq.read_table(pa.BufferReader(data), columns=["_dlt_load_id", "id", "text"])
    yield from zip(*(column.to_pylist() for column in table.columns), strict=True)


def _api_of(history: History) -> MovingApi:
    api = MovingApi(
        history.kind,
        history.order,
        history.paging,
        history.size,
        history.filters,
        history.tells_time,
    )
    order = sorted(range(len(history.ages)), key=lambda n: (-history.ages[n], n))
    version = {place: number for number, place in enumerate(order, 1)}
    for place, age in enumerate(history.ages):
        at = api.now - timedelta(seconds=age) + timedelta(days=history.ahead.get(place, 0))
        if place in history.ahead:
            at += timedelta(seconds=age)
        api.put(place + 1, at, version=version[place])
    api.version = max(api.version, len(history.ages))
    return api


def _config(api: MovingApi) -> Any:
    fields = {
        "id": {"type": "integer"},
        "at": api.field_type,
        "text": {"type": "string"},
        "n": {"type": "integer"},
    }
    document = {
        "stream": "rows",
        "selected": True,
        "cursor_field": ["id" if api.kind == "ids" else "at"],
        "primary_key": [["id"]],
        "fields": fields,
    }
    return resolved("shop", "rows", "rows.json", msgspec.convert(document, StreamFile), {})


def _resource(history: History, fetch: Callable[[dict[str, Any]], Any]) -> Any:
    name = "id" if history.kind == "ids" else "at"
    at = dlt.sources.incremental(name, row_order=history.declared)

    @dlt.resource(name="rows", primary_key="id")
    def rows(at: Any = at) -> Iterator[Any]:
        query: dict[str, Any] = {}
        if at.last_value is not None:
            query["since"] = at.last_value
        while True:
            page = fetch(query)
            if page["rows"]:
                yield pa.Table.from_pylist(page["rows"]) if history.as_arrow else page["rows"]
            if page["next"] is None:
                return
            query["token"] = page["next"]

    return rows


def _bucket_call(death: Death | None) -> tuple[int, Moment] | None:
    return (death.nth, death.moment) if death is not None and death.at == "bucket" else None


@contextmanager
def _settings(history: History) -> Iterator[None]:
    before = os.environ.pop(_SLICES, None)
    if history.slices:
        os.environ[_SLICES] = "0.000001"
    few = FEW_HASHES if history.few_in_state else known_rows.IN_STATE
    try:
        with mock.patch.object(known_rows, "IN_STATE", few):
            yield
    finally:
        os.environ.pop(_SLICES, None)
        if before is not None:
            os.environ[_SLICES] = before


@st.composite
def histories(draw: st.DrawFn, kind: str | None = None) -> History:
    kind = kind or draw(st.sampled_from(KINDS))
    paging: Paging = draw(st.sampled_from(("token", "token", "offset", "page", "single")))
    # A growing offset over the oldest first passes rows that move to the end; no reader can help.
    orders: tuple[Order, ...] = ("newest", "key", "falling key", "scrambled")
    order = draw(st.sampled_from(orders if paging in ("offset", "page") else ("oldest", *orders)))
    as_arrow = draw(st.booleans())
    edits = _edits(kind, as_arrow)
    runs = draw(st.lists(_runs(edits), min_size=1, max_size=4))
    is_true = {"oldest": "asc", "newest": "desc"}.get(order)
    # A stream that says it is in order and is not may be published too far; `check` finds it.
    false = None if any(run.death for run in runs) else "asc"
    ages = draw(st.lists(st.integers(0, 400_000), max_size=14))
    places = st.integers(0, max(0, len(ages) - 1))
    return History(
        kind=kind,
        order=order,
        paging=paging,
        size=draw(st.integers(1, 5)),
        ages=tuple(ages),
        ahead=draw(st.dictionaries(places, _ahead(kind), max_size=2)) if ages else {},
        runs=tuple(runs),
        declared=draw(st.sampled_from((None, is_true or false))),
        filters=draw(st.booleans()),
        tells_time=draw(st.integers(0, 7)) > 0,
        as_arrow=as_arrow,
        slices=draw(st.booleans()),
        few_in_state=draw(st.booleans()),
    )


def _runs(edits: st.SearchStrategy[Edit]) -> st.SearchStrategy[Run]:
    some = st.lists(edits, max_size=3).map(tuple)
    deaths = st.one_of(
        st.builds(Death, st.just("request"), st.integers(0, 6)),
        st.builds(
            Death, st.just("bucket"), st.integers(0, 16), st.sampled_from(("before", "after"))
        ),
    )
    return st.builds(
        Run,
        waited=st.sampled_from((1.0, 20.0, 90.0, 3_600.0, 90_000.0)),
        before=some,
        during=st.dictionaries(st.integers(1, 5), some, max_size=3),
        pace=st.sampled_from((0.0, 0.4, 7.0, 50.0)),
        death=st.one_of(st.none(), st.none(), deaths),
    )


def _edits(kind: str, as_arrow: bool) -> st.SearchStrategy[Edit]:
    is_local = kind in SPELLINGS and SPELLINGS[kind].is_local
    nearly_never = st.integers(0, 11).flatmap(lambda n: _ahead(kind) if n == 0 else st.just(0.0))
    return st.builds(
        Edit,
        place=st.integers(0, 17),
        late=st.just(0.0) if is_local else st.sampled_from((0.0, 0.0, 0.3, 25.0)),
        ahead=nearly_never,
        fits=st.just(True) if as_arrow else st.integers(0, 7).map(bool),
    )


def _ahead(kind: str) -> st.SearchStrategy[float]:
    """Days. A local time may be as far ahead of UTC as time zones are."""
    is_local = kind in SPELLINGS and SPELLINGS[kind].is_local
    return st.sampled_from((2.0, 400.0, 355_000.0, *(() if is_local else (0.01, 0.4))))
