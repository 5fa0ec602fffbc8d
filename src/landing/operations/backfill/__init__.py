"""Rows of the past, landed beside a stream's live runs, whose cursor is neither read nor moved.

`plan` tells the windows of a request, `begin` makes its record in the bucket, and `run_window`
lands one of them from whatever process; `run_backfill` does so with all, several at a time.
"""

from landing.operations.backfill.planning import BackfillPlan, begin, plan
from landing.operations.backfill.publishing import WindowResult, run_window
from landing.operations.backfill.record import Backfill, Done, Records
from landing.operations.backfill.running import (
    BackfillEvent,
    BackfillResult,
    Progress,
    WindowFailed,
    WindowLanded,
    run_backfill,
)
from landing.operations.backfill.windows import Request, Unit, Window

__all__ = [
    "Backfill",
    "BackfillEvent",
    "BackfillPlan",
    "BackfillResult",
    "Done",
    "Progress",
    "Records",
    "Request",
    "Unit",
    "Window",
    "WindowFailed",
    "WindowLanded",
    "WindowResult",
    "begin",
    "plan",
    "run_backfill",
    "run_window",
]
