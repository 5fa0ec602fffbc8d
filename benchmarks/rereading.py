"""How much more is read than lands, since a cursor goes no further than is certain.

python -m benchmarks.rereading              a million records, into docs/sync-modes.md
python -m benchmarks.rereading --records N  another number of records, printed only

An API with a clock of its own changes 1 % of its records each hour, also while it is read. A run
each hour reads it through the engine, in this process.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dlt
import msgspec
import numpy as np
import pyarrow as pa
import requests

from landing.catalog.resolution import resolved
from landing.catalog.stream_config import StreamFile
from landing.events import ignore
from landing.operations.run import run_stream
from torture.dying_bucket import DyingBucket
from torture.figures import write_between_markers
from torture.moving_api import HOST, InProcess

COMMAND = "python -m benchmarks.rereading"
DOCUMENT = Path(__file__).parent.parent / "docs" / "sync-modes.md"
RECORDS = 1_000_000
CHANGED = 0.01
PAGE = 5_000
SECONDS_A_PAGE = 1.0
RUNS = 4
_SECOND = 1_000_000


class ChangingApi:
    """Pages by the last row that was given, in the order of the cursor or of the key."""

    def __init__(self, case: Case, records: int) -> None:
        self._case = case
        self._random = np.random.default_rng(7)
        self._now = int(datetime.now(UTC).timestamp()) * _SECOND
        month = 30 * 24 * 3_600 * _SECOND
        order = self._random.permutation(records)
        times = self._now - month + order * (month // records)
        self._at = times if case.is_timed else order + 1
        self._version = records
        self.given = 0

    @property
    def date(self) -> str:
        return f"{self._time(self._now):%a, %d %b %Y %H:%M:%S} GMT"

    def _time(self, micros: int) -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)

    def passes(self, seconds: float) -> None:
        changes = int(len(self._at) * CHANGED * seconds / 3_600)
        rows = self._random.integers(0, len(self._at), changes)
        elapsed = np.sort(self._random.integers(0, int(seconds * _SECOND), changes))
        versions = self._version + 1 + np.arange(changes)
        self._at[rows] = self._now + elapsed if self._case.is_timed else versions
        self._version += changes
        self._now += int(seconds * _SECOND)

    def answer(self, query: Mapping[str, str]) -> bytes:
        rows = self._page(query)
        self.given += len(rows)
        at = pa.array(self._at[rows], pa.int64())
        at = at.cast(pa.timestamp("us", "UTC")) if self._case.is_timed else at
        out = io.BytesIO()
        table = pa.table({"id": pa.array(rows, pa.int64()), "at": at})
        with pa.ipc.new_stream(out, table.schema) as writer:
            writer.write_table(table)
        self.passes(SECONDS_A_PAGE)
        return out.getvalue()

    def _page(self, query: Mapping[str, str]) -> Any:
        since = self._since(query["since"]) if "since" in query else 0
        key = int(query.get("after_id", -1))
        if not self._case.is_in_order:
            found = np.nonzero(self._at >= since)[0]
            return found[found > key][:PAGE]
        since = max(since, int(query.get("after_at", 0)))
        found = np.nonzero(self._at >= since)[0]
        if "after_at" in query:
            found = found[(self._at[found] > since) | (found > key)]
        if len(found) > PAGE:  # sorting them all for each page takes minutes
            at = self._at[found]
            found = found[at <= np.partition(at, PAGE - 1)[PAGE - 1]]
        return found[np.lexsort((found, self._at[found]))][:PAGE]

    def _since(self, text: str) -> int:
        if not self._case.is_timed:
            return int(text)
        return int(datetime.fromisoformat(text).timestamp() * _SECOND)


@dataclass(frozen=True)
class Case:
    cursor: str
    order: str
    is_timed: bool
    is_in_order: bool
    declares: Any = None

    def measured(self, records: int) -> list[tuple[int, int]]:
        """Of each run, the rows that were read and that landed."""
        api, bucket = ChangingApi(self, records), DyingBucket()
        found = []
        for _ in range(RUNS):
            before = api.given
            found.append((self._landed(api, bucket), api.given - before))
            api.passes(3_600)
        return [(read, landed) for landed, read in found]

    def _landed(self, api: ChangingApi, bucket: DyingBucket) -> int:
        with requests.Session() as session:
            session.mount(HOST, InProcess(api))
            return run_stream(self._config(), self._stream(session), bucket, ignore).rows

    def _config(self) -> Any:
        at = {"type": "string", "format": "date-time"} if self.is_timed else {"type": "integer"}
        document = {
            "stream": "rows",
            "primary_key": [["id"]],
            "cursor_field": ["at"],
            "fields": {"id": {"type": "integer"}, "at": at},
        }
        return resolved("shop", "rows", "rows.json", msgspec.convert(document, StreamFile), {})

    def _stream(self, session: requests.Session) -> Any:
        at = dlt.sources.incremental("at", row_order=self.declares)

        @dlt.resource(name="rows", primary_key="id")
        def rows(at: Any = at) -> Iterator[pa.Table]:
            query = {} if at.last_value is None else {"since": str(at.last_value)}
            while True:
                content = session.get(f"{HOST}/rows", params=query).content
                page = pa.ipc.open_stream(content).read_all()
                yield page
                if page.num_rows < PAGE:  # the API changes within a second, so none is empty
                    return
                last = page.slice(page.num_rows - 1)
                query["after_id"] = str(last["id"][0].as_py())
                query["after_at"] = str(last["at"].cast(pa.int64())[0].as_py())

        return rows


CASES = (
    Case("a time", "in its order", is_timed=True, is_in_order=True),
    Case("a time", "by key", is_timed=True, is_in_order=False),
    Case("a version", 'in its order, `row_order="asc"`', False, True, declares="asc"),
    Case("a version", "in its order, not declared", is_timed=False, is_in_order=True),
    Case("a version", "by key", is_timed=False, is_in_order=False),
)


def table(records: int) -> str:
    names = ("first run", "second", "third", "fourth")
    head = ("cursor", "rows come", *(f"{name}: read / landed" for name in names))
    lines: list[Sequence[str]] = [head, ["---"] * len(head)]
    for case in CASES:
        runs = case.measured(records)
        lines.append((case.cursor, case.order, *(_cell(*run) for run in runs)))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(read: int, landed: int) -> str:
    return f"{read:,} / {landed:,}, {(read - landed) / max(1, landed):+.1%}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--records", type=int, default=RECORDS, metavar="N")
    records = parser.parse_args(arguments).records
    found = table(records)
    print(found)
    if records == RECORDS:
        write_between_markers(DOCUMENT, found, COMMAND)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
