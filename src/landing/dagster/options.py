"""Options of all streams of a code location."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

import dagster as dg

from landing.catalog.workspace import Workspace
from landing.dagster.translator import StreamTranslator

Span = Literal["day", "week", "month"]

RETRIES = dg.RetryPolicy(
    max_retries=3, delay=30, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)
FIRST_DAY = date(2020, 1, 1)


@dataclass(frozen=True)
class LocationOptions:
    workspace: Workspace
    retries: dg.RetryPolicy = RETRIES
    """Policy for failures that may be temporary; mistakes are not retried."""
    owners: Sequence[str] = ()
    backfill_by: Span = "month"
    backfill_from: date = FIRST_DAY
    """The first partition of streams whose config has no `initial_value`."""
    translator: StreamTranslator = field(default_factory=StreamTranslator)
