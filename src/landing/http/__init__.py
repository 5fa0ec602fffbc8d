"""The client kit: what a source's client and streams may import from this package."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from landing.http.inflight import in_flight
from landing.http.jsonpage import JsonPage

if TYPE_CHECKING:
    from landing.http.api import Api
    from landing.http.bodies import Csv, JsonLines
    from landing.http.pacing import Pace
    from landing.http.paging import (
        CursorPages,
        HeaderUrlPages,
        KeysetPages,
        LinkPages,
        NextUrlPages,
        SinglePage,
    )
    from landing.http.ranges import NumberedPages, OffsetPages
    from landing.http.retries import Retries
    from landing.http.session import Session
    from landing.http.windows import TimeWindows

__all__ = [
    "Api",
    "Csv",
    "CursorPages",
    "HeaderUrlPages",
    "JsonLines",
    "JsonPage",
    "KeysetPages",
    "LinkPages",
    "NextUrlPages",
    "NumberedPages",
    "OffsetPages",
    "Pace",
    "Retries",
    "Session",
    "SinglePage",
    "TimeWindows",
    "in_flight",
]

# What needs `requests` is imported once it is asked for, so that other sources don't pay for it.
_MODULES = {
    "Api": "api",
    "Csv": "bodies",
    "CursorPages": "paging",
    "HeaderUrlPages": "paging",
    "JsonLines": "bodies",
    "KeysetPages": "paging",
    "LinkPages": "paging",
    "NextUrlPages": "paging",
    "NumberedPages": "ranges",
    "OffsetPages": "ranges",
    "Pace": "pacing",
    "Retries": "retries",
    "Session": "session",
    "SinglePage": "paging",
    "TimeWindows": "windows",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
