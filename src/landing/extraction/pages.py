"""Runs a stream, and turns what it yields, in any shape, into batches."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from landing.columns.conversion import Batch, Row
from landing.columns.expected_fields import NOTHING, Expected, expecting
from landing.columns.odd_records import OddRecord, is_refused
from landing.errors import SourceError, StreamError
from landing.events import ReadCounts
from landing.extraction.children import skipping_gone
from landing.extraction.dlt_bridge import (
    DltResource,
    PipeGenInvalid,
    PipeItem,
    columns_with_page,
    dlt_context,
    function_of,
    is_bound,
    is_pandas_frame,
    is_polars_frame,
    items_of,
    table_with_page,
)
from landing.extraction.incremental import declared_incremental
from landing.extraction.last_answer import check_last_answer
from landing.extraction.prefetch import Prefetched
from landing.http import JsonPage, traffic
from landing.http.gone import Gone, counting_gone
from landing.zone.state import State

# Streams that yield record by record would otherwise pay a page's overhead for each.
BATCH_ROWS = 5_000
MOST_ROWS = 50_000
"""Rows that are converted at once; a larger page is divided."""
BATCH_BYTES = 32 * 1024 * 1024
"""Bytes of JSON that make a batch, even if they have few rows."""
_WEIGHED_ROWS = 8


@dataclass(frozen=True)
class Page:
    batch: Batch
    columns: Mapping[str, Any] | None = None
    """Column hints that came with the page (`dlt.mark.with_hints`), by name."""
    is_first_answer: bool = False
    """Whether the stream had received only one HTTP response when it yielded this page."""


def with_arguments(resource: DltResource, **arguments: Any) -> DltResource:
    """The resource, called with those arguments that are set and that its function has."""
    function = function_of(resource)
    if is_bound(resource) or function is None:
        return resource
    accepted = inspect.signature(function).parameters
    given = {name: v for name, v in arguments.items() if name in accepted and v is not None}
    return resource(**given) if given else resource


@contextmanager
def open_pages(
    resource: DltResource,
    state: State | None = None,
    *,
    ahead: int = 0,
    check: Callable[[float], None] | None = None,
    expected: Expected = NOTHING,
    gone: Gone | None = None,
) -> Iterator[Iterator[Page]]:
    """Run the stream: its generator, its parents, its maps and filters, as dlt does.

    The stream reads and writes `state`; without one, a state that is discarded. With `check` it
    runs in a thread of its own, up to `ahead` pages before its consumer, which calls `check` while
    it waits. Apart from these pages, it yields none that is not consumed. `gone` counts children
    that are gone.
    """
    if callable(resource.table_name):
        raise _several_tables(resource, "table_name= is a function")
    gone = gone or Gone()
    context = partial(_context, resource, state if state is not None else {}, expected, gone)
    make = partial(_iterate, resource, gone)
    if check is None:
        with context(), closing(make()) as items:
            yield map(partial(_page, resource), items)
        return
    with closing(Prefetched(make, context, ahead, check)) as prefetched:
        yield map(partial(_page, resource), prefetched)


class _Item(NamedTuple):
    item: PipeItem
    answers: int
    """How many the stream had received by then."""


@contextmanager
def _context(resource: DltResource, state: State, expected: Expected, gone: Gone) -> Iterator[None]:
    with dlt_context(resource, state), expecting(expected), counting_gone(gone):
        yield


def _iterate(resource: DltResource, gone: Gone) -> Generator[_Item, None, None]:
    meter = traffic.current()
    try:
        with closing(items_of(resource, partial(skipping_gone, gone=gone))) as items:
            for item in items:
                yield _Item(_kept(item), meter.answers.count)
    except PipeGenInvalid as error:
        raise _not_rows(resource.name, "returned no list of records") from error
    except SystemExit as stop:
        raise StreamError(f"stream '{resource.name}' called sys.exit({stop.code})") from stop
    declared = declared_incremental(resource)
    is_oldest_first = declared is not None and declared.row_order == "asc"
    check_last_answer(meter, ends_early=is_oldest_first)


def _kept(item: PipeItem) -> PipeItem:
    """A copy of the page, since a stream that runs ahead may clear and refill the list that it
    yielded."""
    rows = item.item
    return item._replace(item=rows.copy()) if isinstance(rows, list | dict) else item


def _page(resource: DltResource, given: _Item) -> Page:
    item, answers = given
    table = table_with_page(item)
    if table not in (None, resource.name, resource.table_name):
        marked = "by a function of each record" if callable(table) else f"for table '{table}'"
        raise _several_tables(resource, f"a page is marked {marked}")
    return Page(_batch(resource.name, item.item), columns_with_page(item), answers == 1)


def _several_tables(resource: DltResource, how: str) -> SourceError:
    return SourceError(
        f"stream '{resource.name}' sends its records to several tables ({how}), but a stream is "
        "one table. Either export a stream for each, such as a copy with "
        f"`{resource.name}.with_name(…)` and add_filter, or leave the table name out to land all "
        "records in one, with the name as a field if you need it"
    )


def _batch(stream: str, item: Any) -> Batch:
    if isinstance(item, list):
        return _rows(stream, item)
    if isinstance(item, Mapping):
        return [item]
    if isinstance(item, JsonPage):
        return (item,)
    if isinstance(item, pa.Table):
        return item
    if isinstance(item, pa.RecordBatch):
        return pa.Table.from_batches([item])
    if is_pandas_frame(item):
        return pa.Table.from_pandas(item, preserve_index=False)
    if is_polars_frame(item):
        return item.to_arrow()
    raise _not_rows(stream, f"yielded a {type(item).__name__}")


def _rows(stream: str, items: list[Any]) -> Batch:
    if set(map(type, items)) <= {dict}:
        return items
    if items and all(isinstance(item, pa.Table | pa.RecordBatch) for item in items):
        tables = [_batch(stream, item) for item in items]
        return pa.concat_tables(tables, promote_options="permissive")
    odd = [OddRecord(item) for item in items if not isinstance(item, Mapping)]
    if len(odd) == len(items) and is_refused(odd):
        raise _not_rows(stream, f"yielded a {type(odd[0].value).__name__}")
    return [item if isinstance(item, Mapping) else OddRecord(item) for item in items]


def _not_rows(stream: str, did: str) -> SourceError:
    return SourceError(
        f"stream '{stream}' {did}; it has to yield records as dictionaries (one, or a list of "
        "them), Arrow tables or data frames",
        remedy="fix its function in streams.py",
    )


def counting_into(counts: ReadCounts, pages: Iterable[Page]) -> Iterator[Page]:
    """The pages, unchanged, counted in `counts`; a stream may yield each record as a page."""
    for page in pages:
        counts.pages += 1
        counts.rows += row_count(page.batch)
        yield page


def batches(pages: Iterable[Page], least: int = BATCH_ROWS) -> Iterator[Batch]:
    """Batches of at least `least` rows, or of BATCH_BYTES; the last may be smaller. Pages of more
    than MOST_ROWS are divided.

    Pages of different shapes are not joined, and rows keep their order.
    """
    pending: list[Row] | tuple[JsonPage, ...] = []
    weigh_at = 1
    for batch in chain.from_iterable(_pieces(page.batch) for page in pages):
        if isinstance(batch, pa.Table) or type(batch) is not type(pending):
            if pending:
                yield pending
            pending = []
            weigh_at = 1
        if isinstance(batch, pa.Table):
            yield batch
            continue
        if isinstance(pending, list) and isinstance(batch, list):
            pending.extend(batch)
        else:
            pending = (*pending, *batch) if pending else batch
        count = row_count(pending)
        if count >= least or (count >= weigh_at and _weight(pending) >= BATCH_BYTES):
            yield pending
            pending = []
            weigh_at = 1
        elif count >= weigh_at:
            weigh_at = 2 * count
    if pending:
        yield pending


def _pieces(batch: Batch) -> Iterator[Batch]:
    if isinstance(batch, tuple):
        yield from ((piece,) for page in batch for piece in page.pieces(MOST_ROWS))
    elif row_count(batch) <= MOST_ROWS:
        yield batch
    else:
        for start in range(0, row_count(batch), MOST_ROWS):
            end = start + MOST_ROWS
            yield batch[start:end] if isinstance(batch, list) else batch.slice(start, MOST_ROWS)


def _weight(batch: list[Row] | tuple[JsonPage, ...]) -> int:
    """Bytes of JSON; for dictionaries, an estimate from the last of them."""
    if isinstance(batch, tuple):
        return sum(len(page.content) for page in batch)
    try:
        last = msgspec.json.encode(batch[-_WEIGHED_ROWS:], enc_hook=str)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return 0  # not valid JSON, as in rejected records
    return len(last) * len(batch) // min(len(batch), _WEIGHED_ROWS)


def row_count(batch: Batch) -> int:
    return sum(map(len, batch)) if isinstance(batch, tuple) else len(batch)


def present_names(batch: Batch, names: Iterable[str]) -> set[str]:
    """The field names that at least one record of the batch has."""
    if isinstance(batch, tuple):
        return {name for name in names if any(_is_key(name, page.content) for page in batch)}
    if isinstance(batch, list):
        return {name for name in names if any(name in row for row in batch)}
    return set(names) & set(batch.schema.names)


def _is_key(name: str, content: bytes) -> bool:
    """Whether a page may have the key, spelled plainly or with escapes."""
    return msgspec.json.encode(name) in content or json.dumps(name).encode() in content
