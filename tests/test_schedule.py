"""When a stream is due: what is taken, what is refused and why, and time zones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from landing.catalog.files import read_config
from landing.catalog.schedule import Schedule, parse_schedule
from landing.catalog.workspace import Workspace
from tests.kit import Kit, Zone
from tests.servers.api import Api


@pytest.mark.parametrize(
    ("written", "cron", "timezone"),
    [
        ("0 * * * *", "0 * * * *", "UTC"),
        ("  */15  0-6,22 * JAN-MAR Mon-Fri ", "*/15 0-6,22 * jan-mar mon-fri", "UTC"),
        ("@daily", "0 0 * * *", "UTC"),
        ("5-59/15 * * * 0", "5-59/15 * * * 0", "UTC"),
        ({"cron": "0 2 * * *"}, "0 2 * * *", "UTC"),
        ({"cron": "0 2 * * *", "timezone": "Europe/Berlin"}, "0 2 * * *", "Europe/Berlin"),
    ],
)
def test_a_schedule_is_a_cron_text_or_one_with_a_time_zone(
    written: Any, cron: str, timezone: str
) -> None:
    assert parse_schedule(written) == Schedule(cron, timezone)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("hourly", "is not a cron expression with five fields, such as '0 * * * *'"),
        ("0 0 * * * *", "is not a cron expression with five fields"),
        ("@every 1h", "is not a cron expression with five fields"),
        ("60 * * * *", "minute '60' is not within 0 to 59"),
        ("0 0 * * 7", "day of the week '7' is not within 0 to 6; Sunday is 0"),
        ("0 0 * * fri-mon", "ends before it begins; write two ranges"),
        ("0 0 L * *", "day of the month 'l' is not within 1 to 31"),
        ("*/0 * * * *", "minute '*/0' has to be *"),
        ("٣ * * * *", "minute '٣' has to be *"),
        ("5/15 * * * *", "give the step a range, such as 5-59/15"),
        ("0 0 30 2 *", "is never due"),
        ({"cron": 5}, "needs a text 'cron'"),
        ({}, "needs a text 'cron'"),
        ({"cron": "0 * * * *", "timezon": "UTC"}, "no key 'timezon'; did you mean 'timezone'?"),
        ({"units": 24}, "no key 'units'; known are cron, timezone"),
        ({"cron": "0 * * * *", "timezone": "Europe/Berln"}, "did you mean 'Europe/Berlin'?"),
        ({"cron": "0 * * * *", "timezone": "../UTC"}, "timezone '../UTC' is not in the IANA"),
        ({"cron": "0 * * * *", "timezone": None}, "timezone 'None' is not in the IANA"),
        ({"cron": "0 * * * *", "timezone": "Europe"}, "timezone 'Europe' is not in the IANA"),
    ],
    ids=str,
)
def test_what_schedulers_would_read_differently_is_a_mistake(written: Any, told: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_schedule(written)
    assert told in str(caught.value)


def test_two_oclock_in_berlin_is_two_oclock_in_summer_and_in_winter() -> None:
    schedule = Schedule("0 2 * * *", "Europe/Berlin")
    summer = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert schedule.before(summer) == datetime(2026, 7, 1, 0, tzinfo=UTC)
    assert schedule.after(summer) == datetime(2026, 7, 2, 0, tzinfo=UTC)
    winter = datetime(2026, 12, 1, 12, tzinfo=UTC)
    assert schedule.before(winter) == datetime(2026, 12, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("timezone", "changes"),
    [
        ("Europe/Berlin", (datetime(2026, 3, 29, 1), datetime(2026, 10, 25, 1))),
        ("America/New_York", (datetime(2026, 3, 8, 7), datetime(2026, 11, 1, 6))),
        ("Australia/Lord_Howe", (datetime(2026, 4, 4, 15), datetime(2026, 10, 3, 15, 30))),
        ("Africa/Cairo", (datetime(2026, 4, 23, 22), datetime(2026, 10, 29, 21))),  # at midnight
        ("Pacific/Apia", (datetime(2011, 12, 30, 10), datetime(2011, 9, 24, 14))),  # a day skipped
    ],
)
def test_a_stream_is_due_whenever_the_clock_shows_the_time_as_a_cronjob_is(
    timezone: str, changes: tuple[datetime, datetime]
) -> None:
    """A time that the clock skips does not come, and one that it repeats comes twice."""
    zone = ZoneInfo(timezone)
    for change in changes:
        start = change.replace(tzinfo=UTC) - timedelta(hours=30)
        minutes = [start + timedelta(minutes=n) for n in range(60 * 60)]
        shown = [minute.astimezone(zone) for minute in minutes]
        for cron, is_due in {
            "30 2 * * *": lambda at: (at.hour, at.minute) == (2, 30),
            "0 0 * * *": lambda at: (at.hour, at.minute) == (0, 0),
            "*/20 1-3 * * *": lambda at: at.hour in (1, 2, 3) and at.minute % 20 == 0,
        }.items():
            schedule = Schedule(cron, timezone)
            expected = [minute for minute, at in zip(minutes, shown, strict=True) if is_due(at)]
            found, at = [], start - timedelta(minutes=1)
            while (at := schedule.after(at)) <= minutes[-1]:
                found.append(at)
            assert found == expected, cron
            back, at = [], minutes[-1] + timedelta(minutes=1)
            while (at := schedule.before(at)) >= start:
                back.append(at)
            assert back[::-1] == expected, cron
            assert schedule.after(start + timedelta(seconds=1)) > start


def test_an_invalid_schedule_is_reported_and_does_not_stop_a_run(
    kit: Kit, api: Api, folder_zone: Zone, use: Any
) -> None:
    use(api)
    kit.add_founding_source()
    fields = {"id": {"type": "integer"}, "updated_at": {"type": "string", "format": "date-time"}}
    kit.configure(
        "my_source",
        "orders",
        schedule={"units": 24, "unit": "hours"},
        fields=fields,
        cursor_field=["updated_at"],
    )
    config = read_config(Workspace(kit.root), "my_source", "orders")
    assert config.schedule is None

    done = kit.run("my_source", "orders")
    assert done.code == 0, done.text
    assert (
        "my_source/orders: orchestration/dag/streams/my_source/orders.json: schedule: has no key "
        "'unit'; known are cron, timezone"
    ) in done.out
    assert folder_zone.count("my_source", "orders") == len(api.rows())
