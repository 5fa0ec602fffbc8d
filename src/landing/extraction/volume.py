"""Counts the rows that a stream's runs land, and compares the count with what is expected.

Rows are counted by the hour in the stream's state, so that a run and `landing status` need not read
the records of a week's loads.
"""

from __future__ import annotations

from datetime import UTC, datetime
from statistics import median
from typing import TypedDict

from landing.catalog.stream_config import Expect, StreamConfig
from landing.errors import counted

_DAY = 24
"""Hours that are kept."""
_DAYS_COMPARED = 7
_LEAST_COMPARED = 3
"""Fewest days to compare with."""


class VolumeState(TypedDict, total=False):
    rows: int
    """Rows of the last full refresh that had any."""
    hours: dict[str, int]
    """Landed rows by hour since 1970, without hours that have none."""
    since: int
    """The first hour that is counted."""
    unexpected: list[str]
    """What was unexpected about the last run's rows."""


class Volume:
    """The row counts of one stream: of earlier runs, and of the current run."""

    def __init__(self, config: StreamConfig, state: VolumeState, now: datetime) -> None:
        self._config = config
        self._expect = config.expect or Expect()
        self._state = state
        self._hour = int(now.astimezone(UTC).timestamp()) // 3600
        self._hours = {int(hour): rows for hour, rows in state.get("hours", {}).items()}
        self._since = state.get("since", self._hour)

    def add(self, rows: int) -> None:
        if rows:
            self._hours[self._hour] = self._hours.get(self._hour, 0) + rows

    def of_run(self, rows: int) -> list[str]:
        """What is unexpected about a run that landed so many rows, without tombstones."""
        config, least = self._config, self._expect.rows_per_run
        what = f"the run has {counted(rows, 'row')}"
        found = []
        if least is not None and rows < least:
            found.append(f"{what}; expect.rows_per_run of {config.origin} is {least:,}")
        before = self._state.get("rows")
        if config.is_incremental or not before:
            return found
        if self._is_beyond(rows, before):
            found.append(self._changed(what, rows, before))
        elif not rows and not found and not (config.allow_empty or config.replaces_rows):
            found.append(f"{what}, but the last one that had any had {before:,}")
        return found

    def of_day(self) -> list[str]:
        """What is unexpected about the last 24 hours."""
        if self._since > self._hour - _DAY:
            return []
        rows = self._rows_of_day(0)
        what = f"the runs of the last 24 hours have landed {counted(rows, 'row')}"
        found = []
        least = self._expect.rows_per_day
        if least is not None and rows < least:
            found.append(f"{what}; expect.rows_per_day of {self._config.origin} is {least:,}")
        usual = self._usual_day()
        if usual and self._is_beyond(rows, usual):
            found.append(self._changed(what, rows, usual))
        return found

    def _usual_day(self) -> float | None:
        """The median of the days before the last; None for a full refresh, which is compared run by
        run, or if too few days are known."""
        if self._config.is_incremental:
            known = range(1, min(_DAYS_COMPARED, (self._hour - self._since) // _DAY - 1) + 1)
            if len(known) >= _LEAST_COMPARED:
                return median(self._rows_of_day(day) for day in known)
        return None

    def _rows_of_day(self, day: int) -> int:
        """Rows of a day, counted back from the last, which includes the current hour."""
        end = self._hour - day * _DAY + (day == 0)
        start = self._hour - (day + 1) * _DAY
        return sum(rows for hour, rows in self._hours.items() if start <= hour < end)

    def _is_beyond(self, rows: int, before: float) -> bool:
        most = self._expect.change
        return most is not None and abs(rows - before) > most * before

    def _changed(self, what: str, rows: int, before: float) -> str:
        share = f"{abs(rows - before) / before:.0%} {'less' if rows < before else 'more'}"
        usual = "a usual day has" if self._config.is_incremental else "the last one had"
        return (
            f"{what}, {share} than the {before:,.0f} that {usual}; expect.change of "
            f"{self._config.origin} is {self._expect.change:g}"
        )

    @property
    def _counts_hours(self) -> bool:
        by_day = self._expect.change is not None and self._config.is_incremental
        return by_day or self._expect.rows_per_day is not None

    def state(self, rows: int, unexpected: list[str]) -> VolumeState:
        """The state after a run of so many rows, for the next run and `landing status`."""
        state = VolumeState()
        if unexpected:
            state["unexpected"] = unexpected
        if not self._config.is_incremental:
            # After an empty refresh, so that the next one is compared with the same.
            is_kept = not rows and not self._config.allow_empty
            if last := self._state.get("rows", 0) if is_kept else rows:
                state["rows"] = last
        if self._counts_hours:
            oldest = self._hour - (_DAYS_COMPARED + 1) * _DAY
            hours = {str(hour): rows for hour, rows in self._hours.items() if hour >= oldest}
            state["hours"], state["since"] = hours, max(self._since, oldest)
        return state
