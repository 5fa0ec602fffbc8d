"""The client kit: what a source's client and streams may import from this package."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from landing.http.inflight import in_flight
from landing.http.jsonpage import JsonPage

if TYPE_CHECKING:
    from landing.http.pacing import Pace
    from landing.http.retries import Retries
    from landing.http.session import Session

__all__ = ["JsonPage", "Pace", "Retries", "Session", "in_flight"]

# What needs `requests` is imported once it is asked for, so that other sources don't pay for it.
_MODULES = {"Pace": "pacing", "Retries": "retries", "Session": "session"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
