"""Cursors against an API that moves while it is read: the quick form of `edge-cursor`, and that it
would notice a loss."""

from __future__ import annotations

from datetime import timedelta

import pytest

from landing.extraction import reached
from landing.extraction.cursor import CursorTracker
from landing.extraction.known_rows import KnownRows
from landing.extraction.parents_range import ParentsRange
from landing.extraction.reached import Reached
from torture.cursor_rows import cursor_rows
from torture.cursors import Chunk, Figures, generated
from torture.histories import Death, History, Run
from torture.moving_api import EQUAL, KINDS, Edit
from torture.player import Player

AGES = tuple(range(1_000, 940, -1))


def history(kind: str, *runs: Run, **options: object) -> History:
    given = {"order": "key", "paging": "token", "size": 20, "ages": AGES, "ahead": {}}
    return History(kind=kind, runs=runs, **{**given, **options})  # type: ignore[arg-type]


EDITED = Run(waited=60, during={1: (Edit(2),), 2: (Edit(59),)}, pace=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options", [{}, {"declared": "desc", "order": "newest", "size": 7}, {"as_child": True}]
)
def test_edits_between_two_pages_land_with_the_next_run(
    kind: str, options: dict[str, object]
) -> None:
    assert Player(history(kind, EDITED, **options)).play().is_good


@pytest.mark.parametrize("declared", [None, "asc"])
def test_rows_of_one_time_on_both_sides_of_a_pages_edge_land(declared: str | None) -> None:
    """Four records have each time, and a page has ten; the edits move two behind the last page."""
    options = {"declared": declared, "order": "oldest", "paging": "time", "size": 10}
    ages = tuple(9_000 - number // 4 * 60 for number in range(60))
    edited = Run(waited=60, during={1: (Edit(2),), 2: (Edit(59),), 3: (Edit(60),)}, pace=1)
    played = Player(history(EQUAL, edited, edited, ages=ages, **options)).play()
    assert (played.lost, played.repeated, played.problems) == ([], [], [])


def test_more_rows_of_one_time_than_a_page_has_are_refused_and_not_lost() -> None:
    options = {"order": "oldest", "paging": "time", "size": 10}
    played = Player(history(EQUAL, Run(60), ages=(3_600,) * 12, **options)).play()
    assert played.refused == 2
    assert played.is_good


def test_versions_that_come_in_order_by_accident_do_not_carry_the_cursor_away() -> None:
    """Read by key they are in order, and so they stay if records 3 and 60 are edited."""
    assert Player(history("version numbers", EDITED)).play().is_good


def test_a_first_record_that_is_dated_into_the_future_in_seconds_is_a_time() -> None:
    only = history("seconds since 1970", Run(60), ages=(0,), ahead={0: 355_000.0})
    assert Player(only).play().is_good


@pytest.mark.parametrize("nth", range(0, 14, 2))
def test_a_run_that_is_killed_anywhere_is_completed_by_the_next(nth: int) -> None:
    killed = Run(60, during=EDITED.during, death=Death("bucket", nth, "after"))
    options = {"declared": "asc", "order": "oldest", "as_arrow": True, "slices": True}
    played = Player(history("version numbers", killed, **options)).play()
    assert played.is_good
    assert played.killed == 1


def test_hashes_in_the_bucket_stay_those_of_the_state_if_a_run_has_several_loads() -> None:
    """The last load of a run has no rows of its own, and names the object of the load before."""
    edited = Run(20, before=(Edit(10, ahead=400.0), Edit(5)), pace=0.4)
    runs = (Run(90_000, pace=0.4), edited, Run(20, pace=7), Run(20, pace=0.4))
    options = {"declared": "asc", "order": "oldest", "paging": "single", "slices": True}
    options |= {"ages": (766, 7_645, 55_744, 48_569), "ahead": {1: 400.0}, "filters": False}
    several = history("ISO times", *runs, few_in_state=True, **options)
    assert Player(several).play().is_good


def test_an_order_that_was_not_kept_once_is_not_believed_again() -> None:
    """The first run shows it; the rows of the third come in order, by accident."""
    first = Run(60, before=(Edit(3), Edit(0)))
    third = Run(60, before=(Edit(0), Edit(80)), during={1: (Edit(0), Edit(81))})
    options = {"declared": "asc", "size": 1, "ages": tuple(range(20, 0, -1))}
    assert Player(history("version numbers", first, Run(60), third, **options)).play().is_good


@pytest.mark.parametrize("few_in_state", [True, False])
def test_a_row_that_a_shifted_page_hid_from_one_run_does_not_land_again(few_in_state: bool) -> None:
    """Record 3 is the first of the newest while it is dated ahead. Its correction, once it was
    read, shifts record 32 from the second page to the first, which was read."""
    newest_first = {"order": "newest", "paging": "page", "size": 1, "filters": False}
    first = {1: (Edit(2, late=0.3),), 4: (Edit(1), Edit(31))}
    last = Run(1, before=(Edit(0, late=25.0), Edit(2, ahead=400.0)), during=first)
    runs = (
        Run(20, during=first, pace=7),
        Run(90, during={1: (Edit(0),), 2: (Edit(30),)}),
        Run(3_600, during={3: (Edit(2), Edit(7, late=25.0))}),
        last,
    )
    options = {"ages": (86_747, 18_252, 67, 0, 0, 0), "tells_time": False, **newest_first}
    shifted = history("ISO times", *runs, few_in_state=few_in_state, **options)
    assert Player(shifted).play().is_good


@pytest.mark.long
def test_nothing_is_lost_in_generated_histories() -> None:
    figures = list(generated(60, over_http=12, lanes=1))
    assert [one.problems for one in figures if one.problems] == []
    assert all(one.histories and not one.lost for one in figures)
    assert any(one.killed for one in figures)


@pytest.mark.long
def test_each_row_about_cursors_ends_as_it_should() -> None:
    assert [tally for tally in cursor_rows() if not tally.is_good] == []


def _break_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cursor goes to the greatest value that was seen."""

    def furthest(self: Reached) -> object:
        return self._before if self._all is None else self._all.place.raw  # type: ignore[union-attr]

    monkeypatch.setattr(Reached, "cursor", property(furthest))


def _break_the_tolerance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reached, "TOLERANCE", timedelta())


def _break_the_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that come in order are taken for those of a stream that is in order."""
    trusted = ("forward", "backward")
    monkeypatch.setattr(CursorTracker, "_trusted_order", lambda self, key: trusted)


def _break_the_parents(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parent's cursor goes to the greatest value that was seen."""

    def furthest(self: ParentsRange) -> object:
        of_stream = None if self._followed is None else self._followed.reached
        return self._before if of_stream is None else of_stream._all.place.raw  # type: ignore[union-attr]

    monkeypatch.setattr(ParentsRange, "cursor", property(furthest))


def _break_the_offsets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time without offset is surely UTC."""
    monkeypatch.setattr(reached, "is_naive", lambda raw: False)


@pytest.mark.long
@pytest.mark.parametrize(
    ("breaking", "kind"),
    [
        (_break_the_limit, "ISO times"),
        (_break_the_limit, "version numbers"),
        (_break_the_parents, "version numbers"),
        (_break_the_tolerance, "milliseconds since 1970"),
        (_break_the_trust, "version numbers, as text"),
        (_break_the_offsets, "ISO times, no offset, 8 hours behind"),
    ],
)
def test_a_cursor_that_runs_ahead_would_be_found(
    monkeypatch: pytest.MonkeyPatch, breaking: object, kind: str
) -> None:
    breaking(monkeypatch)  # type: ignore[operator]
    assert _lost_by(kind) > 0


def test_rows_that_land_again_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KnownRows, "see", lambda self, value: None)
    found = Chunk("ISO times", 1, 20).played()
    assert any("landed again" in problem for problem in found.problems)


def _lost_by(kind: str) -> int:
    """In as many histories as it takes, up to a few hundred."""
    for number in range(6):
        found: Figures = Chunk(kind, number, 100, to_first_loss=True).played()
        if found.lost:
            return found.lost
    return 0
