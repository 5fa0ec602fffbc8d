"""A stream under check, which can be read in several ways within its limits."""

from __future__ import annotations

import inspect
import io
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from requests import Response

from landing.catalog.fields import Field
from landing.catalog.files import as_config, read_discovered
from landing.catalog.stream_config import StreamConfig
from landing.columns.conversion import Batch, Columns, Row
from landing.columns.fitting import ConversionError
from landing.columns.inference import fields_of
from landing.columns.tombstones import tombstones_of
from landing.errors import SourceError
from landing.extraction.cursor_values import CursorValues
from landing.extraction.dlt_bridge import DltResource, clone, function_of, parents_of
from landing.extraction.incremental import (
    FrozenIncremental,
    cursor_parameter,
    declared_incremental,
    freeze,
)
from landing.extraction.pages import open_pages, row_count, with_arguments
from landing.extraction.parents import freeze_parents
from landing.extraction.sources import Source, as_declared
from landing.http.captured import answering
from landing.http.gone import Gone
from landing.operations.discovery import described, primary_key, rows_of

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Limits:
    """How much a check reads from an API."""

    rows: int = 1_000
    """Most records of one read, which ends with the page that reaches this number."""


@dataclass(frozen=True)
class Read:
    """The pages that a stream yielded."""

    pages: Sequence[Batch]
    is_whole: bool
    """Whether the stream ended by itself, not at the limit."""
    start: Any = None
    """The cursor's `last_value` that the stream got."""
    columns: Mapping[str, Any] = field(default_factory=dict)
    """Column hints that came with pages, by name."""
    answers: Sequence[Response] = ()
    """The API's responses to any session of `requests`."""
    gone: Gone = field(default_factory=Gone)
    """Lists of children that the API does not have."""

    @cached_property
    def rows(self) -> list[Row]:
        return [row for page in self.pages for row in rows_of(page, row_count(page))]

    @property
    def sizes(self) -> list[int]:
        return [row_count(page) for page in self.pages]


class CheckedStream:
    """One stream of a source. The first read is cached, since reads cost requests."""

    def __init__(self, source: Source, stream: str, limits: Limits) -> None:
        self.source = source
        self.stream = stream
        self.limits = limits
        self._folder = tempfile.TemporaryDirectory(prefix="landing-check-")
        self.folder = Path(self._folder.name)
        self.reads: list[Read] = []
        """All reads so far, in order."""
        self.output = io.StringIO()
        """Everything printed and logged during the check."""

    @property
    def name(self) -> str:
        return f"{self.source.name}/{self.stream}"

    def resource(self) -> DltResource:
        """A new clone of the stream: freezing a cursor or binding arguments changes a resource."""
        return clone(self.source.stream(self.stream), with_parents=True)

    def read(
        self,
        *,
        since: Any = None,
        parents_since: Any = None,
        most: int | None = None,
        **arguments: Any,
    ) -> Read:
        """Read from the cursor value `since`, or from the start, with arguments for the function;
        the children of parents from `parents_since` on.

        Ends with the page that reaches `most` records.
        """
        resource = with_arguments(self.resource(), **arguments)
        if since is None and self.written_config is not None:
            since = self.written_config.initial_value
        cursor = self.cursor_field if self.takes_cursor else None
        frozen = freeze(resource, cursor, since, from_start=True)
        freeze_parents(resource, None, from_start=True, start=parents_since)
        start = frozen.last_value if frozen is not None else parents_since
        most = most or self.limits.rows
        pages: list[Batch] = []
        columns: dict[str, Any] = {}
        count = 0
        is_whole = True
        gone = Gone()
        with answering() as answers, open_pages(resource, gone=gone) as found:
            for page in found:
                pages.append(page.batch)
                columns.update(page.columns or {})
                count += row_count(page.batch)
                if count >= most:
                    is_whole = False
                    break
        self.reads.append(
            Read(pages, is_whole=is_whole, start=start, columns=columns, answers=answers, gone=gone)
        )
        return self.reads[-1]

    @cached_property
    def first(self) -> Read:
        """The stream as a first run reads it."""
        return self.read()

    @cached_property
    def written_config(self) -> StreamConfig | None:
        """The stream config, or one from the discovered schema; None without either. Raises
        CatalogError."""
        workspace = self.source.workspace
        configured = workspace.config_file(self.source.name, self.stream).is_file()
        if configured or read_discovered(workspace, self.source.name, self.stream):
            return self.source.config(self.stream)
        return None

    @cached_property
    def config(self) -> StreamConfig:
        """As `written_config`; if there is no file yet, the config that discovery would write."""
        if self.written_config is not None:
            return self.written_config
        found = described(self.resource(), self.first.rows, self.first.columns)
        return as_declared(as_config(self.source.name, found), self.resource())

    @cached_property
    def key(self) -> tuple[str, ...]:
        if self.written_config is not None and self.written_config.primary_key:
            return self.written_config.primary_key
        return tuple(primary_key(self.resource()))

    @cached_property
    def cursor_field(self) -> str | None:
        if self.written_config is not None and self.written_config.cursor_field:
            return self.written_config.cursor_field
        declared = declared_incremental(self.resource())
        return declared.cursor_path if declared is not None else None

    @cached_property
    def takes_cursor(self) -> bool:
        """Whether the stream's function has a parameter for the cursor."""
        return cursor_parameter(self.resource()) is not None

    @cached_property
    def incremental_parents(self) -> dict[str, str]:
        """The parents that have a cursor, and its field."""
        found = ((parent.name, declared_incremental(parent)) for parent in self._parents)
        return {name: declared.cursor_path for name, declared in found if declared is not None}

    @property
    def is_child(self) -> bool:
        return bool(self._parents)

    @cached_property
    def _parents(self) -> list[DltResource]:
        return list(parents_of(self.resource()))

    def parameter(self, name: str) -> inspect.Parameter | None:
        """A parameter of the stream's function."""
        function = function_of(self.resource())
        return inspect.signature(function).parameters.get(name) if function else None

    @cached_property
    def frozen(self) -> FrozenIncremental:
        """The cursor as the stream declares it."""
        frozen = freeze(self.resource(), self.cursor_field, None, from_start=True)
        assert frozen is not None, "only called for streams with a cursor"
        return frozen

    @cached_property
    def columns(self) -> Columns:
        return Columns(
            self.config.fields,
            tombstones=tombstones_of(self.config),
            data_types=self.config.data_types,
        )

    @cached_property
    def cursor_type(self) -> Field | None:
        """The cursor's field, even if the config leaves it out; None if no record has it."""
        name = self.cursor_field
        if name is None or name in self.config.fields:
            return self.config.fields[name] if name else None
        return fields_of(self.first.rows).get(name)

    def cursor_of(self, row: Row) -> Any:
        """A record's cursor value as runs compare it; None without a valid one."""
        return self.comparable(row.get(self.cursor_field or ""))

    def comparable(self, raw: Any) -> Any:
        """A cursor value as runs compare it; None if it is not valid."""
        if self._cursor_values is None:
            return None
        try:
            return self._cursor_values.key_of(raw).as_py()
        except SourceError:  # of text in another order, which the check of the cursor names
            return raw

    @property
    def falls(self) -> bool:
        """Whether the cursor moves to lower values."""
        return self.frozen.last_value_func is min

    def is_later(self, at: Any, than: Any) -> bool:
        """Of two valid cursor values."""
        return bool(at < than if self.falls else at > than)

    def compare_cursors(self) -> None:
        """Raises SourceError if the cursor's values are text whose order is another one."""
        if self._cursor_values is not None:
            self._cursor_values.keys(self._first_cursors())

    @cached_property
    def _cursor_values(self) -> CursorValues | None:
        if self.cursor_field is None or self.cursor_type is None:
            return None
        values = CursorValues(self.cursor_field, self._cursor_column.type, self._typed)
        with suppress(SourceError):
            values.keys(self._first_cursors())  # most of them decide what text is
        return values

    def _first_cursors(self) -> pa.Array:
        """The cursor values of the first read in their column's type, but those that don't fit."""
        typed = []
        for row in self.first.rows:
            with suppress(ConversionError):
                typed.append(self._typed(row.get(self._cursor_column.name)).as_py())
        return pa.array(typed, self._cursor_column.type)

    def _typed(self, raw: Any) -> pa.Scalar:
        return self._columns_of_cursor.value(self._cursor_column.name, raw)

    @property
    def _cursor_column(self) -> pa.Field:
        return self._columns_of_cursor.schema.field(0)

    @cached_property
    def _columns_of_cursor(self) -> Columns:
        name, type_ = self.cursor_field, self.cursor_type
        assert name is not None, "only called for streams with a cursor"
        assert type_ is not None, "some record has it"
        return Columns({name: type_}, data_types=self.config.data_types)

    def identity(self) -> Callable[[Row], Key]:
        """A function that identifies a record: by primary key, or without one by its content."""
        key = self.key
        if key:
            return lambda row: tuple(_hashable(row.get(name)) for name in key)
        return lambda row: (content(row),)

    def identities(self, rows: Iterable[Row]) -> list[Key]:
        """Distinct identities, in the order of the records."""
        return list(dict.fromkeys(map(self.identity(), rows)))

    def close(self) -> None:
        self._folder.cleanup()


def content(row: Row) -> bytes:
    """A record's content, independent of the order of its fields."""
    return msgspec.json.encode(row, enc_hook=str, order="deterministic")


def _hashable(value: Any) -> Any:
    return content({"": value}) if isinstance(value, list | dict) else value
