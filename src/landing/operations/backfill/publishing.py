"""Lands one window: reads without a lease, so that live runs go on, and publishes under it.

Rows carry the load ids that are reserved for their window; their files are named by the time of
publication. If a window is read twice, by two processes or after a kill, the first to publish wins;
if its publication was interrupted, the second publishes with later load ids.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pyarrow as pa

from landing.columns.conversion import columns_of
from landing.errors import StreamError
from landing.events import Emit
from landing.extraction.side_by_side import Stop
from landing.extraction.sources import Source
from landing.http.traffic import counting
from landing.operations.backfill.reading import WindowRows, read_window
from landing.operations.backfill.record import Backfill, Done
from landing.operations.backfill.subject import BackfilledStream, subject
from landing.operations.backfill.windows import Window
from landing.operations.superseded import leave_out_superseded
from landing.zone.bucket import Bucket
from landing.zone.lineage import LINEAGE_FIELDS
from landing.zone.publication import Load


class WindowResult(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one window, as plain data that processes can exchange."""

    done: Done
    by_another: bool = False
    """Another process published the window first; rows read here were discarded."""
    without_cursor: int = 0
    """Rows without a cursor value, which belong to no window."""

    @property
    def window(self) -> Window:
        return Window(self.done.number, self.done.start, self.done.end)


def run_window(
    source: Source,
    stream: str,
    backfill_id: str,
    number: int,
    bucket: Bucket,
    emit: Emit,
    stop: Stop | None = None,
) -> WindowResult:
    """Land one window of a backfill that was begun, in this process or any other.

    Returns at once if the window is done. Several processes may call it at the same time. The
    stream's table is updated by its next run, or by `BackfilledStream.update_table`.
    """
    of = subject(source, stream, bucket)
    stop = stop or Stop()
    while True:
        backfill = of.records.get(backfill_id)
        window = backfill.window(number)
        if done := backfill.done.get(str(number)):
            return WindowResult(done=done, by_another=True)
        with tempfile.TemporaryDirectory(prefix="landing-") as folder, counting():
            reading = _Reading(of, backfill, window, emit, stop, Path(folder))
            result = reading.published()
        if result is not None:
            return result
        # Another process died while publishing this window, with the same load ids: read again.


class _Reading:
    """A window's rows on the local disk."""

    def __init__(
        self,
        of: BackfilledStream,
        backfill: Backfill,
        window: Window,
        emit: Emit,
        stop: Stop,
        folder: Path,
    ) -> None:
        self._of = of
        self._id = backfill.id
        self._window = window
        self._folder = folder
        self._row_version = backfill.row_version_of(window)
        self._load = Load(
            of.bucket,
            of.paths,
            of.lease(of.waiting(stop, emit)),
            load_id=self._row_version,
            last_row_version=self._row_version,
            backfill={"id": backfill.id, "from": window.start, "to": window.end},
        )
        config = of.config
        rows = WindowRows(of.cursor(), window)
        self._without_cursor = read_window(
            config, of.resource, rows, self._load, folder, emit, stop
        )
        last = self._load.last_row_version or self._row_version
        if last >= backfill.end_of_row_versions(window):
            raise StreamError(
                f"stream '{of.name}', {window}: records with the same primary key came too often "
                "in this window to distinguish their versions: choose smaller windows, or a "
                f"primary_key in {config.origin} that distinguishes records"
            )
        self._last_row_version = last

    def published(self) -> WindowResult | None:
        """None if another process has published part of the window with the same load ids."""
        number = str(self._window.number)
        with self._of.turn, self._load.lease:
            records = self._of.records
            backfill = records.get(self._id)
            if done := backfill.done.get(number):
                return WindowResult(done=done, by_another=True)
            if backfill.row_version_of(self._window) != self._row_version:
                return None
            load = self._load
            load.load_id = None
            lower = [one for one in backfill.done.values() if one.number < self._window.number]
            older = {one.load_id for one in lower if one.load_id is not None}
            leave_out_superseded(self._of.config, load, self._folder, older)
            if load.parts or load.quarantine_file:
                backfill.row_versions[number] = self._last_row_version
                records.put(backfill, load.lease)
                publish(self._of, load)
            load.lease.confirm()
            done = Done(
                number=self._window.number,
                start=self._window.start,
                end=self._window.end,
                load_id=load.load_id,
                rows=load.rows,
                quarantined=load.quarantined,
                superseded=load.superseded,
                finished=datetime.now(UTC),
            )
            backfill.done[number] = done
            backfill.rows += done.rows
            records.finish(backfill, load.lease)
            return WindowResult(done=done, without_cursor=self._without_cursor)


def publish(of: BackfilledStream, load: Load) -> None:
    """Publish a load, whose lease is taken, under a load id of the current time."""
    load_id = load.begin_outside_runs(pa.schema([*columns_of(of.config).schema, *LINEAGE_FIELDS]))
    if load.quarantine_file is not None:
        load.quarantine_file = _of_load(load.quarantine_file, load_id)
    load.publish()


def _of_load(quarantine: Path, load_id: str) -> Path:
    """The quarantine file with the load id, which was unknown when its lines were written."""
    named = quarantine.with_suffix(".named")
    with quarantine.open("rb") as lines, named.open("wb") as out:
        for line in lines:
            kept = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
            kept["load_id"] = msgspec.Raw(msgspec.json.encode(load_id))
            out.write(msgspec.json.encode(kept) + b"\n")
    return named
