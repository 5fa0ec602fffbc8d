"""Writes a load's rows to the local disk, ready to be published."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa

from landing.catalog.settings import part_bytes
from landing.columns.tombstones import tombstone_count
from landing.events import Emit, PartGrowing, PartWritten
from landing.extraction.prepared import PreparedStream
from landing.extraction.quarantine import Quarantine, Rejected
from landing.extraction.reader import Pieces
from landing.extraction.row_versions import LoadVersions, RowVersions
from landing.zone.lineage import with_lineage
from landing.zone.parts import Part, PartWriter
from landing.zone.publication import Load


class LoadWriter:
    """Writes rows that land to parts, with their lineage columns, and rejected rows to the load's
    quarantine file. The load begins with the first row of either kind."""

    def __init__(
        self,
        stream: PreparedStream,
        versions: LoadVersions,
        quarantine: Quarantine,
        load: Load,
        emit: Emit,
    ) -> None:
        self._stream = stream
        self._versions = versions
        self._quarantine = quarantine
        self._load = load
        self._emit = emit
        self._parts = PartWriter(stream.folder, stream.schema, part_bytes())

    @property
    def bytes(self) -> int:
        return self._parts.bytes

    def write(self, pieces: Pieces, *, is_deferred: bool = False) -> None:
        """Write new rows; deferred ones are older than any other version of their records."""
        versions = self._versions.of(self._load.begin(), is_deferred=is_deferred)
        for piece in pieces:
            if isinstance(piece, list):
                self._reject(piece, versions)
                continue
            for row_version, table in versions.versioned(piece):
                self._note(row_version)
                self._load.deleted += tombstone_count(table)
                dated = self._stream.columns.dated(table, datetime.now(UTC))
                self._add(with_lineage(dated, row_version))

    def write_deleted(self, tombstones: pa.Table) -> None:
        """Write tombstones of records that a full refresh lacks."""
        load_id = self._load.begin()
        self._load.deleted += tombstones.num_rows
        self._add(with_lineage(tombstones, self._load.last_row_version or load_id))

    def close(self) -> None:
        for part in self._parts.close():
            self._take(part)
        self._load.quarantined = self._quarantine.count
        self._load.quarantine_file = self._quarantine.close()

    def _reject(self, rows: list[Rejected], versions: RowVersions) -> None:
        versioned = [(rejected, versions.of(rejected.key)) for rejected in rows]
        self._note(versioned[-1][1])
        self._quarantine.add(versioned, self._load.begin())

    def _note(self, row_version: str) -> None:
        self._load.last_row_version = max(self._load.last_row_version or "", row_version)

    def _add(self, table: pa.Table) -> None:
        for part in self._parts.write(table):
            self._take(part)
        self._emit(PartGrowing(self._stream.config.stream, self._parts.open_bytes))

    def _take(self, part: Part) -> None:
        self._load.parts.append(part)
        self._emit(PartWritten(self._stream.config.stream, part.rows, part.bytes))
