"""An API whose paging does not move gives the same page for ever; a run must not."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from landing.catalog import StreamConfig
from landing.columns import Batch
from landing.errors import StreamError
from landing.pages import Page, row_count

TIMES = 100
TIMES_WITHOUT_KEY = 10_000
"""Without a primary key, equal pages may be what the source has; so many are not."""
_REMEMBERED = 100_000
_END_BYTES = 4_096


def without_loops(pages: Iterable[Page], config: StreamConfig) -> Iterator[Page]:
    """The pages as they come. Raises StreamError once one of them has come far too often."""
    times = TIMES if config.primary_key else TIMES_WITHOUT_KEY
    seen: Counter[int] = Counter()
    for page in pages:
        sign = _sign(page.batch)
        if sign is not None:
            seen[sign] += 1
            if seen[sign] > times:
                raise StreamError(
                    f"stream '{config.source}/{config.stream}': the API gave the same page of "
                    f"{row_count(page.batch):,} records {times} times: its paging does not move; "
                    "look at how the stream asks for the next page"
                )
            if len(seen) > _REMEMBERED:
                seen.clear()
        yield page


def _sign(batch: Batch) -> int | None:
    """What tells pages apart: their first and last records. None for a page of equal records, as
    streams that yield record by record have, too."""
    if isinstance(batch, tuple):
        ends: tuple[Any, Any] = batch[0].content[:_END_BYTES], batch[-1].content[-_END_BYTES:]
    elif isinstance(batch, pa.Table):
        ends = batch.slice(0, 1).to_pylist(), batch.slice(max(0, len(batch) - 1)).to_pylist()
    else:
        ends = batch[:1], batch[-1:]
    try:
        if row_count(batch) < 2 or (ends[0] == ends[1] and not isinstance(batch, tuple)):
            return None
        return zlib.crc32(f"{row_count(batch)} {ends}".encode(errors="replace"))
    except (RecursionError, ValueError):  # values of thousands of levels, or of digits
        return None
