"""Detects deleted records: compares the keys of a full refresh with the known keys.

The known keys are a parquet object in the bucket, which becomes current with the state that names
it. The keys in files that are newer than the state, left by an interrupted run, are added. Without
such an object, as in the first run, the known keys are those in all landed files.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

import pyarrow as pa

from landing.catalog.fields import DELETED_AT
from landing.catalog.stream_config import StreamConfig
from landing.columns.arrow import pc, pq
from landing.columns.conversion import Columns, Converted, RowError
from landing.columns.fitting import ConversionError
from landing.columns.privacy import HASH
from landing.columns.tombstones import is_tombstone
from landing.errors import StreamError
from landing.extraction.key_sets import KeySet, compared, marks_of, tables, whole, with_marks
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths, load_id_of
from landing.zone.parts import PartWriter

_COMPARED_ROWS = 500_000


class KeysState(TypedDict):
    """The known keys, as a stream's state stores them."""

    load_id: str
    """Names the object, which exists only if there are known keys."""
    records: int
    columns: list[list[str]]
    """Names and types of the key's columns; keys of other types are not compared."""


class KnownKeys:
    """The keys of one full refresh, spooled to the local disk while it is read."""

    def __init__(self, config: StreamConfig, columns: Columns, folder: Path) -> None:
        self._config = config
        self._columns = columns
        self._folder = folder
        self._schema = pa.schema([columns.schema.field(name) for name in config.primary_key])
        self._present = KeySet()
        self._count = 0
        self._file: Path | None = None
        self._writer = self._spool("present")
        self._without_key = 0
        self._unknown = 0
        self._unreadable = 0

    def see(self, converted: Converted) -> None:
        """Note the keys of a batch, including those of rejected rows, as present."""
        # Records that the stream itself marks as deleted need no tombstone from here, and are no
        # longer known.
        gone = is_tombstone(converted.table)
        deleted = whole(converted.table.filter(gone), self._schema.names)
        if deleted.num_rows:
            self._present.add(deleted)
        live = converted.table.filter(pc.invert(gone))
        keys = whole(live, self._schema.names)
        self._without_key += live.num_rows - keys.num_rows
        self._add(keys)
        self._add(self._of_errors([one for one in converted.errors if not one.is_tombstone]))

    def _of_errors(self, errors: Sequence[RowError]) -> pa.Table:
        rows = [keys for error in errors if (keys := self._key_of(error)) is not None]
        self._unknown += len(errors) - len(rows)
        return pa.Table.from_pylist(rows, schema=self._schema)

    def _key_of(self, error: RowError) -> dict[str, object] | None:
        try:
            values = {n: self._columns.value(n, error.row.get(n)) for n in self._schema.names}
        except ConversionError:
            return None
        keys = {name: value.as_py() for name, value in values.items()}
        return None if None in keys.values() else keys

    def _add(self, keys: pa.Table) -> None:
        if keys.num_rows:
            self._present.add(keys)
            self._written(keys)

    def _written(self, keys: pa.Table) -> None:
        for part in self._writer.write(keys):
            self._file = part.file

    def deleted(
        self, bucket: Bucket, paths: StreamPaths, state: KeysState | None, last_load_id: str | None
    ) -> Iterator[pa.Table]:
        """Tombstones of deleted records; call after the last `see`.

        Raises StreamError if there are more deletions than the config allows.
        """
        known = self._known_files(bucket, paths, state, last_load_id)
        before = KeySet()
        for keys in tables(known):
            before.add(keys)
        known_count, self._count, gone = compared(before, self._present)
        if self._unknown:
            # Each missing key may belong to a rejected row without a valid key, so all stay known.
            for keys in with_marks(known, gone):
                self._written(keys)
            self._count += len(gone)
            return
        self._check_limit(len(gone), known_count)
        tombstones = self._columns.tombstones
        assert tombstones is not None, "the stream's deletions are detected"
        detected = datetime.now(UTC)
        for keys in with_marks(known, gone):
            yield tombstones.of_keys(keys, self._columns.schema, detected)

    def close(self) -> Path | None:
        """The file of keys that are known from now on; None if there are none."""
        for part in self._writer.close():
            self._file = part.file
        return self._file

    def state(self, load_id: str) -> KeysState:
        return KeysState(load_id=load_id, records=self._count, columns=self._types())

    def notes(self) -> Iterator[str]:
        key = ", ".join(self._schema.names)
        if self._unknown:
            yield (
                f"no deletions were looked for: {_counted(self._unknown)} in quarantine with no "
                f"{key} that fits, which may be any of those that are missing"
            )
        if self._without_key:
            yield f"{_counted(self._without_key)} without {key}, so a deletion can't be detected"
        if self._unreadable:
            yield (
                f"{self._unreadable:,} files of earlier loads have no {key} of the configured type;"
                " deletions of records that are only in them are not detected"
            )

    def _check_limit(self, gone: int, known: int) -> None:
        limit = self._config.deletes_limit
        is_all = gone == known and limit != 1
        if not gone or not (is_all or (limit is not None and gone > limit * known)):
            return
        origin = self._config.origin
        above = (
            "all that are known"
            if is_all
            else f"a share of {gone / known:.3g}, above the deletes_limit {limit:g} of {origin}"
        )
        raise StreamError(
            f"stream '{self._config.source}/{self._config.stream}': {gone:,} of {known:,} known "
            f"records are not in this full refresh, {above}; nothing was landed and the state "
            "stays. If they are really deleted at the source, set deletes_limit to "
            f"{'1' if is_all else 'a higher share'} in {origin} for a run; if not, fix what "
            "keeps the stream from giving them"
        )

    def _known_files(
        self, bucket: Bucket, paths: StreamPaths, state: KeysState | None, last_load_id: str | None
    ) -> list[Path]:
        known = self._folder / "known-keys.parquet"
        is_there = state is not None and state["columns"] == self._types()
        if is_there and state is not None and state["records"]:
            is_there = bucket.download(paths.known_object(state["load_id"]), known)
        after = paths.end_of(last_load_id) if is_there and last_load_id else None
        landed = [path for path in bucket.list(paths.data, after) if load_id_of(path)]
        found = self._landed_keys(bucket, landed) if landed else None
        return [file for file in (known, found) if file is not None and file.exists()]

    def _types(self) -> list[list[str]]:
        fields = self._config.fields
        return [[f.name, fields[f.name].privacy or str(f.type)] for f in self._schema]

    def _landed_keys(self, bucket: Bucket, files: Sequence[str]) -> Path:
        """The keys in these files whose newest row is not a tombstone."""
        spooled: list[Path] = []
        writer = self._spool("landed")
        newest = pa.table({"mark": pa.array([], pa.uint64()), "version": pa.array([], pa.int64())})
        for read in self._many(self._keys_in(bucket, files)):
            keys = read.select(self._schema.names)
            read = pa.table({"mark": marks_of(keys), "version": read["version"]})
            is_known = pc.is_in(read["mark"], value_set=newest["mark"].combine_chunks())
            spooled += (part.file for part in writer.write(keys.filter(pc.invert(is_known))))
            grouped = pa.concat_tables([newest, read]).group_by("mark")
            newest = grouped.aggregate([("version", "max")])
            newest = newest.rename_columns(["mark", "version"])
        spooled += (part.file for part in writer.close())
        is_dead = pc.equal(pc.bit_wise_and(newest["version"], 1), 0)
        dead = newest["mark"].filter(is_dead).combine_chunks()
        file = self._folder / "landed-keys.parquet"
        with pq.ParquetWriter(file, self._schema) as out:
            for keys in tables(spooled):
                out.write_table(keys.filter(pc.invert(pc.is_in(marks_of(keys), value_set=dead))))
        return file

    def _many(self, pieces: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """The pieces merged into larger tables, each of which costs one comparison with all keys
        so far."""
        pending: list[pa.Table] = []
        for piece in pieces:
            pending.append(piece)
            if sum(table.num_rows for table in pending) >= _COMPARED_ROWS:
                yield pa.concat_tables(pending)
                pending = []
        if pending:
            yield pa.concat_tables(pending)

    def _keys_in(self, bucket: Bucket, files: Sequence[str]) -> Iterator[pa.Table]:
        """The keys in the files, each with a `version`: higher for newer rows, and odd unless the
        row is a tombstone."""
        for path in files:
            try:
                with bucket.file(path) as opened, pq.ParquetFile(opened) as parquet:
                    for group in range(parquet.num_row_groups):
                        yield self._keys_of_group(parquet, group)
            except (pa.ArrowInvalid, KeyError):
                self._unreadable += 1

    def _keys_of_group(self, parquet: pq.ParquetFile, group: int) -> pa.Table:
        names = self._schema.names
        marked = [name for name in parquet.schema_arrow.names if name == DELETED_AT]
        wanted = [*names, "_dlt_load_id", *marked]
        rows = parquet.read_row_group(group, columns=wanted).select(wanted)
        keys = rows.select(names).cast(self._schema)
        row_versions = pc.replace_substring(rows["_dlt_load_id"], ".", "").cast(pa.int64())
        is_live = pc.invert(is_tombstone(rows)).cast(pa.int64())
        versions = pc.add(pc.multiply(row_versions, 2), is_live)
        return keys.append_column("version", versions).filter(self._usable(keys))

    def _usable(self, keys: pa.Table) -> pa.ChunkedArray:
        """A mask of complete keys, without values that landed before their field was hashed."""
        mask = pa.chunked_array([pa.repeat(True, keys.num_rows)])
        for name in keys.schema.names:
            mask = pc.and_(mask, pc.is_valid(keys[name]))
            if self._config.fields[name].privacy is not None:
                mask = pc.and_(mask, pc.match_substring_regex(keys[name].fill_null(""), HASH))
        return mask

    def _spool(self, name: str) -> PartWriter:
        folder = self._folder / f"{name}-keys"
        folder.mkdir()
        return PartWriter(folder, self._schema, sys.maxsize)


def _counted(count: int) -> str:
    return "1 record is" if count == 1 else f"{count:,} records are"
