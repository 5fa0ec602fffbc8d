"""Plays histories against the engine itself.

When the edits have ended, one run has to bring what is missing, and the next one nothing at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeAlias
from unittest import mock

import dlt
import msgspec
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import requests
from dlt.extract.exceptions import ResourceExtractionError
from requests.adapters import BaseAdapter, HTTPAdapter

from landing.catalog.resolution import resolved
from landing.catalog.stream_config import StreamFile
from landing.errors import LandingError
from landing.events import ignore
from landing.extraction import known_rows
from landing.http import Api, JsonPage, KeysetPages
from landing.operations.run import run_stream
from torture.dying_bucket import DyingBucket, Killed, Moment
from torture.histories import Death, History, Run
from torture.moving_api import HOST, Edit, InProcess, MovingApi, serving

NONE_FITS = "no record fits"
TOO_MANY_EQUAL = "has no other 'at' than"
FEW_HASHES = 3
_SLICES = "LANDING_SLICE_MB"


@dataclass
class Outcome:
    lost: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    runs: int = 0
    killed: int = 0
    edits: int = 0
    refused: int = 0
    """Runs that could not go on, since more rows had the same time than a page has room for."""

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
        if not self._run(Run(waited=0)):
            return outcome
        self._count_lost()
        before = self._rows()
        self._run(Run(waited=0))
        if (more := len(self._rows()) - len(before)) > 0:
            outcome.repeated.append(f"{more} rows landed though nothing had changed")
        return outcome

    def _run(self, run: Run) -> bool:
        """False if more rows have the same time than a page has room for, and the run said so."""
        self.outcome.runs += 1
        refuses = False
        self._death, self._requests = run.death, 0
        self.api.begin(run.during, run.pace)
        self.bucket.live(_bucket_call(run.death))
        try:
            with _settings(self.history), self._reachable() as (url, adapter):
                resource = _resource(self.history, url, adapter)
                run_stream(_config(self.api), resource, self.bucket, ignore)
        except Killed:
            self.outcome.killed += 1
        except (LandingError, ResourceExtractionError) as error:
            refuses = TOO_MANY_EQUAL in str(error)
            self.outcome.refused += refuses
            if not refuses and NONE_FITS not in str(error):
                self.outcome.problems.append(f"a run failed: {error}")
        else:
            self.bucket.live()
            self._note_repeats()
        self.bucket.live()
        self._seen.update(self.bucket.list("shop/rows"))
        self.bucket.delete("_dlt/shop/rows/lease.json")
        return not refuses

    def _before_request(self) -> None:
        self.bucket.check()
        number, self._requests = self._requests, self._requests + 1
        death = self._death
        if death is not None and death.at == "request" and death.nth == number:
            self.bucket.die()

    @contextmanager
    def _reachable(self) -> Iterator[tuple[str, BaseAdapter]]:
        with serving(self.api) if self._over_http else nullcontext(HOST) as url:
            inner = HTTPAdapter() if self._over_http else InProcess(self.api)
            with closing(_Watched(inner, self._before_request)) as adapter:
                yield url, adapter

    def _rows(self) -> list[tuple[str, int, str]]:
        return [
            row for path in self.bucket.list("shop/rows") for row in _rows_in(self._object(path))
        ]

    def _object(self, path: str) -> bytes:
        return bytes(obstore.get(self.bucket.memory, path).bytes())

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


class _Watched(BaseAdapter):
    def __init__(self, adapter: BaseAdapter, before: Callable[[], None]) -> None:
        super().__init__()
        self._adapter = adapter
        self._before = before

    def send(self, *arguments: Any, **options: Any) -> requests.Response:
        self._before()
        return self._adapter.send(*arguments, **options)

    def close(self) -> None:
        self._adapter.close()


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


def _resource(history: History, url: str, adapter: BaseAdapter) -> Any:
    name = "id" if history.kind == "ids" else "at"
    at = dlt.sources.incremental(name, row_order=history.declared)

    @dlt.resource(name="parents" if history.as_child else "rows", primary_key="id")
    def rows(at: Any = at) -> Iterator[Any]:
        query = {} if at.last_value is None else {"since": at.last_value}
        read = _by_kit if history.paging == "time" else _by_requests
        for page in read(history, url, adapter, query):
            yield pa.Table.from_pylist(page) if history.as_arrow else page

    @dlt.transformer(data_from=rows, name="rows", primary_key="id")
    def children(page: Any) -> Iterator[Any]:
        yield page

    return children if history.as_child else rows


Rows: TypeAlias = Sequence[Mapping[str, Any]]


def _by_requests(
    history: History, url: str, adapter: BaseAdapter, query: dict[str, Any]
) -> Iterator[Rows]:
    with requests.Session() as session:
        session.mount(url, adapter)
        while True:
            page = session.get(f"{url}/rows", params=query).json()
            if page["rows"]:
                yield page["rows"]
            if page["next"] is None:
                return
            query["token"] = page["next"]


def _by_kit(
    history: History, url: str, adapter: BaseAdapter, query: dict[str, Any]
) -> Iterator[Rows]:
    api = Api(url)
    api.session.mount(url, adapter)
    paging = KeysetPages("at", "since", limit=history.size, inclusive=True)
    for page in api.pages("rows", records="rows", params=query, paging=paging):
        yield page.rows() if isinstance(page, JsonPage) else page


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
