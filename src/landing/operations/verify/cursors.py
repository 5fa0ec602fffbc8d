"""Checks that each run began where the previous one ended, and that the state is that of the last
run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from landing.catalog.lookback import later
from landing.operations.backfill.record import Backfill, Records
from landing.operations.verify.accounts import Account
from landing.operations.verify.findings import VerifyFinding
from landing.zone.bucket import Bucket
from landing.zone.load_log import LoadRecord
from landing.zone.previous_states import kept_states

_SECOND = timedelta(seconds=1)
"""The times of kept states are whole seconds."""


def live(records: Sequence[LoadRecord]) -> list[LoadRecord]:
    """Records of incremental runs, oldest first; only those move the cursor."""
    return [
        record
        for record in records
        if record.kind == "run"
        and record.sync_mode == "incremental"
        and record.cursor_after is not None
    ]


class Gaps:
    def __init__(self, bucket: Bucket, account: Account) -> None:
        self._paths = account.paths
        self.loads = live(account.records)
        self.findings: list[VerifyFinding] = []
        self.notes: list[str] = []
        gaps = [(one, other) for one, other in pairwise(self.loads) if _is_gap(one, other)]
        # `landing state` keeps the previous state whenever it moves a cursor.
        kept = kept_states(bucket, self._paths) if gaps else []
        self._moved = [datetime.fromisoformat(state.kept) for state in kept]
        self._backfills = Records(bucket, self._paths).all() if gaps else []
        for one, other in gaps:
            self._notify(one, other)

    def _notify(self, one: LoadRecord, other: LoadRecord) -> None:
        gap = (
            f"between loads {one.load_id} and {other.load_id} the cursor went from "
            f"{one.cursor_after} to {other.cursor_before}"
        )
        span = one.cursor_after, other.cursor_before
        if any(one.finished - _SECOND <= when <= other.finished for when in self._moved):
            self.notes.append(f"{gap}: `landing state` moved it")
        elif any(_has_read(backfill, *span) for backfill in self._backfills):
            self.notes.append(f"{gap}: `landing backfill` has read that")
        else:
            name = f"{self._paths.source} {self._paths.stream}"
            bounds = "--from '{}' --to '{}'".format(*span)
            self.findings.append(
                VerifyFinding(
                    f"{gap}: no run has read that", f"`landing backfill {name} {bounds}` does"
                )
            )


def _has_read(backfill: Backfill, start: Any, end: Any) -> bool:
    if backfill.finished is None or backfill.request.fields:
        return False
    try:
        begins_before = later(start, backfill.start) is start
        return begins_before and later(backfill.end, end) is backfill.end
    except TypeError:  # of another kind, or without bounds
        return False


def _is_gap(one: LoadRecord, other: LoadRecord) -> bool:
    """Whether a run began beyond the end of the previous one."""
    end, start = one.cursor_after, other.cursor_of_last_load
    if start is None:
        start = other.cursor_before
    if start is None or type(end) is not type(start):
        return False
    return bool(_falls(one) is _falls(other) is False and start > end)


def _falls(record: LoadRecord) -> bool:
    """Whether its cursor descends, as in a stream that reads backwards."""
    before, after = record.cursor_before, record.cursor_after
    return type(before) is type(after) and before is not None and bool(after < before)


def state_findings(account: Account) -> Iterator[VerifyFinding]:
    newest = next((one for one in reversed(account.records) if one.kind == "run"), None)
    if newest is None or account.holder is not None:
        return
    name = f"{account.paths.source} {account.paths.stream}"
    if account.state_load_id is None:
        yield VerifyFinding(
            f"{account.paths.state} is gone: the next run reads from the start, and lands all rows "
            "again",
            "put it back from a version of the bucket, or `landing state restore "
            f"{name}` if an earlier one will do",
        )
    elif account.state_load_id < newest.load_id:
        yield VerifyFinding(
            f"{account.paths.state} is that of load {account.state_load_id}, before the last "
            f"recorded one, {newest.load_id}",
            f"a run died at its very end, or the state was put back: `landing run {name}` reads "
            "from there again, and no row is lost",
        )
