"""What landed of one stream, as its readers see it, and whether it is what it should be."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from dlt.common.versioned_state import decompress_state

from landing.zone.layout import load_id_of
from landing.zone.state import SCHEMA
from tests.kit import Zone, natural
from torture.figures import Search

Version = tuple[str, str, float]
"""Of a row: its name, when it was updated, its total."""

_LOAD = r"regexp_extract(filename, '(\d{10}\.\d{6})\.\d+\.parquet$', 1)"
_COLUMNS = "id, name, strftime(updated_at, '%Y-%m-%d %H:%M:%S') AS updated_at, total"


class Landed:
    """A stream's files, each copied when it is first seen; files are only ever added."""

    def __init__(self, zone: Zone, source: str, stream: str, folder: Path) -> None:
        self._zone = zone
        self._source, self._stream = source, stream
        self._folder = folder
        self.paths: list[str] = []
        self.interrupted: set[str] = set()
        """Load ids of which files are there, though no state has ever told of them."""
        self.problems: list[str] = []

    def look(self) -> list[str]:
        """The files that are new since the last look; all of them have to sort after the old."""
        present = self._zone.parts(self._source, self._stream)
        known = set(self.paths)
        new = [path for path in present if path not in known]
        if len(present) - len(new) < len(self.paths):
            self.problems.append("a file is gone")
        if new and self.paths and natural(new[0]) <= natural(self.paths[-1]):
            self.problems.append(f"{new[0]} came after {self.paths[-1]}")
        for path in new:
            copy = self._folder / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(self._zone.read(path))
        self.paths = present
        return new

    def forget(self) -> None:
        """Someone has deleted all that landed."""
        self.paths.clear()
        self.interrupted.clear()

    def note_interruption(self) -> None:
        """To be called once a run has died: what the state does not tell of will come again."""
        self.look()
        last = self._last_load()
        self.interrupted |= {load for load in self.loads() if last is None or load > last}

    def loads(self) -> set[str]:
        """The load ids of the files that the last look has seen."""
        return {load for path in self.paths if (load := load_id_of(path))}

    def lost(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """How many of the source's rows are not the newest of their key in what landed."""
        self.look()
        newest = self._newest()
        return sum(newest.get(row["id"]) != _version(row) for row in rows)

    def unexplained_repeats(self) -> int:
        """Rows that landed twice although their first load was not interrupted."""
        return self._count(
            f"SELECT count(*) FROM (SELECT load, row_number() OVER (PARTITION BY {_names()} "
            "ORDER BY load DESC) AS number FROM landed) WHERE number > 1 AND load NOT IN "
            f"(SELECT unnest(?))",
            [sorted(self.interrupted)],
        )

    def torn_deliveries(self) -> int:
        """Rows of an interrupted load that no later load brought again."""
        return self._count(
            "SELECT count(*) FROM landed AS old WHERE old.load IN (SELECT unnest(?)) AND NOT "
            "EXISTS (FROM landed AS new WHERE new.id = old.id AND new.load > old.load)",
            [sorted(self.interrupted)],
        )

    def is_in_order(self) -> bool:
        return all(natural(a) < natural(b) for a, b in pairwise(self.paths))

    def _newest(self) -> dict[int, Version]:
        rows = self._query(
            "SELECT id, name, updated_at, total FROM landed "
            "QUALIFY row_number() OVER (PARTITION BY id ORDER BY _dlt_load_id DESC) = 1"
        )
        return {row[0]: (row[1], row[2], row[3]) for row in rows}

    def _count(self, sql: str, parameters: list[Any]) -> int:
        return int(self._query(sql, parameters)[0][0]) if self.paths else 0

    def _query(self, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        if not self.paths:
            return []
        files = [str(self._folder / path) for path in self.paths]
        with duckdb.connect(config={"threads": 1}) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(
                f"CREATE TEMP TABLE landed AS SELECT {_COLUMNS}, _dlt_load_id, {_LOAD} AS load "
                f"FROM read_parquet({files!r}, filename = true)"
            )
            return connection.execute(sql, parameters or []).fetchall()

    def _last_load(self) -> str | None:
        """The last load that the stream's state tells of."""
        folder = f"_dlt/{self._source}/{self._stream}"
        if f"{folder}/state.json" not in self._zone.paths(folder):
            return None
        stored = json.loads(self._zone.read(f"{folder}/state.json"))
        state: Any = decompress_state(stored["state"])
        resources = state.get("sources", {}).get(SCHEMA, {}).get("resources", {})
        last: str | None = resources.get(self._stream, {}).get("landing", {}).get("load_id")
        return last


def _names() -> str:
    return "id, name, updated_at, total"


def _version(row: Mapping[str, Any]) -> Version:
    return row["name"], row["updated_at"], row["total"]


def search(zone: Zone, secrets: Sequence[str]) -> Search:
    """For secrets, in every object below a prefix and in whatever it is packed."""
    paths = zone.paths()
    return Search(len(paths), sum(_holds(path, zone.read(path), secrets) for path in paths))


def _holds(path: str, content: bytes, secrets: Sequence[str]) -> bool:
    text = content.decode(errors="replace")
    if path.endswith("/state.json"):
        text += json.dumps(decompress_state(json.loads(content)["state"]), default=str)
    if path.endswith(".parquet"):
        text += _parquet_text(content)
    return any(secret in text for secret in secrets)


def _parquet_text(content: bytes) -> str:
    return repr(pq.read_table(pa.BufferReader(content)).to_pydict())


def lease_is_held(zone: Zone, source: str, stream: str) -> bool:
    path = f"_dlt/{source}/{stream}/lease.json"
    return (
        path in zone.paths(f"_dlt/{source}/{stream}")
        and not json.loads(zone.read(path))["released"]
    )


def give_lease_back(zone: Zone, source: str, stream: str) -> None:
    """What the bucket's clock would do in a minute."""
    obstore.delete(zone.store, f"_dlt/{source}/{stream}/lease.json")
