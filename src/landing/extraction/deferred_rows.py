"""Keeps rows that may have landed before, until enough was read to decide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from landing.columns.digest import BUCKETS, Digest, row_hashes


@dataclass
class DeferredRows:
    """Deferred rows, on the local disk until all of their kind were read."""

    file: Path
    digest: Digest = field(default_factory=Digest)
    writer: pa.ipc.RecordBatchFileWriter | None = None
    known_count: int = 0
    """How many of the rows had landed before."""

    def add(self, table: pa.Table) -> None:
        if table.num_rows == 0:
            return
        self.digest.add(row_hashes(table))
        if self.writer is None:
            self.writer = pa.ipc.new_file(str(self.file), table.schema)
        self.writer.write_table(table)

    def unknown(self, known: Digest) -> Iterator[pa.Table]:
        """The rows of the buckets whose digest is not the known one."""
        if self.writer is None:
            return
        self.writer.close()
        with pa.ipc.open_file(str(self.file)) as reader:
            for index in range(reader.num_record_batches):
                table = pa.Table.from_batches([reader.get_batch(index)])
                mask = [self.digest.differs(known, h % BUCKETS) for h in row_hashes(table)]
                self.known_count += len(mask) - sum(mask)
                yield table.filter(pa.array(mask, pa.bool_()))
