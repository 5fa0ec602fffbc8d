"""Profiles the columns of a stream's newest rows, with the values that a page may show."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from landing.catalog.stream_config import StreamConfig
from landing.page.discretion import FREQUENT, FREQUENT_AT_LEAST, Discretion, discretion_of
from landing.secrets import redacted
from landing.zone.bucket import Bucket, Listed, ObjectMissing
from landing.zone.bucket_file import BucketFile
from landing.zone.layout import StreamPaths, load_id_of, next_load_id, time_of

MEGABYTE = 1024 * 1024
_OURS = "_dlt_"
"""Prefix of our own columns."""
_IN_MEMORY = threading.Semaphore(2)
"""How many streams' rows are in memory at once. A page after a run shares the run's memory."""
_MOST_FILES = 500
"""Files that a profile reads at most; of more, it is a sample."""
_FEW, _AT_ONCE = 4, 8
_LONGEST = 80
"""Characters of a value that are shown."""


@dataclass(frozen=True)
class Depth:
    """How much of a stream is read for its profile."""

    values: bool = True
    """Whether any value may be shown."""
    most_bytes: int = 16 * MEGABYTE
    """Bytes of parquet to read, newest first; 0 for no profile."""


class Frequent(msgspec.Struct, frozen=True):
    value: str
    rows: int


class ColumnProfile(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    type: str
    privacy: str | None = None
    nulls: int
    distinct: int | None
    """None for lists and structs, which are not counted."""
    least: str | None = None
    most: str | None = None
    frequent: list[Frequent] = []
    withheld: str | None = None
    """Why no values are shown; None if some are."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    rows: int
    files: int
    since: datetime
    """When the oldest load began that has a row in the profile."""
    is_cut: bool
    """Whether the period has more rows than were read."""
    columns: list[ColumnProfile]


def profile_of(
    bucket: Bucket, paths: StreamPaths, config: StreamConfig, since: datetime, depth: Depth
) -> Profile | None:
    """Profile of the newest rows that landed after `since`; None if there are none.

    Reading stops at the first file whose columns differ from those of the newest.
    """
    files = _files(bucket, paths, since) if depth.most_bytes else []
    rows = _Newest(bucket, depth.most_bytes)
    with _IN_MEMORY:
        try:
            rows.read(files)
        except (
            pa.ArrowInvalid,
            ObjectMissing,
        ):  # damaged (`landing verify` reports it) or just compacted
            rows.is_cut = True
        if not rows.tables:
            return None
        table = pa.concat_tables(rows.tables)
        return Profile(
            rows=len(table),
            files=rows.files,
            since=time_of(rows.oldest),
            is_cut=rows.is_cut,
            columns=list(_profiles(table, config, depth)),
        )


def _files(bucket: Bucket, paths: StreamPaths, since: datetime) -> list[Listed]:
    """Newest first."""
    first = paths.part(next_load_id(since, None), 0)
    files = [file for file in bucket.listed(paths.data, first) if load_id_of(file.path)]
    return sorted(files, key=lambda file: file.path, reverse=True)


class _Newest:
    def __init__(self, bucket: Bucket, most_bytes: int) -> None:
        self.tables: list[pa.Table] = []
        self.files = 0
        self.oldest = ""
        self.is_cut = False
        self._bucket = bucket
        self._left = most_bytes

    def read(self, files: list[Listed]) -> None:
        for file, opened in self._opened(files[:_MOST_FILES]):
            with opened:
                parquet = pq.ParquetFile(pa.PythonFile(opened, mode="r"), pre_buffer=True)
                if self.tables and not parquet.schema_arrow.equals(self.tables[0].schema):
                    self.is_cut = True
                    return
                before = len(self.tables)
                self._read_groups(parquet)
                if len(self.tables) > before:
                    self.files += 1
                    self.oldest = load_id_of(file.path) or self.oldest
                if self.is_cut:
                    return
        self.is_cut = len(files) > _MOST_FILES

    def _opened(self, files: list[Listed]) -> Iterator[tuple[Listed, BucketFile]]:
        """The files, several small ones fetched at the same time."""
        if len(files) <= _FEW:
            yield from ((file, self._bucket.file(file.path, file.bytes)) for file in files)
            return

        def fetch(file: Listed) -> tuple[Listed, BucketFile]:
            opened = self._bucket.file(file.path, file.bytes)
            opened.fetch_small()
            return file, opened

        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="landing-profiles") as threads:
            for start in range(0, len(files), 2 * _AT_ONCE):
                yield from threads.map(fetch, files[start : start + 2 * _AT_ONCE])

    def _read_groups(self, parquet: pq.ParquetFile) -> None:
        """Reads row groups, last first, while they fit; the first one in any case."""
        for number in reversed(range(parquet.num_row_groups)):
            group = parquet.metadata.row_group(number)
            size = sum(group.column(n).total_compressed_size for n in range(group.num_columns))
            if self.tables and size > self._left:
                self.is_cut = True
                return
            self._left -= size
            self.tables.append(parquet.read_row_group(number))


def _profiles(table: pa.Table, config: StreamConfig, depth: Depth) -> Iterator[ColumnProfile]:
    for column in table.schema:
        if not column.name.startswith(_OURS):
            yield _profile(table[column.name], column, config, depth)


def _profile(
    values: pa.ChunkedArray, column: pa.Field, config: StreamConfig, depth: Depth
) -> ColumnProfile:
    field = config.fields.get(column.name)
    described: dict[str, Any] = {
        "name": column.name,
        "type": str(column.type),
        "privacy": None if field is None else field.privacy,
        "nulls": values.null_count,
    }
    if pa.types.is_nested(column.type):
        return ColumnProfile(**described, distinct=None, withheld="nested")
    values = values.drop_null()
    counts = values.value_counts()
    discretion = discretion_of(column, config) if depth.values else Discretion("not asked for")
    least = most = None
    if discretion.shows_range and len(counts):
        ends = pc.min_max(values).as_py()
        least, most = _text(ends["min"]), _text(ends["max"])
    frequent = _frequent(counts) if discretion.shows_frequent(len(counts)) else []
    return ColumnProfile(
        **described,
        distinct=len(counts),
        least=least,
        most=most,
        frequent=frequent,
        withheld=discretion.withheld or (None if frequent or least is not None else "too varied"),
    )


def _frequent(counts: pa.StructArray) -> list[Frequent]:
    found = [(one["counts"], one["values"]) for one in counts.to_pylist()]
    shared = [(count, value) for count, value in found if count >= FREQUENT_AT_LEAST]
    shared.sort(key=lambda one: one[1])
    shared.sort(key=lambda one: one[0], reverse=True)
    return [Frequent(_text(value), count) for count, value in shared[:FREQUENT]]


def _text(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case float() | Decimal() as number:
            return f"{float(number):.6g}"
        case datetime():
            return value.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")
        case date() | time():
            return value.isoformat()
    text = redacted(str(value))  # before half of a secret is cut off
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
