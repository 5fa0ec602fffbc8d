"""Runs a transformer's function so that a child that is gone does not end the stream."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
    Mapping,
)
from functools import wraps
from typing import Any, TypeAlias

from landing.columns.json_page import JsonPage
from landing.errors import StreamError
from landing.extraction.returned import Returned
from landing.http.gone import Child, Gone, in_child, is_gone, may_pass

Function: TypeAlias = Callable[..., Any]


def skipping_gone(function: Function, gone: Gone) -> Function:
    """The transformer's function, wrapped: a call for one parent returns nothing if the API answers
    404 or 410.

    A 404 counts only if it comes twice. If the call was for a page of several parents, the function
    is called again for each of them alone, and rows that it had returned before are left out.
    """

    @wraps(function)
    def child(item: Any, *arguments: Any, **options: Any) -> Any:
        def of(parents: Any) -> Any:
            return function(parents, *arguments, **options)

        return _Call(of, item, gone).made()

    return child


class _Call:
    """A call of the function, for one parent or a page of several."""

    def __init__(
        self, function: Function, parents: Any, gone: Gone, *, is_again: bool = False
    ) -> None:
        self._function = function
        self._parents = parents
        self._gone = gone
        self._is_one = _is_one(parents)
        self._is_again = is_again

    def made(self) -> Any:
        child = Child(self._gone)
        try:
            with in_child(child):
                made = self._function(self._parents)
        except Exception as error:
            return self._pieces_of_each(error, Returned())
        if isinstance(made, Iterator):
            return self._iterated(made)
        if isinstance(made, AsyncIterator):
            return self._async_iterated(made)
        if isinstance(made, Awaitable):
            return self._awaited(made)
        if callable(made):
            return self._deferred(made)
        return self._answered(made, child)

    def _answered(self, made: Any, child: Child) -> Any:
        if made is not None and not child.has_lists_gone:
            self._gone.add_answered()
        return made

    def _iterated(self, items: Iterator[Any]) -> Generator[Any, None, None]:
        returned = self._returned()
        try:
            while True:
                child = Child(self._gone)
                try:
                    with in_child(child):
                        piece = next(items)
                except StopIteration:
                    return
                except Exception as error:
                    yield from self._pieces_of_each(error, returned)
                    return
                yield self._piece(piece, child, returned)
        finally:
            if isinstance(items, Generator):
                items.close()

    async def _async_iterated(self, items: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
        returned = self._returned()
        while True:
            child = Child(self._gone)
            try:
                with in_child(child):
                    piece = await anext(items)
            except StopAsyncIteration:
                return
            except Exception as error:
                for call in self._instead(error, returned):
                    async for piece in call.made():
                        if (rest := returned.without(piece)) is not None:
                            yield rest
                self._refuse_missing(error, returned)
                return
            yield self._piece(piece, child, returned)

    def _piece(self, piece: Any, child: Child, returned: Returned) -> Any:
        if callable(piece) or isinstance(piece, Awaitable):
            returned.is_known = False
            return self._deferred(piece, is_all=False) if callable(piece) else piece
        if not returned.count:
            self._answered(piece, child)
        returned.add(piece)
        return piece

    def _deferred(self, function: Function, *, is_all: bool = True) -> Function:
        """Wrap a function that `dlt.defer` made, which dlt calls later in its pool. If it is not
        all that the call returned, it belongs to one parent, unless it received the whole page."""

        def call() -> Any:
            child = Child(self._gone)
            try:
                with in_child(child):
                    made = _called(function)
            except Exception as error:
                if is_all or _holds(function, self._parents):
                    returned = Returned(is_known=is_all)
                    made = [call.made()() for call in self._instead(error, returned)]
                    return _merged(made)
                self._skip(error)
                return None
            return self._answered(made, child)

        return call

    async def _awaited(self, made: Awaitable[Any]) -> Any:
        child = Child(self._gone)
        try:
            with in_child(child):
                result = await made
        except Exception as error:
            return _merged([await call.made() for call in self._instead(error, Returned())])
        return self._answered(result, child)

    def _instead(self, error: Exception, returned: Returned) -> list[_Call]:
        """The calls to make in place of a failed one: for each parent of the page alone, or, for a
        single parent, once more. None if the parent is skipped."""
        if self._is_one and not returned.count:
            if may_pass(error) and not self._is_again:
                return [_Call(self._function, self._parents, self._gone, is_again=True)]
            self._skip(error)
            return []
        if self._is_one or not is_gone(error):
            raise error
        parents = _each(self._parents) if returned.is_known else None
        if parents is None:
            raise self._undivided(error) from error
        return [_Call(self._function, parent, self._gone) for parent in parents]

    def _skip(self, error: Exception) -> None:
        if not is_gone(error):
            raise error
        self._gone.add(error)

    def _pieces_of_each(self, error: Exception, returned: Returned) -> Iterator[Any]:
        """What the calls in place of a failed one return, without what it had returned itself."""
        calls = self._instead(error, returned)
        return self._rest(calls, error, returned)

    def _rest(
        self, calls: list[_Call], error: Exception, returned: Returned
    ) -> Generator[Any, None, None]:
        for call in calls:
            made = call.made()
            for piece in made if isinstance(made, Iterator) else [made]:
                if piece is not None and (rest := returned.without(piece)) is not None:
                    yield rest
        self._refuse_missing(error, returned)

    def _returned(self) -> Returned:
        return Returned(is_known=not self._is_one)  # a call for one parent is not divided

    def _refuse_missing(self, error: Exception, returned: Returned) -> None:
        if returned.missing:
            raise self._undivided(
                error,
                f", and {returned.missing:,} rows that it had returned before did not come again "
                "when it was called for each parent alone, such as with a time or a position in "
                "them, so they would land twice",
            ) from error

    def _undivided(self, error: Exception, also: str = "") -> StreamError:
        return StreamError(
            f"a transformer got {len(self._parents):,} parents at once, and what it requested "
            f"for one of them is gone ({error}){also}; have it read each parent's list with "
            "Api.pages, which skips those, or catch the error for each parent"
        )


def _called(function: Function) -> Any:
    try:
        return function()
    except Exception as error:
        if not may_pass(error):
            raise
    return function()


def _is_one(item: Any) -> bool:
    """Whether the item is one parent, such as a record or an id, and not a page of several."""
    is_record = isinstance(item, Mapping | str | bytes | tuple)
    return is_record or not hasattr(item, "__len__") or len(item) == 1


def _each(parents: Any) -> list[Any] | None:
    """Pages of one parent each; None if the item can't be divided."""
    if isinstance(parents, JsonPage):
        return list(parents.pieces(1))
    if isinstance(parents, list):
        return [[parent] for parent in parents]
    if hasattr(parents, "num_rows"):  # of Arrow
        return [parents.slice(place, 1) for place in range(parents.num_rows)]
    return None


def _holds(function: Function, value: Any) -> bool:
    """Whether a function made by `dlt.defer` has the value among its arguments."""
    cells = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    inner = [each for cell in cells if isinstance(cell, tuple) for each in cell]
    named = [each for cell in cells if isinstance(cell, dict) for each in cell.values()]
    return any(each is value for each in (*cells, *inner, *named))


def _merged(made: list[Any]) -> list[Any] | None:
    """The rows of several results as one."""
    rows: list[Any] = []
    for each in made:
        if isinstance(each, JsonPage):
            rows.extend(each.rows())
        elif isinstance(each, list):
            rows.extend(each)
        elif each is not None:
            rows.append(each)
    return rows or None
