"""Compares the footers of a stream's files with its records (rows) and its schema history
(columns). Other checks may get rows with them, so that each small file is read once."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from landing.operations.verify.accounts import Account
from landing.operations.verify.findings import VerifyFinding
from landing.zone.bucket import Bucket, Listed, ObjectMissing
from landing.zone.bucket_file import SMALL_BYTES
from landing.zone.layout import is_compacted, load_id_of
from landing.zone.schema_history import SchemaVersion, schema_versions

_AT_ONCE = 32
"""Requests in progress; they wait for the bucket, so more than there are cores."""
_AHEAD = 2 * _AT_ONCE
"""Number of files that are fetched ahead."""
_BATCH_ROWS = 100_000


@dataclass(frozen=True)
class Footer:
    file: Listed
    rows: int
    columns: dict[str, str]
    damage: str | None = None
    content: pa.Table | None = None
    """The columns that were asked for, if the file is small and has them."""

    @property
    def path(self) -> str:
        return self.file.path


_Fetched: TypeAlias = bytes | Footer | None
"""All of a small file, or the footer of another one. None for a file that is gone; the comparison
with its record reports it."""


def footers(
    bucket: Bucket, files: Sequence[Listed], columns: Sequence[str] = ()
) -> Iterator[Footer]:
    """The footers, in the order of the files, with these columns of small files.

    The threads only wait for the bucket. Reading parquet in them takes twice the processor time,
    since they compete for the interpreter's lock.
    """
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="landing-footers") as threads:
        for file, found in _fetched_ahead(threads, bucket, files):
            if isinstance(found, bytes):
                yield _footer(file, pa.BufferReader(found), columns)
            elif found is not None:
                yield found


def _fetched_ahead(
    threads: ThreadPoolExecutor, bucket: Bucket, files: Sequence[Listed]
) -> Iterator[tuple[Listed, _Fetched]]:
    waiting: deque[tuple[Listed, Future[_Fetched]]] = deque()
    for file in files:
        waiting.append((file, threads.submit(_fetched, bucket, file)))
        if len(waiting) > _AHEAD:
            first, fetched = waiting.popleft()
            yield first, fetched.result()
    for file, fetched in waiting:
        yield file, fetched.result()


def _fetched(bucket: Bucket, file: Listed) -> _Fetched:
    try:
        with bucket.file(file.path, file.bytes) as opened:
            if file.bytes <= SMALL_BYTES:
                return opened.read()
            return _footer(file, pa.PythonFile(opened, mode="r"))
    except ObjectMissing:
        return None


def _footer(file: Listed, opened: pa.NativeFile, wanted: Sequence[str] = ()) -> Footer:
    try:
        parquet = pq.ParquetFile(opened)
        columns = {field.name: str(field.type) for field in parquet.schema_arrow}
        rows = None
        if wanted and set(wanted) <= columns.keys():
            rows = parquet.read(list(wanted), use_threads=False)
        return Footer(file, parquet.metadata.num_rows, columns, content=rows)
    except pa.ArrowInvalid as error:
        return Footer(file, 0, {}, str(error).splitlines()[0])


class Contents:
    """Collects the findings of the footers that `read` or `read_all` goes through."""

    def __init__(self, bucket: Bucket, account: Account) -> None:
        self._bucket = bucket
        self._account = account
        self._history = _History(list(schema_versions(bucket, account.paths)))
        self.files = 0
        self.rows = 0
        self.before_history = 0
        self.row_findings: list[VerifyFinding] = []
        self.column_findings: list[VerifyFinding] = []

    def read(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Go through all files. Yields these columns of those that have them."""
        for footer in footers(self._bucket, self._account.in_order, columns):
            self._take(footer)
            if footer.content is not None:
                yield footer.content
            elif set(columns) <= footer.columns.keys():
                yield from self._large(footer.file, columns)

    def read_all(self) -> None:
        """Go through all files for their footers alone."""
        for footer in footers(self._bucket, self._account.in_order):
            self._take(footer)

    def _large(self, file: Listed, columns: Sequence[str]) -> Iterator[pa.Table]:
        with (
            suppress(ObjectMissing, pa.ArrowInvalid),  # which other checks report
            self._bucket.file(file.path, file.bytes) as opened,
        ):
            parquet = pq.ParquetFile(pa.PythonFile(opened, mode="r"))
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=list(columns)):
                yield pa.Table.from_batches([batch])

    @property
    def versions(self) -> int:
        return len(self._history.versions)

    def _take(self, footer: Footer) -> None:
        self.files += 1
        if footer.damage is not None:
            message = f"{footer.path} is no parquet file ({footer.damage})"
            remedy = "restore the version that landed"
            self.row_findings.append(VerifyFinding(message, remedy))
            return
        self.rows += footer.rows
        recorded = self._account.expected.get(footer.path)
        if recorded is not None and recorded.rows != footer.rows:
            message = f"{footer.path} has {footer.rows:,} rows, and its record {recorded.rows:,}"
            self.row_findings.append(VerifyFinding(message, "restore the version that landed"))
        self._take_columns(footer)

    def _take_columns(self, footer: Footer) -> None:
        expected = self._history.at(load_id_of(footer.path) or "")
        if expected is None:
            self.before_history += 1
            return
        if is_compacted(footer.path):
            differs = sorted(
                name
                for name, type_ in footer.columns.items()
                if (name, type_) not in self._history.ever
            )
        else:
            differs = _differences(footer.columns, expected.types)
        if differs:
            paths = self._account.paths
            message = (
                f"{footer.path} has other columns than version {expected.version} of the schema "
                f"history: {', '.join(differs)}"
            )
            remedy = (
                f"readers that rely on `landing schema {paths.source} {paths.stream}` do not "
                "expect these columns: find out who put the file there"
            )
            self.column_findings.append(VerifyFinding(message, remedy))


def _differences(there: dict[str, str], expected: dict[str, str]) -> list[str]:
    names = [name for name in {**expected, **there} if there.get(name) != expected.get(name)]
    return [
        f"{name} ({expected.get(name, 'not there')} → {there.get(name, 'not there')})"
        for name in names
    ]


class _History:
    def __init__(self, versions: Sequence[SchemaVersion]) -> None:
        self.versions = sorted(versions, key=lambda one: one.version)
        self._since = [one.load_id for one in self.versions]
        self.ever = {item for one in self.versions for item in one.types.items()}

    def at(self, load_id: str) -> SchemaVersion | None:
        """The version of a load; None if it landed before the schema history began."""
        index = bisect_right(self._since, load_id)
        return self.versions[index - 1] if index else None
