"""Names in the bucket: later loads sort after earlier ones, whatever the clock does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landing.errors import SettingsError
from landing.zone.layout import StreamPaths, load_id_of, natural, next_load_id, sorts_after

NOON = datetime(2026, 1, 21, 12, tzinfo=UTC)
PATHS = StreamPaths("odoo", "orders")
TIMES = st.datetimes(datetime(2002, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


def test_a_part_is_where_the_founding_document_has_it() -> None:
    assert PATHS.part(next_load_id(NOON, None), 3) == (
        "odoo/orders/year=2026/month=01/day=21/1768996800.000000.00003.parquet"
    )


def test_what_a_feeder_must_not_meet_is_outside_of_sources() -> None:
    load_id = next_load_id(NOON, None)
    assert PATHS.quarantine(load_id) == f"_quarantine/odoo/orders/{load_id}.jsonl"
    assert PATHS.state == "_dlt/odoo/orders/state.json"
    assert PATHS.lease == "_dlt/odoo/orders/lease.json"
    assert PATHS.load_record(load_id) == f"_dlt/odoo/orders/loads/{load_id}.json"


def test_a_clock_that_is_behind_gives_the_next_id_after_the_last() -> None:
    last = next_load_id(NOON, None)
    assert next_load_id(NOON, last) == "1768996800.001001"
    assert next_load_id(NOON - timedelta(days=400), last) == "1768996800.001001"
    assert next_load_id(NOON, "1768996800.999999") == "1768996801.001000"
    assert next_load_id(NOON + timedelta(seconds=1), last) == "1768996801.000000"


def test_the_zone_of_a_clock_makes_no_difference() -> None:
    assert next_load_id(NOON.astimezone(), None) == next_load_id(NOON, None)


def test_loads_across_midnight_utc_sort_and_keep_their_day() -> None:
    before = next_load_id(NOON.replace(hour=23, minute=59, second=59, microsecond=999_999), None)
    after = next_load_id(NOON, before)
    assert "/day=21/" in PATHS.part(before, 0)
    assert "/day=22/" in PATHS.part(after, 0), "its id, not its clock, says the day"
    assert PATHS.part(before, 99_999) < PATHS.part(after, 0)


@given(clocks=st.lists(TIMES, min_size=2, max_size=6))
def test_later_loads_sort_after_earlier_ones_by_text_and_by_natural_order(
    clocks: list[datetime],
) -> None:
    paths: list[str] = []
    last = None
    for clock in clocks:
        last = next_load_id(clock, last)
        assert len(last) == len("1768996800.000000")
        paths += [PATHS.part(last, number) for number in (0, 9, 10, 12_345)]
        paths.append(PATHS.end_of(last))
    assert sorted(paths) == paths
    assert sorted(paths, key=natural) == paths
    assert len(set(paths)) == len(paths)


@given(clock=TIMES, number=st.integers(0, 99_999))
def test_a_parts_path_has_its_load_id(clock: datetime, number: int) -> None:
    load_id = next_load_id(clock, None)
    assert load_id_of(PATHS.part(load_id, number)) == load_id


@pytest.mark.parametrize(
    "path",
    [
        "odoo/orders/year=2026/month=01/day=21/load_id_abc123.parquet",
        "odoo/orders/year=2026/month=01/day=21/2026_01_21_1768996800_0.parquet",
        "odoo/orders/year=2026/month=01/day=21/1768996800.000000.parquet",
        "odoo/orders/year=2026/month=01/day=21/1768996800.000000.00000.parquet.tmp",
        "odoo/orders/year=2026/month=01/day=21/1768996800.000000.00000.csv",
        "odoo/orders/year=2026/month=01/day=21/x1768996800.000000.00000.parquet",
        "_dlt/odoo/orders/loads/1768996800.000000.json",
        "",
    ],
)
def test_files_of_others_have_no_load_id(path: str) -> None:
    assert load_id_of(path) is None


def test_a_load_has_no_part_that_would_sort_before_an_earlier_one() -> None:
    paths = StreamPaths("shop", "orders")
    assert paths.part("1700000000.000000", 99_999) > paths.part("1700000000.000000", 99_998)
    with pytest.raises(SettingsError, match="raise LANDING_FILE_MB"):
        paths.part("1700000000.000000", 100_000)


@pytest.mark.parametrize(
    ("path", "other", "after"),
    [
        ("x/part_0.parquet", "x/1700000000.000000.00000.parquet", True),
        ("x/9.parquet", "x/1700000000.000000.00000.parquet", True),
        ("x/99999999999.parquet", "x/1700000000.000000.00000.parquet", True),
        ("x/1600000000.1.abc.parquet", "x/1700000000.000000.00000.parquet", False),
    ],
)
def test_either_order_of_names_counts(path: str, other: str, after: bool) -> None:
    assert sorts_after(path, other) is after
