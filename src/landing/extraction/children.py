"""A transformer's function, run so that a child that is gone does not end the stream."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from functools import wraps
from typing import Any

from requests import HTTPError

from landing.http.gone import Child, Gone, in_child, is_gone


def skipping_gone(function: Callable[..., Any], gone: Gone) -> Callable[..., Any]:
    """The function of a transformer, whose call for one parent gives nothing if the API answers
    that what was asked for is gone.

    Of a page of several parents, the function itself has to go on with the next, as it does where
    it reads the children with `Api.pages`.
    """

    @wraps(function)
    def child(item: Any, *arguments: Any, **options: Any) -> Any:
        is_one = _is_one(item)
        made = _called(lambda: function(item, *arguments, **options), gone, is_one=is_one)
        if isinstance(made, Iterator):
            return _iterated(made, gone, is_one=is_one)
        return _deferred(made, gone, is_one=is_one) if callable(made) else made

    return child


def _is_one(item: Any) -> bool:
    """Whether it is one parent, such as a record or an id, and no page of several."""
    is_record = isinstance(item, Mapping | str | bytes | tuple)
    return is_record or not hasattr(item, "__len__") or len(item) == 1


def _called(function: Callable[[], Any], gone: Gone, *, is_one: bool) -> Any:
    reading = Child()
    try:
        with in_child(reading):
            made = function()
    except HTTPError as error:
        if not (is_one and is_gone(error)):
            raise
        gone.add(error)
        return None
    is_whole = made is not None and not callable(made) and not isinstance(made, Iterator)
    if is_whole and not reading.has_lists_gone:
        gone.add_answered()
    return made


def _deferred(function: Callable[[], Any], gone: Gone, *, is_one: bool) -> Callable[[], Any]:
    """As `dlt.defer` has it, to be called in dlt's pool."""
    return lambda: _called(function, gone, is_one=is_one)


def _iterated(items: Iterator[Any], gone: Gone, *, is_one: bool) -> Generator[Any, None, None]:
    has_given, reading = False, Child()
    try:
        while True:
            try:
                with in_child(reading):
                    item = next(items)
            except StopIteration:
                return
            except HTTPError as error:
                if has_given or not (is_one and is_gone(error)):
                    raise
                gone.add(error)
                return
            if callable(item):
                yield _deferred(item, gone, is_one=is_one)
                continue
            if not has_given and not reading.has_lists_gone:
                gone.add_answered()
            has_given = True
            yield item
    finally:
        if isinstance(items, Generator):
            items.close()
