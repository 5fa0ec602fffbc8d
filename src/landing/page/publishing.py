"""The page where people find it: a file, or an object that no feeder reads."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from landing.catalog.workspace import Workspace, bucket_settings
from landing.errors import LandingError, SettingsError
from landing.events import Emit, Event, RunEnded
from landing.zone.bucket import Bucket

if TYPE_CHECKING:
    from landing.page.profiles import Depth

AFTER_RUNS = "LANDING_REPORT_MINUTES"
VALUES = "LANDING_REPORT_VALUES"
IN_BUCKET = "_report/index.html"
TAKES = 120.0
"""Seconds at most that the end of a run waits for its page."""


def put_page(bucket: Bucket, page: str) -> str:
    """Where it is then."""
    bucket.put_page(IN_BUCKET, page.encode())
    return bucket.location(IN_BUCKET)


def write_page(file: Path, page: str) -> None:
    """In one step, so that nobody opens half of it. Raises SettingsError if it can't be written."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(page, encoding="utf-8")
        draft.replace(file)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise SettingsError(
            f"{file} can't be written: {error.strerror or error}; name another file (--output)"
        ) from None


def shows_values() -> bool:
    """Raises SettingsError if `LANDING_REPORT_VALUES` is malformed."""
    asked = os.environ.get(VALUES, "").strip() or "some"
    if asked not in ("some", "none"):
        raise SettingsError(f"{VALUES} is '{asked}': it has to be some or none")
    return asked == "some"


def least_age() -> timedelta | None:
    """Of the page in the bucket, at which a run makes it anew; None if runs make none.

    Raises SettingsError if `LANDING_REPORT_MINUTES` is malformed, or what a page needs is not
    installed.
    """
    asked = os.environ.get(AFTER_RUNS, "").strip()
    if not asked:
        return None
    if not asked.isdecimal():
        raise SettingsError(
            f"{AFTER_RUNS} is '{asked}': it has to be a whole number of minutes, such as 15, or 0 "
            "for a new page after each run"
        )
    from landing.page import html, profiles

    html.check_installed()
    profiles.check_installed()
    return timedelta(minutes=int(asked))


def after_runs(workspace: Workspace) -> Iterator[Emit]:
    """What makes the page anew in the bucket at a run's end, if the environment asks for it.

    Raises SettingsError as `least_age` does.
    """
    age = least_age()
    if age is None:
        return
    from landing.page.profiles import Depth

    yield AfterRun(workspace, age, Depth(values=shows_values()))


class AfterRun:
    """Makes the page once a run has ended."""

    def __init__(self, workspace: Workspace, least_age: timedelta, depth: Depth) -> None:
        self._workspace = workspace
        self._least_age = least_age
        self._depth = depth
        self._error: Exception | None = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunEnded):
            self._make_in_time()

    def _make_in_time(self) -> None:
        making = threading.Thread(target=self._make, name="landing-report", daemon=True)
        making.start()
        making.join(TAKES)
        if making.is_alive():
            raise LandingError(
                f"{AFTER_RUNS}: gave up after {TAKES:.0f} s; `landing report --to-bucket` takes "
                "the time that it needs"
            )
        if self._error is not None:
            raise LandingError(f"{AFTER_RUNS}: no page: {self._error}")

    def _make(self) -> None:
        try:
            bucket = Bucket(bucket_settings(self._workspace))
            if self._is_due(bucket):
                put_page(bucket, _page_of(self._workspace, bucket, self._depth))
        except Exception as error:
            self._error = error

    def _is_due(self, bucket: Bucket) -> bool:
        beside = bucket.listed(IN_BUCKET.rpartition("/")[0])
        there = next((one for one in beside if one.path == IN_BUCKET), None)
        return there is None or datetime.now(UTC) - there.modified >= self._least_age


def _page_of(workspace: Workspace, bucket: Bucket, depth: Depth) -> str:
    """Of all sources."""
    from landing.page.facts import gathered
    from landing.page.html import rendered

    sources, now = workspace.source_names(), datetime.now(UTC)
    return rendered(gathered(workspace, sources, bucket, now, depth=depth))
