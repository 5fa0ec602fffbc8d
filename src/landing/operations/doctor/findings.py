"""Findings of `landing doctor`, each with its remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from landing.errors import LandingError
from landing.secrets import redacted


class Finding(msgspec.Struct, frozen=True):
    check: str
    ok: bool
    found: str
    remedy: str | None = None


def fine(check: str, found: str) -> Finding:
    return Finding(check, True, redacted(found))


def wrong(check: str, found: str, remedy: str) -> Finding:
    return Finding(check, False, redacted(found), redacted(remedy))


class Findings:
    """Collects findings from checks that may raise."""

    def __init__(self) -> None:
        self.all: list[Finding] = []

    @contextmanager
    def messages_of(self, check: str, remedy: str) -> Iterator[None]:
        """Turn a LandingError that is raised inside into a finding with this remedy."""
        try:
            yield
        except LandingError as error:
            self.all.append(wrong(check, str(error), remedy))
