"""What an API says is left of its limit, in whichever headers it says so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from landing.http.server_times import number_of, seconds_until, sent_at

_ROUNDED = 1.0
"""Seconds added to resets, which are whole seconds and may have been rounded down."""


@dataclass(frozen=True)
class Budget:
    """What an API says is left of its limit; `seconds` until there is more."""

    remaining: int
    seconds: float | None


def read_budget(headers: Mapping[str, str]) -> Budget | None:
    """What the headers say is left: the IETF draft's `RateLimit`, its earlier form of three
    headers, or `X-RateLimit-*` with a reset in seconds or at a point in time. Of several
    policies, the one with the least left.
    """
    sent = sent_at(headers)
    if "RateLimit" in headers and (found := _structured(headers["RateLimit"], sent)):
        return found
    for prefix in ("RateLimit-", "X-RateLimit-", "X-Rate-Limit-"):
        remaining = number_of(headers.get(f"{prefix}Remaining"))
        if remaining is not None:
            return Budget(int(remaining), _seconds(headers.get(f"{prefix}Reset"), sent))
    return None


def _structured(value: str, sent: float) -> Budget | None:
    """`"default";r=50;t=30`, and its earlier spelling `limit=100, remaining=50, reset=30`."""
    if re.search(r"remaining\s*=", value):
        found = dict(re.findall(r"(\w+)\s*=\s*(\d+)(?=\s*(?:[,;]|$))", value))
        if "remaining" not in found:  # -1 or `unlimited`
            return None
        return Budget(int(found["remaining"]), _seconds(found.get("reset"), sent))
    budgets = []
    for policy in value.split(","):
        found = dict(re.findall(r";\s*(r|t)\s*=\s*(\d+)(?=\s*(?:;|$))", policy))
        if "r" in found:
            budgets.append(Budget(int(found["r"]), _seconds(found.get("t"), sent)))
    return min(budgets, key=lambda budget: budget.remaining, default=None)


def _seconds(reset: str | None, sent: float) -> float | None:
    """Until a reset that is told in seconds, or as a point in time in seconds or milliseconds
    since 1970, in ISO 8601, or as HTTP has dates."""
    seconds = seconds_until(reset or "", sent)
    return None if seconds is None else seconds + _ROUNDED
