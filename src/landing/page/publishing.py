"""Writes the page to a file, or to the bucket under a path that no feeder reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.errors import LandingError, SettingsError
from landing.events import Emit, Event, RunEnded
from landing.observe.in_time import done_in_time
from landing.zone.bucket import Bucket

if TYPE_CHECKING:
    from landing.page.profiles import Depth

AFTER_RUNS = "LANDING_REPORT_MINUTES"
VALUES = "LANDING_REPORT_VALUES"
IN_BUCKET = "_report/index.html"
TAKES = 120.0
"""Seconds that the end of a run waits for the page."""


def put_page(bucket: Bucket, page: str) -> str:
    """Returns the page's location."""
    bucket.put_page(IN_BUCKET, page.encode())
    return bucket.location(IN_BUCKET)


def write_page(file: Path, page: str) -> None:
    """Writes atomically, so that nobody opens half a page. Raises SettingsError if it can't."""
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
    setting = os.environ.get(VALUES, "").strip() or "some"
    if setting not in ("some", "none"):
        raise SettingsError(f"{VALUES} is '{setting}': it has to be some or none")
    return setting == "some"


def least_age() -> timedelta | None:
    """Age of the page in the bucket at which a run replaces it; None if runs make no page.

    Raises SettingsError if `LANDING_REPORT_MINUTES` is malformed, or if a package that the page
    needs is not installed.
    """
    minutes = os.environ.get(AFTER_RUNS, "").strip()
    if not minutes:
        return None
    if not minutes.isdecimal():
        raise SettingsError(
            f"{AFTER_RUNS} is '{minutes}': it has to be a whole number of minutes, such as 15, or "
            "0 for a new page after each run"
        )
    from landing.page import html

    html.check_installed()
    return timedelta(minutes=int(minutes))


def after_runs(workspace: Workspace) -> Iterator[Emit]:
    """The consumer that renews the page in the bucket after a run, if the environment sets it.

    Raises SettingsError as `least_age` does.
    """
    age = least_age()
    if age is None:
        return
    from landing.page.profiles import Depth

    yield AfterRun(workspace, age, Depth(values=shows_values()))


class AfterRun:
    """Makes the page when a run has ended."""

    def __init__(self, workspace: Workspace, least_age: timedelta, depth: Depth) -> None:
        self._workspace = workspace
        self._least_age = least_age
        self._depth = depth

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunEnded):
            unlimited = "; `landing report --to-bucket` has no time limit"
            done_in_time(self._make, AFTER_RUNS, TAKES, unlimited)

    def _make(self) -> None:
        try:
            bucket = Bucket(bucket_settings(self._workspace))
            if self._is_due(bucket):
                put_page(bucket, _page_of(self._workspace, bucket, self._depth))
        except Exception as error:
            raise LandingError(f"{AFTER_RUNS}: no page: {error}") from error

    def _is_due(self, bucket: Bucket) -> bool:
        beside = bucket.listed(IN_BUCKET.rpartition("/")[0])
        there = next((one for one in beside if one.path == IN_BUCKET), None)
        return there is None or datetime.now(UTC) - there.modified >= self._least_age


def _page_of(workspace: Workspace, bucket: Bucket, depth: Depth) -> str:
    """The page of all sources."""
    from landing.page.facts import gathered
    from landing.page.html import rendered

    sources, now = workspace.source_names(), datetime.now(UTC)
    return rendered(gathered(workspace, sources, bucket, now, depth=depth))
