"""Freezes a stream's `dlt.sources.incremental` while the stream reads.

What a stream or its hints declare is copied to one that does not move, since a stream that pages by
`last_value` would otherwise lose rows. CursorTracker filters rows, and moves the cursor at the end.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from typing import Any, Literal

from landing.catalog.lookback import Lookback
from landing.errors import SourceError
from landing.extraction.dlt_bridge import (
    DltResource,
    Incremental,
    IncrementalResourceWrapper,
    SteadyIncremental,
    TSortOrder,
    apply_lag_with_suppression,
    arguments_of,
    function_of,
    parents_of,
    steady_copy,
)

Direction = Literal["forward", "backward"]
"""In which values come: as the cursor moves, or against it."""


class FrozenIncremental(SteadyIncremental):
    """dlt's incremental as a stream sees it. CursorTracker filters rows, and moves the state after
    the stream's last row.

    With `from_start`, earlier state is neither read nor written; nor is it with an `end_value`, as
    in dlt: then each run reads the same range.
    """

    from_start = False
    is_of_child = False
    """Whether the stream is a transformer."""
    lookback: Lookback | None = None
    kind: str | None = None
    """The kind of its values, once a parent has returned some."""
    parents: Sequence[FrozenIncremental] = ()
    """Of a transformer: those of its parents, which decide what is requested."""

    @property
    def whole_order(self) -> TSortOrder | None:
        """The declared order of all rows; None for a transformer, which declares the order of each
        parent's children, so its run can't end early and its cursor can't move before the end."""
        return None if self.is_of_child else self.row_order

    @property
    def declared_directions(self) -> Collection[Direction]:
        if self.whole_order is None:
            return ()
        return ("backward" if self.whole_order == "desc" else "forward",)

    def check_direction(self) -> None:
        """Raises SourceError for a function that says of no value that it is beyond another."""
        if self.last_value_func not in (min, max):
            raise SourceError(
                f"cursor '{self.cursor_path}': last_value_func has to be max or min, since a "
                "cursor moves one way"
            )

    def admits_below(self, kind: str | None) -> bool:
        """Whether rows below the start may be new, since the ranges of parents go further back.
        `kind` is that of this cursor's values: a lag counts only values of its own kind."""
        if self.end_value is not None:
            return False
        return any(
            parent.end_value is not None
            or parent.last_value_func is not self.last_value_func
            or (parent.lag and not self.lookback and parent.kind not in (None, kind))
            for parent in self.parents
        )

    def opposed(self, kind: str | None) -> list[FrozenIncremental]:
        """Parents that returned values of this kind, and whose cursor moves the other way."""
        return [
            parent
            for parent in self.parents
            if parent.last_value_func is not self.last_value_func and kind and parent.kind == kind
        ]

    def get_state(self) -> Any:
        if self.from_start:
            start = self.initial_value
            return {"initial_value": start, "last_value": start, "unique_hashes": []}
        return super().get_state()

    def behind(self, value: Any) -> Any:
        """Where the run after one that reached `value` starts: earlier by the lookback, or by the
        lag that the stream or a parent declares, but never before the initial value.

        Raises SourceError if no lookback can be counted from it.
        """
        if self.end_value is not None:
            return value  # as dlt has it: the range is what it says
        if value is None or self.lookback is None:
            return self._lagging(value)
        try:
            return self.lookback.start(value, self.initial_value)
        except ValueError as error:
            raise SourceError(
                f"cursor '{self.cursor_path}': no lookback can be counted from {value!r}, which is "
                "not spelled as dates and times are; leave lookback out"
            ) from error

    def _lagging(self, value: Any) -> Any:
        own = self.lag or 0
        lag = max([own, *(parent.lag or 0 for parent in self.parents)])
        try:
            return self._behind_by(lag, value)
        except (ValueError, OverflowError):
            if lag == own:
                raise
            return self._behind_by(own, value)  # the parent's cursor is of another kind

    def _behind_by(self, lag: float, value: Any) -> Any:
        return apply_lag_with_suppression(
            lag,
            self.last_value_func or max,
            self.initial_value,
            None,
            value,
            self.resource_name,
            self.get_incremental_value_type(),
        )


def declared_incremental(resource: DltResource) -> Incremental[Any] | None:
    """The incremental that dlt hints carry, or the one that the stream's function was called with
    or declares as a default, as dlt puts these together."""
    step = resource.incremental
    hinted = step.incremental if isinstance(step, IncrementalResourceWrapper) else step
    if isinstance(hinted, Incremental) and hinted.cursor_path:
        return hinted
    default, given = declared_default(function_of(resource)), _given(resource)
    found: Incremental[Any] | None
    if isinstance(given, Incremental):
        found = given if default is None else default.merge(given)
    elif default is not None and given is not None:
        found = default.copy()
        found.initial_value = given
    else:
        found = default
    return found if found is not None and found.cursor_path else None


def _given(resource: DltResource) -> Any:
    """The argument that the stream was called with for its incremental."""
    parameter = cursor_parameter(resource)
    return None if parameter is None else arguments_of(resource).get(parameter.name)


def cursor_parameter(resource: DltResource) -> inspect.Parameter | None:
    return _incremental_parameter(function_of(resource))


def _incremental_parameter(generator: Any) -> inspect.Parameter | None:
    if not callable(generator):
        return None
    # A resource that was called with arguments shows none; what it wraps still has them.
    signature = inspect.signature(inspect.unwrap(generator))
    return IncrementalResourceWrapper.get_incremental_arg(signature)


def freeze(
    resource: DltResource, cursor_field: str | None, initial_value: Any, *, from_start: bool
) -> FrozenIncremental | None:
    """Replace the stream's incremental by a frozen one, and return it.

    None if neither the stream nor its config has a cursor.
    """
    declared = declared_incremental(resource)
    path = declared.cursor_path if declared else cursor_field
    if path is None:
        return None
    frozen = steady_copy(declared, FrozenIncremental) if declared else FrozenIncremental(path)
    if initial_value is not None:
        frozen.initial_value = initial_value
    check_range(frozen, resource.name)
    frozen.from_start = from_start
    frozen.is_of_child = any(parents_of(resource))
    frozen.resource_name = resource.name
    resource.apply_hints(incremental=frozen)
    return frozen


def check_range(frozen: FrozenIncremental, stream: str) -> None:
    """Raises SourceError for a range without a start."""
    if frozen.end_value is not None and frozen.initial_value is None:
        raise SourceError(
            f"stream '{stream}' declares an end_value for '{frozen.cursor_path}' but no "
            "initial_value, and a range needs both: give incremental() an initial_value, or set it "
            "in the stream config, or leave end_value out"
        )


def check_top_level(stream: str, path: str) -> None:
    """Raises SourceError for a cursor that is a JSONPath into another field."""
    nested = path.removeprefix("$").removeprefix(".")
    if path.startswith("$") or "." in nested or "[" in nested:
        outer, _, inner = nested.rpartition(".")
        lifted = f"row[{outer!r}][{inner!r}]" if outer and "." not in outer else "…"
        name = inner or "at"
        raise SourceError(
            f"stream '{stream}' declares the cursor '{path}', which is inside another field, and a "
            "cursor has to be a top-level one. Yield the value beside the others, as with "
            f'`{stream}.add_map(lambda row: {{**row, "{name}": {lifted}}})`, declare '
            f"incremental('{name}'), and name '{name}' in the config's fields and cursor_field"
        )


def declared_default(generator: Any) -> Incremental[Any] | None:
    parameter = _incremental_parameter(generator)
    default = parameter.default if parameter else None
    return default if isinstance(default, Incremental) else None
