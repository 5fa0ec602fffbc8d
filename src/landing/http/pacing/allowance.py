"""What an API reports of its rate limit: requests left, and until when to send none."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from landing.http.pacing.quota_headers import Budget

_LONGEST_HOLD = 86_400.0
"""Longest pause, in seconds, that a response can cause; limits cover a day at most."""


@dataclass
class Allowance:
    """The API's reported allowance, less the requests sent since."""

    remaining: int | None = None
    """None if the API does not report it."""
    resets_at: float = 0.0
    held_until: float = 0.0

    @classmethod
    def read(cls, connection: sqlite3.Connection, now: float) -> Allowance:
        row = connection.execute(
            "SELECT remaining, resets_at, held_until, set_at FROM allowance"
        ).fetchone()
        remaining, resets_at, held_until, set_at = row
        if now < set_at:  # the clock was set back
            return cls()
        return cls(remaining if now < resets_at else None, resets_at, held_until)

    def write(self, connection: sqlite3.Connection, now: float) -> None:
        connection.execute(
            "UPDATE allowance SET remaining = ?, resets_at = ?, held_until = ?, set_at = ?",
            (self.remaining, self.resets_at, self.held_until, now),
        )

    def learn(self, now: float, budget: Budget | None, wait: float | None, under_way: int) -> None:
        if wait is not None:
            self.held_until = max(self.held_until, now + min(wait, _LONGEST_HOLD))
        if budget is None or budget.seconds is None:
            return
        resets_at = now + min(budget.seconds, _LONGEST_HOLD)
        # Subtract requests under way, which the API has not counted yet.
        reported = max(0, budget.remaining - under_way)
        same_window = self.remaining is not None and abs(resets_at - self.resets_at) < 1.5
        if same_window and self.remaining is not None:
            # Keep the first reported end: with a sliding window it moves with each response, so the
            # window would never end.
            self.remaining = min(self.remaining, budget.remaining)
        else:
            self.remaining = reported
            self.resets_at = resets_at

    def wait(self, now: float, cost: int) -> float:
        wait = max(0.0, self.held_until - now)
        if self.remaining is not None and self.remaining < cost:
            wait = max(wait, self.resets_at - now)
        return wait

    def spend(self, cost: int) -> bool:
        if self.remaining is None:
            return False
        self.remaining -= cost
        return True
