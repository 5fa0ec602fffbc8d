"""A stream's first page as it would land, and the requests that fetched it; nothing lands."""

from __future__ import annotations

import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from landing.catalog.stream_config import StreamConfig
from landing.errors import LandingError
from landing.events import Emit, Event, Note, TotalExpected
from landing.extraction.dlt_bridge import DltResource, dlt_context, parents_of
from landing.extraction.failures import raise_if_interrupted
from landing.extraction.prepared import prepare
from landing.extraction.reader import StreamReader
from landing.extraction.side_by_side import Stop
from landing.extraction.sources import Source
from landing.extraction.stream_state import StreamState
from landing.http.captured import CapturedRequest, listening
from landing.http.concurrency import one_by_one
from landing.http.traffic import counting
from landing.results import Drifted, Reason, most_common
from landing.secrets import redacted
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths, next_load_id
from landing.zone.lineage import with_lineage
from landing.zone.state import STATE_KEY, new_state, read_state, resource_state

ROWS = 10
"""Rows of the page that are shown."""


@dataclass
class Preview:
    requests: list[CapturedRequest] = field(default_factory=list)
    """In order; the last one returned the page, or failed. Empty for a client that does not use
    `requests`."""
    total: int | None = None
    """Rows in the API, if it reports a total."""
    read: int = 0
    """Records on the page."""
    new: int = 0
    """Records on the page that would certainly land."""
    undecided: int = 0
    """Records that have landed, or may have; only the end of a run decides."""
    refused: list[Reason] = field(default_factory=list)
    """Records on the page that would go to quarantine."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """The first ten of the new records at most, as they would land."""
    drift: Drifted = field(default_factory=Drifted)
    notes: list[str] = field(default_factory=list)
    error: LandingError | None = None
    """Why the page could not be read, or would not land."""

    @property
    def refused_records(self) -> int:
        return sum(one.records for one in self.refused)


def preview(
    source: Source, config: StreamConfig, resource: DltResource, bucket: Bucket, emit: Emit
) -> Preview:
    """Request one page from the API; an error becomes the result's `error`.

    Takes no lease and writes nothing to the bucket, except for a client's own tokens or request
    counts that are stored there.
    """
    found = Preview()
    counts_rows = not any(parents_of(resource))

    def observe(event: Event) -> None:
        match event:
            case Note(text=text):
                found.notes.append(redacted(text))
            case TotalExpected(rows=rows):
                found.total = rows
        emit(event)

    try:
        with (
            listening() as found.requests,
            counting(observe, config.stream, counts_rows=counts_rows),
            one_by_one(),
        ):
            _look(found, config, resource, bucket, observe)
    except Exception as error:
        raise_if_interrupted(error)
        found.error = source.explained(config.stream, error)
    _warn(found, config)
    return found


def _look(
    found: Preview, config: StreamConfig, resource: DltResource, bucket: Bucket, emit: Emit
) -> None:
    paths = StreamPaths(config.source, config.stream)
    state = read_state(bucket, paths) or new_state(paths)
    last = resource_state(state, config.stream).get(STATE_KEY, {}).get("load_id")
    now = datetime.now(UTC)

    def note(text: str) -> None:
        emit(Note(config.stream, text))

    def fetch(load_id: str, file: Path) -> bool:
        return bucket.download(paths.known_object(load_id), file)

    with tempfile.TemporaryDirectory(prefix="landing-") as folder:
        stream = prepare(config, resource, Path(folder))
        reader = StreamReader(stream, emit, Stop())
        tables = [stream.schema.empty_table()]
        refused: Counter[tuple[str, str]] = Counter()
        try:
            with dlt_context(stream.resource, state), closing(reader):
                known = StreamState(stream, state, reader, note, fetch)
                for piece in chain.from_iterable(
                    reader.first_page(known.of_reading, known.tracker)
                ):
                    if isinstance(piece, list):
                        refused.update((r.error.field, r.error.reason) for r in piece)
                        continue
                    found.new += piece.num_rows
                    few = stream.columns.dated(piece.slice(0, ROWS), now)
                    tables.append(with_lineage(few, next_load_id(now, last)))
        finally:
            found.read = reader.count
            found.refused = most_common(refused)
            found.undecided = found.read - found.new - refused.total()
            found.rows = pa.concat_tables(tables).slice(0, ROWS).to_pylist()
            found.drift = reader.drift


def _warn(found: Preview, config: StreamConfig) -> None:
    limit, refused = config.quarantine_limit, found.refused_records
    if limit is not None and refused > limit * (found.new + refused):
        found.notes.append(
            f"{refused:,} of {found.read:,} records of the first page do not fit, above the "
            f"quarantine_limit of {limit:g}: if the rest is like it, the run fails"
        )
