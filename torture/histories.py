"""Histories: an API, how a stream reads it, and what happens in one run after another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from hypothesis import strategies as st

from torture.dying_bucket import Moment
from torture.moving_api import EQUAL, KINDS, SPELLINGS, Edit, Order, Paging


@dataclass(frozen=True)
class Death:
    """Where a run dies: at a request to the API or a call to the bucket, counted from 0."""

    at: Literal["request", "bucket"]
    nth: int
    moment: Moment = "before"


@dataclass(frozen=True)
class Run:
    waited: float
    """Seconds since the run before."""
    before: tuple[Edit, ...] = ()
    """Edits in the last of them, half a minute before the run."""
    during: Mapping[int, tuple[Edit, ...]] = field(default_factory=dict)
    """After so many answers."""
    pace: float = 0.0
    death: Death | None = None


@dataclass(frozen=True)
class History:
    kind: str
    order: Order
    paging: Paging
    size: int
    ages: tuple[int, ...]
    """Of the first records, in seconds; of versions, only their order counts."""
    ahead: Mapping[int, float]
    """Which of them are dated into the future, by how many days."""
    runs: tuple[Run, ...]
    declared: Literal["asc", "desc"] | None = None
    filters: bool = True
    tells_time: bool = True
    as_arrow: bool = False
    """Each page is a batch of its own, and with `slices` a load."""
    as_child: bool = False
    """The stream is a transformer, and what has the cursor and the order is its parent."""
    slices: bool = False
    few_in_state: bool = False
    """So that the hashes of rows that are read again are an object of their own."""


_FIRST = st.sampled_from((0, 1, 2))
_NEW = st.sampled_from((30, 31, 32, 33))
_AGES = st.integers(0, 400_000)
_SHARED = st.sampled_from((0, 1, 59, 3_600, 86_400))
_WAITS = st.sampled_from((1.0, 20.0, 90.0, 3_600.0, 90_000.0))


@st.composite
def histories(draw: st.DrawFn, kind: str | None = None) -> History:
    kind = kind or draw(st.sampled_from(KINDS))
    paging: Paging = draw(st.sampled_from(("token", "token", "offset", "page", "single")))
    # A growing offset over the oldest first passes rows that move to the end; no reader can help.
    orders: tuple[Order, ...] = ("newest", "key", "key", "falling key", "scrambled")
    order = draw(st.sampled_from(orders if paging in ("offset", "page") else ("oldest", *orders)))
    as_arrow = draw(st.booleans())
    runs = draw(_some_runs(kind, as_arrow, any_run=draw(st.booleans())))
    is_true = {"oldest": "asc", "newest": "desc"}.get(order)
    least = draw(st.sampled_from((0, 3, 6, 9)))
    ages = draw(st.lists(_SHARED if kind == EQUAL else _AGES, min_size=least, max_size=14))
    if draw(st.booleans()):  # changed in the order of their keys, as records never edited are
        ages.sort(reverse=True)
    places = st.integers(0, max(0, len(ages) - 1))
    size = draw(st.integers(1, 5))
    if kind == EQUAL:  # more rows of one time than a page has are an error
        paging, order, is_true, size = "time", "oldest", "asc", size + 2
    return History(
        kind=kind,
        order=order,
        paging=paging,
        size=size,
        ages=tuple(ages),
        ahead=draw(st.dictionaries(places, _ahead(kind), max_size=2)) if ages else {},
        runs=tuple(runs),
        declared=draw(st.sampled_from((None, is_true))),
        filters=kind == EQUAL or draw(st.booleans()),
        tells_time=draw(st.integers(0, 7)) > 0,
        as_arrow=as_arrow,
        as_child=draw(st.integers(0, 3)) == 0,
        slices=draw(st.booleans()),
        few_in_state=draw(st.booleans()),
    )


@cache
def _some_runs(kind: str, as_arrow: bool, *, any_run: bool) -> st.SearchStrategy[list[Run]]:
    crossed = _crossed_runs()
    one = st.one_of(_runs(_edits(kind, as_arrow)), crossed) if any_run else crossed
    return st.lists(one, min_size=1, max_size=4)


def _runs(edits: st.SearchStrategy[Edit]) -> st.SearchStrategy[Run]:
    some = st.lists(edits, max_size=3).map(tuple)
    deaths = st.one_of(
        st.builds(Death, st.just("request"), st.integers(0, 6)),
        st.builds(
            Death, st.just("bucket"), st.integers(0, 16), st.sampled_from(("before", "after"))
        ),
    )
    return st.builds(
        Run,
        waited=_WAITS,
        before=st.one_of(st.just(()), some),
        during=st.dictionaries(st.integers(1, 5), some, max_size=4),
        pace=st.sampled_from((0.0, 0.4, 7.0, 50.0)),
        death=st.one_of(st.none(), st.none(), st.none(), deaths),
    )


@cache
def _crossed_runs() -> st.SearchStrategy[Run]:
    """A record is changed after it was read, and then one that comes last before it is."""
    between = st.builds(
        lambda first, new, early, late: {early: (Edit(first),), early + late: (Edit(new),)},
        _FIRST,
        _NEW,
        st.integers(1, 3),
        st.integers(1, 2),
    )
    return st.builds(Run, waited=_WAITS, during=between, pace=st.sampled_from((0.0, 0.4, 7.0)))


@cache
def _edits(kind: str, as_arrow: bool) -> st.SearchStrategy[Edit]:
    is_local = kind in SPELLINGS and SPELLINGS[kind].is_local
    nearly_never = st.integers(0, 11).flatmap(lambda n: _ahead(kind) if n == 0 else st.just(0.0))
    return st.builds(
        Edit,
        place=st.one_of(st.integers(0, 17), _FIRST, _NEW),
        late=st.just(0.0) if is_local else st.sampled_from((0.0, 0.0, 0.3, 25.0)),
        ahead=nearly_never,
        fits=st.just(True) if as_arrow else st.integers(0, 7).map(bool),
    )


@cache
def _ahead(kind: str) -> st.SearchStrategy[float]:
    """Days. A local time may be as far ahead of UTC as time zones are."""
    is_local = kind in SPELLINGS and SPELLINGS[kind].is_local
    return st.sampled_from((2.0, 400.0, 355_000.0, *(() if is_local else (0.01, 0.4))))
