"""Lands past rows beside a stream's live runs, without reading or moving their cursor.

`plan` divides a request into windows, `begin` creates its record in the bucket, and `run_window`
lands one window from any process; `run_backfill` lands all of them, several at a time.
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
