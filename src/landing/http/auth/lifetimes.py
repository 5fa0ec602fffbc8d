"""How long a credential lasts, in whatever form an answer says so."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

_RENEWED_BEFORE = 60.0
"""Seconds before its end at which a credential is renewed, if it lasts ten minutes or more."""
_EPOCH = 1_000_000_000
"""Higher numbers are points in time, lower ones are seconds from now."""


def renew_at(begun: float, expires: Any) -> float | None:
    """When to renew it; None if it does not end, which some providers report as 0."""
    seconds = lasts(begun, expires)
    if seconds is None:
        return None
    return begun + seconds - min(_RENEWED_BEFORE, seconds / 10) if seconds > 0 else None


def lasts(begun: float, expires: Any) -> float | None:
    """Seconds that it lasts; None if unknown. `expires` may be a number or the text of one, a date,
    or the time at which it ends, in seconds or milliseconds since 1970."""
    if isinstance(expires, bool):
        return None
    try:
        number = float(expires)
    except (TypeError, ValueError, OverflowError):
        try:
            ends = datetime.fromisoformat(str(expires).strip())
        except ValueError:
            return None
        return (ends if ends.tzinfo else ends.replace(tzinfo=UTC)).timestamp() - begun
    if not math.isfinite(number):
        return None
    if number > _EPOCH * 1000:
        number /= 1000
    return number - begun if number > _EPOCH else number
