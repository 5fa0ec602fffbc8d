"""Detects fields that the source gained or lost and types that changed; reported once per run.

A field is new if neither the stream config nor the discovered schema has it: a field that discovery
saw was left out of the config on purpose. Only top-level fields are compared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import count
from typing import Any, TypeGuard

import msgspec
import pyarrow as pa

from landing.catalog.fields import Field
from landing.catalog.names import is_own_name
from landing.catalog.stream_config import StreamConfig
from landing.columns.arrow import pc
from landing.columns.column_types import column_of, python_values
from landing.columns.conversion import NEW_FIELDS, Batch, Row
from landing.columns.declared_types import converted_kinds
from landing.columns.inference import kind_of
from landing.columns.json_page import sampled_every
from landing.columns.json_text import Unreadable
from landing.errors import StreamError
from landing.extraction.expected_kinds import became, expected_kinds, spelled, widened
from landing.results import ENOUGH, Drifted

SAMPLED_PAGES = 10
"""One in this many JSON pages is sampled, since finding its records takes a pass over the page."""
_NAMED = 20
_REMEMBERED = 1_000
_KINDS = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


class Drift:
    """Compares the rows of a run with its config: a sample if `on_drift` is `report`, else all.

    With `fail`, the first batch that drifts raises StreamError before any of it lands.
    """

    def __init__(self, config: StreamConfig) -> None:
        self._config = config
        self._known = config.known_names
        self._kinds = dict(expected_kinds(config))
        self._converted = converted_kinds(config.data_types)
        self._usual = {name: _types(self._kinds.get(name)) for name in self._known}
        self._pages = count()
        self._gained: dict[str, set[str]] = {}
        self._changed: dict[str, set[str]] = {}

    def looked_at(self, batch: Batch) -> Batch:
        """Compare a batch and return it, with its JSON pages decoded if all rows were compared."""
        if self._config.on_drift != "report" and isinstance(batch, tuple):
            batch = [row for page in batch for row in page.rows()]
        for row in batch if self._reads_all(batch) else self._sampled(batch):
            for name, value in row.items():
                if type(value) not in self._usual.get(name, ()):
                    self._compare(name, value)
        if self._config.on_drift == "fail" and (self._gained or self._changed):
            raise self._refusal(self._message())
        return batch

    def _reads_all(self, batch: Batch) -> TypeGuard[list[Row]]:
        return self._config.on_drift != "report" and isinstance(batch, list)

    def _sampled(self, batch: Batch) -> Iterator[Row]:
        if isinstance(batch, pa.Table):
            yield {name: _typical(batch[name]) for name in batch.schema.names}
        elif isinstance(batch, tuple):
            for page in batch:
                if next(self._pages) % SAMPLED_PAGES == 0:
                    yield from page.sample()
        else:
            yield from batch[:: sampled_every(len(batch))]

    def _compare(self, name: str, value: Any) -> None:
        if name not in self._known:
            # Stop at some number, since names that are data never end.
            is_one_more = name in self._gained or len(self._gained) < _REMEMBERED
            if is_one_more and not is_own_name(name):
                self._gained.setdefault(name, set()).update(_kinds_of(value))
            return
        expected = self._kinds.get(name)
        if expected is not None:
            expected |= self._converted.get(name, frozenset())
            unexpected = [kind for kind in _kinds_of(value) if kind not in expected]
            if unexpected:
                self._changed.setdefault(name, set()).update(unexpected)

    def notes(self, read: int, absent: Collection[str]) -> Iterator[str]:
        """Notes after `read` records; none of them had the `absent` fields.

        Raises StreamError for lost fields if `on_drift` is `fail`.
        """
        if self._gained or self._changed:
            yield f"drift: {self._message()}"
        if names := self._lost(read, absent):
            lost = ", ".join(names)
            if self._config.on_drift == "fail" and read >= ENOUGH:
                raise self._refusal(f"- {lost}: no record had it")
            yield f"no record had {lost}; such columns are all null"

    def found(self, read: int, absent: Collection[str]) -> Drifted:
        """The content of `notes` as data."""
        return Drifted(
            gained={name: spelled(kinds) for name, kinds in self._gained.items()},
            lost=self._lost(read, absent),
            changed={
                name: became(self._kinds[name], kinds) for name, kinds in self._changed.items()
            },
        )

    def _lost(self, read: int, absent: Collection[str]) -> list[str]:
        """The absent fields that count as lost: a few changed records may have no value in fields
        that discovery has seen."""
        if not read:
            return []
        are_few = read < ENOUGH and self._config.is_incremental
        return sorted(name for name in absent if not (are_few and name in self._config.discovered))

    def _refusal(self, message: str) -> StreamError:
        config = self._config
        return StreamError(
            f"stream '{config.source}/{config.stream}' drifted, and on_drift is 'fail' in "
            f"{config.origin}: {message}. Discover the stream again, and adapt the fields if "
            "necessary",
            remedy=f"`landing discover {config.source} {config.stream}` updates the discovered "
            "schema",
        )

    def _message(self) -> str:
        message = [
            f"~ {name}: {self._change(name, kinds)}" for name, kinds in self._changed.items()
        ]
        if self._gained:
            gained = [f"{name} ({spelled(kinds)})" for name, kinds in self._gained.items()]
            message.insert(0, f"+ {_shortened(gained)}{self._whereto()}")
        return "; ".join(message)

    def _whereto(self) -> str:
        match self._config.on_drift:
            case "land":
                return f", landed as JSON in {NEW_FIELDS}"
            case "fail":
                return ""
        return (
            ", not landed: add it to fields, or discover the stream again to leave it out for good"
        )

    def _change(self, name: str, kinds: set[str]) -> str:
        field = self._config.fields[name]
        change = became(self._kinds[name], kinds)
        if self._config.on_drift == "fail":
            return change
        goes = (
            "lands as text" if _takes(field, kinds) else "goes to quarantine where it does not fit"
        )
        return f"{change}, {goes}"


def _typical(values: pa.ChunkedArray) -> Any:
    """One representative value of an Arrow column: a fraction if it has any; None if all are
    null."""
    values = values.drop_null()
    if pa.types.is_floating(values.type):
        broken = values.filter(pc.not_equal(pc.floor(values), values))
        values = broken if len(broken) else values
    return python_values(values[:1])[0] if len(values) else None


def _types(kinds: Collection[str] | None) -> frozenset[type]:
    """Python types of values that need no comparison; all JSON types if no kind is expected."""
    found = [type_ for type_, kind in _KINDS.items() if kinds is None or kind in kinds]
    return frozenset([*found, type(None)])


def _kinds_of(value: Any) -> Iterable[str]:
    if value is None or isinstance(value, Unreadable):
        return ()
    if isinstance(value, float) and value.is_integer():
        return ("integer",)
    return (_KINDS.get(type(value)) or kind_of(value)[0],)


def _takes(field: Field, kinds: set[str]) -> bool:
    """Whether the field's column accepts all values of the kinds."""
    if field.privacy == "mask" or kinds <= widened(field.kinds):
        return True
    column = column_of(msgspec.structs.replace(field, privacy=None))
    return pa.types.is_string(column.type) and not column.is_private


def _shortened(names: list[str]) -> str:
    more = len(names) - _NAMED
    if more <= 0:
        return ", ".join(names)
    at_least = "at least " if len(names) == _REMEMBERED else ""
    return f"{', '.join(names[:_NAMED])} and {at_least}{more} more"
