"""Rows of the past, landed beside a stream's live runs, whose cursor is neither read nor moved.

`plan` tells the windows of a request, `begin` makes its record in the bucket, and `run_window`
lands one of them from whatever process; `run_backfill` does so with all, several at a time.
"""

from landing.backfill.planning import Plan, begin, plan
from landing.backfill.publishing import WindowResult, run_window
from landing.backfill.record import Backfill, Done, Records
from landing.backfill.running import BackfillReporter, BackfillResult, Progress, run_backfill
from landing.backfill.windows import Request, Unit, Window

__all__ = [
    "Backfill",
    "BackfillReporter",
    "BackfillResult",
    "Done",
    "Plan",
    "Progress",
    "Records",
    "Request",
    "Unit",
    "Window",
    "WindowResult",
    "begin",
    "plan",
    "run_backfill",
    "run_window",
]
