"""Reads the remaining rate limit from an API's response headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from landing.http.server_times import numbers_of, seconds_until, sent_at

_ROUNDED = 1.0
"""Seconds added to resets, which are whole seconds and may have been rounded down."""


@dataclass(frozen=True)
class Budget:
    """The requests that an API still allows."""

    remaining: int
    seconds: float | None
    """Until the limit resets; None if unknown."""


def read_budget(headers: Mapping[str, str]) -> Budget | None:
    """Read `RateLimit` of the IETF draft, its earlier form of three headers, or `X-RateLimit-*`
    with a reset in seconds or at a point in time. Of several policies, returns the one with the
    fewest requests left; None without such headers.
    """
    sent = sent_at(headers)
    if "RateLimit" in headers and (found := _structured(headers["RateLimit"], sent)):
        return found
    for prefix in ("RateLimit-", "X-RateLimit-", "X-Rate-Limit-"):
        if remaining := numbers_of(headers.get(f"{prefix}Remaining")):
            reset = headers.get(f"{prefix}Reset-After") or headers.get(f"{prefix}Reset")
            return Budget(int(min(remaining)), _seconds(reset, sent))
    return None


def _structured(value: str, sent: float) -> Budget | None:
    """Parse `"default";r=50;t=30`, or the earlier form `limit=100, remaining=50, reset=30`."""
    if re.search(r"remaining\s*=", value):
        found = dict(re.findall(r"(\w+)\s*=\s*(\d{1,15})(?=\s*(?:[,;]|$))", value))
        if "remaining" not in found:  # -1 or `unlimited`
            return None
        return Budget(int(found["remaining"]), _seconds(found.get("reset"), sent))
    budgets = []
    for policy in value.split(","):
        found = dict(re.findall(r";\s*(r|t)\s*=\s*(\d{1,15})(?=\s*(?:;|$))", policy))
        if "r" in found:
            budgets.append(Budget(int(found["r"]), _seconds(found.get("t"), sent)))
    # Without a reset, nobody knows how long to wait for it.
    return min(budgets, key=lambda one: (one.seconds is None, one.remaining), default=None)


def _seconds(reset: str | None, sent: float) -> float | None:
    """Seconds until a reset, given in seconds or as a point in time: seconds or milliseconds since
    1970, ISO 8601 or an HTTP date."""
    seconds = seconds_until(reset or "", sent)
    return None if seconds is None else seconds + _ROUNDED
