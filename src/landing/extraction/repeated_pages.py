"""Ends a run whose API returns the same page forever because its paging does not advance."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from landing.catalog.stream_config import StreamConfig
from landing.columns.conversion import Batch
from landing.errors import StreamError
from landing.extraction.pages import Page, row_count
from landing.http import traffic

TIMES = 100
TIMES_WITHOUT_KEY = 10_000
"""Without a primary key, a source may have equal pages, but not this many."""
_REMEMBERED = 100_000
_STRETCHES = 16
_STRETCH_BYTES = 512
_SAME = (
    "the first two pages have the same {:,} records; if the API takes page 0 for page 1, have the "
    "source begin with 1, as otherwise the last page may be missing"
)


def without_loops(pages: Iterable[Page], config: StreamConfig) -> Iterator[Page]:
    """The pages, unchanged. Raises StreamError once a page has come more than `TIMES` times, or
    `TIMES_WITHOUT_KEY`."""
    times = TIMES if config.primary_key else TIMES_WITHOUT_KEY
    seen: Counter[int] = Counter()
    alone: Batch = []
    in_a_row = 0
    first: int | None = None
    for number, page in enumerate(pages):
        if row_count(page.batch) < 2:
            in_a_row = in_a_row + 1 if _is_same(page.batch, alone) else 1
            alone = page.batch
            if config.primary_key and in_a_row > TIMES_WITHOUT_KEY:
                raise _loop(config, page, in_a_row)
        elif (sign := _sign(page.batch)) is not None:
            if number == 1 and sign == first and config.primary_key:
                traffic.current().warn("same pages", _SAME.format(row_count(page.batch)))
            first = sign if number == 0 else first
            seen[sign] += 1
            if seen[sign] > times:
                raise _loop(config, page, seen[sign])
            if len(seen) > _REMEMBERED:
                seen.clear()
        yield page


def _loop(config: StreamConfig, page: Page, times: int) -> StreamError:
    count = row_count(page.batch)
    what = "record" if count == 1 else f"page of {count:,} records"
    return StreamError(
        f"stream '{config.source}/{config.stream}': the API returned the same {what} {times - 1:,} "
        "times: its paging does not advance; check how the stream requests the next page"
    )


def _is_same(batch: Batch, other: Batch) -> bool:
    if isinstance(batch, tuple):
        return isinstance(other, tuple) and batch[0].content == other[0].content
    try:
        return type(batch) is type(other) and bool(batch == other)
    except RecursionError:  # values of thousands of levels
        return False


def _sign(batch: Batch) -> int | None:
    """A checksum of the page's first and last records. None if these are equal, as many pages of
    equal records are no sign of a loop."""
    if isinstance(batch, tuple):
        return _checksum((row_count(batch), [_sample(page.content) for page in batch]))
    if isinstance(batch, pa.Table):
        ends: Any = batch.slice(0, 1).to_pylist(), batch.slice(len(batch) - 1).to_pylist()
    else:
        ends = batch[:1], batch[-1:]
    try:
        return None if ends[0] == ends[1] else _checksum((row_count(batch), ends))
    except (RecursionError, ValueError):  # values of thousands of levels, or of digits
        return None


def _sample(content: bytes) -> tuple[int, list[bytes]]:
    """A body's length and some stretches of it, since its beginning and end may never change."""
    step = max(1, len(content) // _STRETCHES)
    starts = range(0, len(content), step)
    return len(content), [content[start : start + _STRETCH_BYTES] for start in starts]


def _checksum(value: object) -> int:
    return zlib.crc32(repr(value).encode(errors="replace"))
