"""What a source lets out while it is checked, searched for the secrets that it was given."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import msgspec

from landing.catalog.variables import source_variables
from landing.catalog.workspace import BucketSettings
from landing.operations.checks.interruption import (
    NothingDied,
    landing_folder,
    rows_after_interruptions,
)
from landing.operations.checks.subject import CheckedStream
from landing.operations.recordings import SCRUBBED
from landing.secrets import is_in, registered, secrets_of
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.state import read_state

# Shorter ones are in any text by chance.
SHORTEST_SECRET = 8


@dataclass(frozen=True)
class Leak:
    secret: str
    """What it is: the variable's name, or what was obtained."""
    place: str


class Listening:
    """Whatever is printed or logged meanwhile goes to `heard`, and not to the terminal."""

    def __init__(self, heard: io.StringIO) -> None:
        self._heard = heard
        self._handler = logging.StreamHandler(heard)
        self._streams = ExitStack()

    def __enter__(self) -> None:
        self._streams.enter_context(redirect_stdout(self._heard))
        self._streams.enter_context(redirect_stderr(self._heard))
        logging.getLogger().addHandler(self._handler)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        logging.getLogger().removeHandler(self._handler)
        self._streams.close()


def leaks(subject: CheckedStream) -> tuple[list[Leak], list[str]]:
    """The leaks, and what was looked for: names of variables, and what the source obtained."""
    secrets = _secrets(subject)
    places = dict(_places(subject)) if secrets else {}
    found = [
        Leak(what, place)
        for value, what in secrets.items()
        for place, text in places.items()
        if is_in(text, value)
    ]
    return found, sorted(set(secrets.values()))


def _secrets(subject: CheckedStream) -> Mapping[str, str]:
    """The values to look for, each with what it is."""
    names = source_variables(subject.source.workspace, subject.source.name)
    given = {name: os.environ[name] for name in names if name in os.environ}
    found = {secret: name for name, value in given.items() for secret in secrets_of(name, value)}
    # Those that it obtained while it ran, such as tokens, are known to the client kit.
    others = {SCRUBBED, *os.environ.values(), *found}
    found |= {value: what for value, what in registered().items() if value not in others}
    return {value: what for value, what in found.items() if len(value) >= SHORTEST_SECRET}


def _places(subject: CheckedStream) -> Iterator[tuple[str, str]]:
    folder = landing_folder(subject)
    if not folder.exists():
        with suppress(NothingDied):  # what it let out can be searched all the same
            rows_after_interruptions(subject)
    yield "what it printed or logged", subject.heard.getvalue()
    yield "its records", _json(subject.first.rows)
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix != ".parquet":  # whose rows are the records
            yield f"the file {file.relative_to(folder)}", file.read_text(errors="replace")
    bucket = Bucket(BucketSettings(folder.as_uri(), None, is_default=False))
    state = read_state(bucket, StreamPaths(subject.source.name, subject.stream))
    if state is not None:  # compressed in its file
        yield "its state", _json(state)


def _json(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()
