"""Lands past rows beside a stream's live runs, without reading or moving their cursor.

`plan` divides a request into windows, `begin` creates its record in the bucket, and `run_window`
lands one window from any process; `run_backfill` lands all of them, several at a time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

# Each is imported once it is asked for: who only looks at the records needs no engine.
_MODULES = {
    "Backfill": "record",
    "BackfillEvent": "running",
    "BackfillPlan": "planning",
    "BackfillResult": "running",
    "Done": "record",
    "Progress": "running",
    "Records": "record",
    "Request": "windows",
    "Unit": "windows",
    "Window": "windows",
    "WindowFailed": "running",
    "WindowLanded": "running",
    "WindowResult": "publishing",
    "begin": "planning",
    "plan": "planning",
    "run_backfill": "running",
    "run_window": "publishing",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
