"""Takes records out of quarantine that are not going to land: superseded ones, and those that a
person drops. A record in the bucket says how many, and of which loads.

A record is superseded once a version of it has landed that is newer: has the same primary key, and
a higher `_dlt_load_id` than the one in quarantine would land with.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

import pyarrow as pa

from landing.catalog.stream_config import StreamConfig
from landing.columns.conversion import columns_of
from landing.columns.fitting import ConversionError
from landing.extraction.kept_rows import NO_LINE, KeptRow, read_line
from landing.operations.superseded import superseded_rows
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths, quarantine_file_of
from landing.zone.lease import Lease
from landing.zone.lineage import LOAD_ID
from landing.zone.state import document_json

Why: TypeAlias = Literal["superseded", "dropped"]
Choose: TypeAlias = Callable[[KeptRow], bool]


@dataclass
class Removal:
    """Records that leave quarantine, counted by load, and by field and reason."""

    loads: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def rows(self) -> int:
        return self.loads.total()

    def add(self, load_id: str, kept: KeptRow | None) -> None:
        self.loads[load_id] += 1
        self.reasons[(kept.field, kept.reason) if kept else ("?", NO_LINE)] += 1


@dataclass(frozen=True)
class QuarantineCopy:
    """The quarantine of one load, on the local disk."""

    path: str
    load_id: str
    file: Path


def copied_quarantine(bucket: Bucket, paths: StreamPaths, folder: Path) -> list[QuarantineCopy]:
    """All of a stream's quarantine but the records of a failed run, the oldest load first."""
    copies = []
    for path in sorted(bucket.list(paths.quarantined)):
        owner, load_id = quarantine_file_of(path) or (None, None)
        if owner == paths and load_id is not None:
            file = folder / f"{load_id}.jsonl"
            with file.open("wb") as out:
                out.writelines(line + b"\n" for line in bucket.lines(path))
            copies.append(QuarantineCopy(path, load_id, file))
    return copies


def superseded_lines(
    config: StreamConfig,
    bucket: Bucket,
    files: Sequence[Path],
    landed: Sequence[str] | None = None,
) -> list[set[int]]:
    """For each file of quarantined records, the positions of those that are superseded: by a row in
    the files `landed`, or in any that has landed since."""
    places: list[tuple[int, int]] = []
    stale: list[set[int]] = [set() for _ in files]
    if not config.primary_key:
        return stale
    columns = columns_of(config, is_protected=True)
    types = [columns.schema.field(name).type for name in config.primary_key]
    keys: list[list[object]] = [[] for _ in types]
    versions: list[str] = []
    for number, file in enumerate(files):
        for position, kept in enumerate(_rows(file)):
            if kept is None or isinstance(kept.row, str):
                continue
            try:
                key = [columns.value(name, kept.row.get(name)) for name in config.primary_key]
            except ConversionError:
                continue
            if all(value.is_valid for value in key):
                places.append((number, position))
                versions.append(kept.row_version)
                for values, value in zip(keys, key, strict=True):
                    values.append(value.as_py())
    rows = pa.table(
        [*map(pa.array, keys, types), pa.array(versions, pa.string())],
        names=[*config.primary_key, LOAD_ID],
    )
    for index in superseded_rows(config, bucket, rows, landed):
        number, position = places[index]
        stale[number].add(position)
    return stale


def take_out_superseded(
    config: StreamConfig, bucket: Bucket, lease: Lease, landed: Sequence[str]
) -> int:
    """Those that are superseded by a row in the files `landed`, under the lease of their run."""
    paths, removal = StreamPaths(config.source, config.stream), Removal()
    with tempfile.TemporaryDirectory(prefix="landing-") as folder:
        copies = copied_quarantine(bucket, paths, Path(folder))
        files = [copy.file for copy in copies]
        for copy, stale in zip(
            copies, superseded_lines(config, bucket, files, landed), strict=True
        ):
            if stale:
                _take_out(bucket, lease, copy, stale, removal)
    record_removal(bucket, paths, "superseded", removal)
    return removal.rows


def plan_drop(bucket: Bucket, paths: StreamPaths, choose: Choose) -> Removal:
    """What `drop` would take out; nothing is written."""
    removal = Removal()
    with tempfile.TemporaryDirectory(prefix="landing-") as folder:
        for copy in copied_quarantine(bucket, paths, Path(folder)):
            for kept in _rows(copy.file):
                if kept is not None and choose(kept):
                    removal.add(copy.load_id, kept)
    return removal


def drop(bucket: Bucket, paths: StreamPaths, choose: Choose) -> Removal:
    """Take the chosen records out for good. Raises LeaseHeld if a run is under way."""
    removal = Removal()
    with (
        Lease(bucket, paths.lease, paths.data, "publication") as lease,
        tempfile.TemporaryDirectory(prefix="landing-") as folder,
    ):
        for copy in copied_quarantine(bucket, paths, Path(folder)):
            rows = enumerate(_rows(copy.file))
            chosen = {position for position, kept in rows if kept is not None and choose(kept)}
            if chosen:
                _take_out(bucket, lease, copy, chosen, removal)
        record_removal(bucket, paths, "dropped", removal)
    return removal


def _rows(file: Path) -> Iterator[KeptRow | None]:
    with file.open("rb") as lines:
        yield from map(read_line, lines)


def _take_out(
    bucket: Bucket,
    lease: Lease,
    copy: QuarantineCopy,
    positions: Collection[int],
    removal: Removal,
) -> None:
    rest = copy.file.with_suffix(".rest")
    move_lines(copy.file, rest, positions, copy.load_id, removal)
    lease.check()
    put_rest(bucket, replace(copy, file=rest))


def put_rest(bucket: Bucket, rest: QuarantineCopy) -> None:
    """What stays takes the place of the load's quarantine."""
    if rest.file.stat().st_size:
        bucket.put(rest.path, rest.file)
    else:
        bucket.delete(rest.path)


def move_lines(
    file: Path, rest: Path, positions: Collection[int], load_id: str, removal: Removal
) -> None:
    """Copy the lines of `file` to `rest`, but those at the positions, which go to `removal`."""
    with file.open("rb") as lines, rest.open("wb") as out:
        for position, line in enumerate(lines):
            if position in positions:
                removal.add(load_id, read_line(line))
            else:
                out.write(line)


def record_removal(bucket: Bucket, paths: StreamPaths, why: Why, removal: Removal) -> None:
    if not removal.rows:
        return
    moment = datetime.now(UTC)
    record = {
        "removed": moment,
        "why": why,
        "records": removal.rows,
        "loads": dict(removal.loads),
        "reasons": [
            {"field": field, "reason": reason, "records": count}
            for (field, reason), count in removal.reasons.most_common()
        ],
    }
    bucket.put(paths.removal(moment), document_json(record))
