"""What a stream yields, one batch after another, whatever shape it comes in."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa
from dlt.common.libs import is_pandas_frame, is_polars_frame
from dlt.extract.hints import HintsMeta
from dlt.extract.pipe_iterator import PipeIterator
from dlt.extract.resource import DltResource

from landing.columns import Row
from landing.errors import SourceError

Batch: TypeAlias = list[Row] | pa.Table

# Streams that yield record by record would otherwise pay a page's overhead for each.
BATCH_ROWS = 500


@dataclass(frozen=True)
class Page:
    batch: Batch
    columns: Mapping[str, Any] | None = None
    """Column hints that came with the page (`dlt.mark.with_hints`), by name."""


def with_arguments(resource: DltResource, **arguments: Any) -> DltResource:
    """The resource called with those of the arguments that its function has and that are set."""
    function = resource._pipe.gen
    if resource._args_bound or not callable(function):
        return resource
    accepted = inspect.signature(function).parameters
    given = {name: v for name, v in arguments.items() if name in accepted and v is not None}
    return resource(**given) if given else resource


@contextmanager
def open_pages(resource: DltResource) -> Iterator[Iterator[Page]]:
    """Run the stream: its generator, its parents, its maps and filters, as dlt does.

    dlt's own iteration over a resource drops the hints that come with a page and the state that
    a stream writes, so this goes one level below it.
    """
    with PipeIterator.from_pipe(resource._pipe) as items:
        yield (_page(resource.name, item.item, item.meta) for item in items)


def _page(stream: str, item: Any, meta: Any) -> Page:
    hints = meta.hints if isinstance(meta, HintsMeta) else None
    columns = hints.get("columns") if hints else None
    return Page(_batch(stream, item), columns if isinstance(columns, Mapping) else None)


def _batch(stream: str, item: Any) -> Batch:
    if isinstance(item, pa.Table):
        return item
    if isinstance(item, pa.RecordBatch):
        return pa.Table.from_batches([item])
    if is_pandas_frame(item):
        return pa.Table.from_pandas(item, preserve_index=False)
    if is_polars_frame(item):
        return item.to_arrow()
    if isinstance(item, Mapping):
        return [item]
    if isinstance(item, list):
        return _rows(stream, item)
    raise _not_rows(stream, item)


def _rows(stream: str, items: list[Any]) -> Batch:
    if all(type(item) is dict for item in items):
        return items
    if items and all(isinstance(item, pa.Table | pa.RecordBatch) for item in items):
        tables = [_batch(stream, item) for item in items]
        return pa.concat_tables(tables, promote_options="permissive")
    for item in items:
        if not isinstance(item, Mapping):
            raise _not_rows(stream, item)
    return items


def _not_rows(stream: str, item: Any) -> SourceError:
    return SourceError(
        f"stream '{stream}' yielded a {type(item).__name__}; it has to yield records as "
        "dictionaries (one, or a list of them), Arrow tables or data frames"
    )


def batches(pages: Iterable[Page], least: int = BATCH_ROWS) -> Iterator[Batch]:
    """Small pages put together to batches of at least `least` rows; the last may be smaller."""
    pending: list[Row] = []
    for page in pages:
        if isinstance(page.batch, pa.Table):
            yield page.batch
            continue
        pending.extend(page.batch)
        if len(pending) >= least:
            yield pending
            pending = []
    if pending:
        yield pending
