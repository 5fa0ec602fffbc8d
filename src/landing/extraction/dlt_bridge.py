"""Wraps the private parts of dlt that this project uses.

`tests/test_dlt_bridge.py` has a test for each assumption made here; if a new version of dlt breaks
one, the test says what has changed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar, cast

import dlt
from dlt.common.configuration import known_sections
from dlt.common.configuration.container import Container
from dlt.common.configuration.providers.doc import BaseDocProvider
from dlt.common.configuration.specs.config_section_context import ConfigSectionContext
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.jsonpath import compile_path, extract_simple_field_name, find_values
from dlt.common.libs import is_pandas_frame as is_pandas_frame
from dlt.common.libs import is_polars_frame as is_polars_frame
from dlt.common.pipeline import StateInjectableContext, TPipelineState
from dlt.common.typing import TSortOrder as TSortOrder
from dlt.extract.exceptions import DataItemRequiredForDynamicTableHints
from dlt.extract.exceptions import PipeGenInvalid as PipeGenInvalid
from dlt.extract.hints import HintsMeta
from dlt.extract.incremental import IncrementalResourceWrapper as IncrementalResourceWrapper
from dlt.extract.incremental.lag import apply_lag_with_suppression as apply_lag_with_suppression
from dlt.extract.items import PipeItem as PipeItem
from dlt.extract.items import SupportsPipe as SupportsPipe
from dlt.extract.items import TableNameMeta
from dlt.extract.items_transform import BaseItemTransform as BaseItemTransform
from dlt.extract.items_transform import ItemTransform as ItemTransform
from dlt.extract.items_transform import LimitItem
from dlt.extract.pipe import Pipe
from dlt.extract.pipe_iterator import PipeIterator
from dlt.extract.reference import SourceFactory as SourceFactory
from dlt.extract.resource import DltResource as DltResource
from dlt.extract.source import DltSource as DltSource

from landing.zone.state import SCHEMA, State

Incremental = dlt.sources.incremental


class SteadyIncremental(Incremental[Any]):
    """dlt's incremental, which lets all rows pass and whose `last_value` does not move."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # dlt looks for a type argument in a class's own bases alone.
        cls.__orig_bases__ = (Incremental[Any],)  # type: ignore[attr-defined]

    def __call__(self, rows: Any, meta: Any = None) -> Any:
        return rows

    def behind(self, value: Any) -> Any:
        """Where the run after one that reached `value` starts."""
        return value

    @property
    def kept_state(self) -> dict[str, Any]:
        """The state that dlt stores of a bound incremental until the next run."""
        return cast(dict[str, Any], self._cached_state)

    def start_from(self, value: Any) -> None:
        """Fix `last_value` to where a run after `value` starts, whatever happens to dlt's state."""
        self._cached_state = self._cached_state.copy()
        self._cached_state["last_value"] = value

    def end_stream(self) -> None:
        """End the stream that this step belongs to, unless it is a transformer."""
        if not self._bound_pipe.has_parent:
            self._bound_pipe.close()

    def _get_last_value(self) -> Any:
        state = self._cached_state if self._cached_state is not None else self.get_state()
        return self.behind(state["last_value"])


def finder(cursor_path: str) -> Callable[[Mapping[str, Any]], Any]:
    """Finds the cursor value of a record as dlt does; None if it has none."""
    name = extract_simple_field_name(cursor_path)
    if name is not None:
        return lambda row: row.get(name)
    path = compile_path(cursor_path)
    return lambda row: next(iter(find_values(path, dict(row))), None)


SteadyT = TypeVar("SteadyT", bound=SteadyIncremental)


def steady_copy(declared: Incremental[Any], kind: type[SteadyT]) -> SteadyT:
    steady = kind(
        declared.cursor_path,
        initial_value=declared.initial_value,
        end_value=declared.end_value,
        last_value_func=declared.last_value_func,
        row_order=declared.row_order,
        on_cursor_value_missing=declared.on_cursor_value_missing,
        lag=declared.lag,
        range_start=declared.range_start,
        range_end=declared.range_end,
    )
    if hasattr(declared, "__orig_class__"):  # the type of its values, as it was declared
        steady.__orig_class__ = declared.__orig_class__
    return steady


def prepare_dlt() -> None:
    """Create dlt's run context; call it before starting threads. Otherwise dlt creates it with the
    first stream, and other threads would find it incomplete while dlt loads plugins."""
    _ = Container()[PluggableRunContext]


def secret_documents() -> Iterator[str]:
    """The secrets of dlt's own providers, as TOML."""
    for provider in Container()[PluggableRunContext].providers.providers:
        if provider.supports_secrets and isinstance(provider, BaseDocProvider):
            yield provider.to_toml()


@contextmanager
def dlt_context(resource: DltResource, state: State) -> Iterator[None]:
    """Binds to this thread what dlt needs to run a resource: its state, and the sections of its
    configuration."""
    section = ConfigSectionContext(
        sections=(known_sections.SOURCES, resource.section, SCHEMA), source_state_key=SCHEMA
    )
    typed: TPipelineState = state  # type: ignore[assignment]
    with (
        Container().injectable_context(StateInjectableContext(state=typed)),
        Container().injectable_context(section),
    ):
        yield


Function: TypeAlias = Callable[..., Any]


def items_of(
    resource: DltResource, of_child: Callable[[Function], Function] | None = None
) -> Generator[PipeItem, None, None]:
    """Run the resource: its generator, its parents, its maps and filters. The functions of
    transformers are run as `of_child` wraps them.

    Iterating over a resource does the same, but drops the hints that come with a page and the state
    that the resource writes.
    """
    pipe = resource._pipe if of_child is None else _with_children(resource._pipe, of_child)
    with PipeIterator.from_pipe(pipe) as items:
        yield from items


def _with_children(pipe: Pipe, of_child: Callable[[Function], Function]) -> Pipe:
    if pipe.parent is None:
        return pipe
    copy = pipe._clone()
    copy.parent = _with_children(pipe.parent, of_child)
    if callable(copy.gen):
        copy.replace_gen(of_child(copy.gen))
    return copy


def columns_with_page(item: PipeItem) -> Mapping[str, Any] | None:
    """Column hints that came with an item (`dlt.mark.with_hints`), by name."""
    hints = item.meta.hints if isinstance(item.meta, HintsMeta) else None
    columns = hints.get("columns") if hints else None
    return columns if isinstance(columns, Mapping) else None


def table_with_page(item: PipeItem) -> Any:
    """The table that an item is marked for (`dlt.mark.with_table_name`, or hints that come with
    it): its name, or a function of the record; None if there is no such mark."""
    if isinstance(item.meta, TableNameMeta):
        return item.meta.table_name
    hints = item.meta.hints if isinstance(item.meta, HintsMeta) else None
    return hints.get("table_name") if hints else None


def function_of(resource: DltResource) -> Callable[..., Any] | None:
    """The function that makes the resource's items; None if it was made from data."""
    function = resource._pipe.gen
    return function if callable(function) else None


def arguments_of(resource: DltResource) -> Mapping[str, Any]:
    """The arguments that a resource's function was called with; empty if it was not called.

    Copies of a resource lose dlt's `explicit_args`, but keep the function that it calls.
    """
    function = function_of(resource)
    if function is None or not resource.args_bound:
        return {}
    bound = inspect.getclosurevars(function).nonlocals
    signature = inspect.signature(inspect.unwrap(function))
    item = [None] if resource.is_transformer else []
    given = [*item, *bound.get("args", ())]
    return signature.bind_partial(*given, **bound.get("kwargs", {})).arguments


def is_bound(resource: DltResource) -> bool:
    """Whether the resource's function was called with arguments already."""
    return bool(resource._args_bound)


def clone(resource: DltResource, *, with_parents: bool = False) -> DltResource:
    """A copy to be prepared for a run of its own."""
    return resource._clone(with_parent=with_parents)


def parents_of(resource: DltResource) -> Iterator[DltResource]:
    """The resources from which a transformer takes its items, the nearest first."""
    parent = resource._parent
    while parent is not None:
        yield parent
        parent = parent._parent


def is_limited(resource: DltResource) -> bool:
    """Whether the resource, or a parent, has stopped early because of `add_limit`."""
    steps = (step for one in (resource, *parents_of(resource)) for step in one._pipe.steps)
    return any(isinstance(step, LimitItem) and getattr(step, "exhausted", False) for step in steps)


def incremental_steps(resource: DltResource) -> Iterator[IncrementalResourceWrapper]:
    """Where a resource's pipe keeps its incrementals."""
    for step in resource._pipe.steps:
        if isinstance(step, IncrementalResourceWrapper):
            yield step


def static_columns(resource: DltResource) -> Mapping[str, Any]:
    """The columns that a stream declares, in dlt's form, without those that depend on its rows."""
    try:
        return resource.compute_table_schema().get("columns", {})
    except DataItemRequiredForDynamicTableHints:
        return {}
