"""What an API says is left of its limit, in whichever headers it says so."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_ROUNDED = 1.0
"""Seconds added to resets, which are whole seconds and may have been rounded down."""
_EPOCH = 1_000_000_000
"""Resets above it are points in time, below it seconds from now."""


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
    if "RateLimit" in headers and (found := _structured(headers["RateLimit"])):
        return found
    for prefix in ("RateLimit-", "X-RateLimit-", "X-Rate-Limit-"):
        remaining = _number(headers.get(f"{prefix}Remaining"))
        if remaining is not None:
            return Budget(int(remaining), _seconds(headers.get(f"{prefix}Reset")))
    return None


def _structured(value: str) -> Budget | None:
    """`"default";r=50;t=30`, and its earlier spelling `limit=100, remaining=50, reset=30`."""
    if "remaining=" in value:
        found = dict(re.findall(r"(\w+)\s*=\s*(\d+)", value))
        return Budget(int(found["remaining"]), _seconds(found.get("reset")))
    budgets = []
    for policy in value.split(","):
        found = dict(re.findall(r";\s*(r|t)\s*=\s*(\d+)", policy))
        if "r" in found:
            budgets.append(Budget(int(found["r"]), _seconds(found.get("t"))))
    return min(budgets, key=lambda budget: budget.remaining, default=None)


def _seconds(reset: str | None) -> float | None:
    """Until a reset that is told in seconds, or as a point in time in seconds or milliseconds
    since 1970, in ISO 8601, or as HTTP has dates."""
    number = _number(reset)
    if number is None:
        number = _timestamp(reset or "")
    if number is None:
        return None
    if number > _EPOCH * 1000:  # milliseconds
        number /= 1000
    seconds = number - time.time() if number > _EPOCH else number
    return max(0.0, seconds) + _ROUNDED


def _timestamp(text: str) -> float | None:
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            at = parse(text.strip())
        except ValueError:
            continue
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    return None


def _number(text: str | None) -> float | None:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*", text or "", re.ASCII)
    return float(match[1]) if match else None
