"""A target and what was measured of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

ROUNDS_OF_LONG_ONES = 3
"""They vary little."""


@dataclass(frozen=True)
class Setting:
    records: int
    rounds: int
    folder: Path

    @property
    def few_rounds(self) -> int:
        return min(self.rounds, ROUNDS_OF_LONG_ONES)


@dataclass(frozen=True)
class Mark:
    case: str
    asked: str
    measured: str
    cost: float
    """What was measured as a share of what is allowed: above 1 is missed."""

    @property
    def verdict(self) -> str:
        if math.isinf(self.cost):
            return "not measured"
        return f"{'reached' if self.cost <= 1 else 'missed'} by {abs(self.cost - 1):.0%}"
