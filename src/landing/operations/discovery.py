"""What a source can provide, sampled from its API and declared by its streams, saved as JSON."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pyarrow as pa

from landing.catalog.fields import Field
from landing.catalog.files import (
    discovered_streams,
    private_fields,
    read_discovered,
    write_discovered,
)
from landing.catalog.names import check_name, is_own_name
from landing.catalog.stream_config import (
    Defaults,
    DestinationSyncMode,
    DiscoveredSchema,
    Options,
    SyncMode,
)
from landing.columns.conversion import Batch
from landing.columns.inference import declared_fields, fields_of
from landing.errors import SourceError, StreamError, nearest
from landing.extraction.dlt_bridge import (
    DltResource,
    function_of,
    is_bound,
    parents_of,
    static_columns,
)
from landing.extraction.failures import raise_if_interrupted
from landing.extraction.incremental import (
    check_top_level,
    cursor_parameter,
    declared_incremental,
    freeze,
)
from landing.extraction.pages import open_pages, with_arguments
from landing.extraction.parents import ParentIncremental, freeze_parents
from landing.extraction.sources import Source
from landing.http.gone import Gone
from landing.operations.discovered_changes import changes, merged, without_private


@dataclass(frozen=True)
class Discovered:
    """A stream's current schema, and its changes since the existing file."""

    schema: DiscoveredSchema
    changes: Sequence[str]
    is_new: bool
    notes: Sequence[str] = ()
    records: Sequence[Mapping[str, Any]] = ()
    """The sample."""


@dataclass
class DiscoveryResult:
    found: dict[str, Discovered] = field(default_factory=dict)
    failed: dict[str, Exception] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    """Streams that have a file but that the source no longer has."""


def discover(
    source: Source,
    streams: Sequence[str],
    sample_limit: int,
    *,
    write: bool,
    notify: Callable[[str, int, int], None] = lambda stream, number, count: None,
) -> DiscoveryResult:
    """Discover the named streams, or all. A stream that fails leaves its file unchanged.

    `notify` is called with each stream before it is sampled, its number, and the count of streams.
    Raises WorkspaceError, before any sampling, for a stream that the source doesn't have.
    """
    resources = {name: source.stream(name) for name in streams} or source.streams()
    result = DiscoveryResult()
    if not streams:
        known = discovered_streams(source.workspace, source.name)
        result.failed.update(source.failed)
        if not source.failed:  # whose streams may be those that are missing
            result.gone = [name for name in known if name not in resources]
    for number, (name, resource) in enumerate(resources.items(), 1):
        notify(name, number, len(resources))
        try:
            check_name(name, "stream")  # some servers have table names that are not valid here
            schema, records = sample(resource, sample_limit)
            found = _compared(source, schema)
            notes = list(_notes(resource, found.schema))
            result.found[name] = replace(found, notes=notes, records=records)
            if write:
                write_discovered(source.workspace, source.name, result.found[name].schema)
        except Exception as error:
            raise_if_interrupted(error)
            result.failed[name] = failure = source.explained(name, error)
            if failure is not error:
                failure.__cause__ = error
    return result


def sample(
    resource: DltResource, limit: int
) -> tuple[DiscoveredSchema, Sequence[Mapping[str, Any]]]:
    """Ask the API for at most `limit` records, and describe the stream.

    Raises StreamError if it returns no records and declares no columns.
    """
    freeze(resource, None, None, from_start=True)
    parents = freeze_parents(resource, None, from_start=True)
    for parent in parents:
        parent.seen = set()
    gone = Gone()
    records, hinted = _read(_limited(resource, limit), limit, gone)
    if gone.count and not records:
        raise StreamError(
            f"stream '{resource.name}' returned no records, so its fields are unknown; nothing was "
            f"written. {gone.note}: is their address right?"
        )
    return described(resource, records, hinted, _copied_cursor(records, parents)), records


def described(
    resource: DltResource,
    records: list[Mapping[str, Any]],
    hinted: Mapping[str, Any],
    copied_cursor: str | None = None,
) -> DiscoveredSchema:
    """The stream's schema, from these records and the columns that it declares.

    `hinted` are column hints that came with its pages, `copied_cursor` is the field of a child with
    its parent's cursor. Raises StreamError if no field is known.
    """
    sampled = fields_of(records)
    columns = {**static_columns(resource), **hinted}
    fields = _in_order(columns, sampled, {**sampled, **declared_fields(columns, sampled)})
    if not fields:
        raise StreamError(
            f"stream '{resource.name}' returned no records, so its fields are unknown; nothing "
            "was written: add some at the source, or declare its columns"
        )
    schema = _schema(resource, fields, copied_cursor)
    _check_declared(schema)
    return schema


def _check_declared(schema: DiscoveredSchema) -> None:
    """Raise SourceError for a declared key or cursor that no record has."""
    keys = [path[0] for path in schema.defaults.primary_key or []]
    cursor = schema.defaults.cursor_field or []
    for what, names in (("primary key", keys), ("cursor field", cursor)):
        for name in names:
            if name not in schema.fields:
                if names is cursor:
                    check_top_level(schema.stream, name)
                raise SourceError(
                    f"stream '{schema.stream}' declares the {what} '{name}', which none of its "
                    f"records has{nearest(name, schema.fields)}; fix its streams.py"
                )


def _in_order(
    columns: Mapping[str, Any], sampled: Mapping[str, Field], fields: Mapping[str, Field]
) -> dict[str, Field]:
    """In declared order if the stream names all columns, else in the order of the records."""
    is_complete = sampled.keys() <= columns.keys()
    names = [*columns] if is_complete else [*sampled, *columns]
    # Another tool's lineage and deletion columns would collide with ours.
    return {n: fields[n] for n in names if n in fields and not is_own_name(n)}


def _limited(resource: DltResource, limit: int) -> DltResource:
    """The stream and its parents with pages no larger than the sample."""
    for parent in parents_of(resource):
        if not is_bound(parent) and (size := _page_size(parent, limit)):
            parent.bind(limit=size)
    return with_arguments(resource, limit=_page_size(resource, limit))


def _page_size(resource: DltResource, limit: int) -> int | None:
    """None if the stream's function has no `limit` parameter."""
    function = function_of(resource)
    own = inspect.signature(function).parameters.get("limit") if function else None
    if own is None:
        return None
    return min(limit, own.default) if isinstance(own.default, int) else limit


def _read(
    resource: DltResource, limit: int, gone: Gone
) -> tuple[list[Mapping[str, Any]], dict[str, Mapping[str, Any]]]:
    records: list[Mapping[str, Any]] = []
    columns: dict[str, Mapping[str, Any]] = {}
    with open_pages(resource, gone=gone) as pages:
        for page in pages:
            columns.update(page.columns or {})
            records.extend(rows_of(page.batch, limit - len(records)))
            if len(records) >= limit:
                break
    return records, columns


def rows_of(batch: Batch, most: int) -> list[Mapping[str, Any]]:
    """The first `most` records of a batch, with all their fields."""
    if isinstance(batch, pa.Table):
        return list(batch.slice(0, most).to_pylist())
    if isinstance(batch, tuple):
        return [row for page in batch for row in page.rows()][:most]
    return batch[:most]


def _copied_cursor(
    records: Sequence[Mapping[str, Any]], parents: Sequence[ParentIncremental]
) -> str | None:
    """The field of a child that has its parent's cursor, by which its runs can go; None if there is
    no such field.

    It has the parent's value in every record, and its name says so, as `order_updated_at` does: a
    `created_at` has it, too, until a parent is edited.
    """
    for parent in parents:
        names = [name for name in (records[0] if records else ()) if _names(parent, name)]
        for name in sorted(names, key=len, reverse=True):
            if _is_copy(name, records, parent.seen or ()):
                return name
    return None


def _names(parent: ParentIncremental, field: str) -> bool:
    name, path = field.lower(), parent.cursor_path.lower()
    if not name.endswith(path):
        return False
    whose = name.removesuffix(path).strip("_")
    return whose in ("", "parent") or (len(whose) > 2 and whose in parent.parent.lower())


def _is_copy(name: str, records: Sequence[Mapping[str, Any]], seen: Collection[Any]) -> bool:
    values = [row.get(name) for row in records]
    return all(isinstance(value, Hashable) and value in seen for value in values)


def _schema(
    resource: DltResource, fields: dict[str, Field], copied_cursor: str | None
) -> DiscoveredSchema:
    key = primary_key(resource)
    incremental = declared_incremental(resource)
    cursor = incremental.cursor_path if incremental else copied_cursor
    sync_modes: list[SyncMode] = ["full_refresh"]
    if cursor:
        sync_modes = ["incremental", "full_refresh"]
    elif cursor_parameter(resource) or any(map(declared_incremental, parents_of(resource))):
        sync_modes = ["full_refresh", "incremental"]
    destination: list[DestinationSyncMode] = ["append", "merge"] if key else ["append"]
    destination.append("overwrite")
    return DiscoveredSchema(
        stream=resource.name,
        description=_description(resource),
        options=Options(sync_modes, destination),
        defaults=Defaults(
            primary_key=[[name] for name in key] or None, cursor_field=[cursor] if cursor else None
        ),
        fields=fields,
    )


def _notes(resource: DltResource, schema: DiscoveredSchema) -> Iterator[str]:
    if schema.defaults.cursor_field:
        return
    for parent in parents_of(resource):
        if declared := declared_incremental(parent):
            yield (
                f"each run requests the children of all {parent.name}; for those of changed ones "
                f"alone, yield the parent's {declared.cursor_path} with each child, such as "
                f"parent_{declared.cursor_path}, and discover again"
            )


def primary_key(resource: DltResource) -> list[str]:
    """Names of the primary key fields that the stream declares; empty without a key."""
    columns = static_columns(resource)
    return [name for name, column in columns.items() if column.get("primary_key")]


def _description(resource: DltResource) -> str | None:
    function = function_of(resource)
    text = inspect.getdoc(function) if function else None
    return " ".join(text.split("\n\n")[0].split()) if text else None


def _compared(source: Source, new: DiscoveredSchema) -> Discovered:
    old = read_discovered(source.workspace, source.name, new.stream)
    fields = without_private(new.fields, private_fields(source.workspace, source.name, new.stream))
    new = msgspec.structs.replace(new, fields=fields)
    if old is None:
        return Discovered(new, [], is_new=True)
    new = merged(old, new)
    return Discovered(new, list(changes(old, new)), is_new=False)
