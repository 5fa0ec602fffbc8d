"""Searches everything that a source outputs during a check for its secrets."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from landing.catalog.settings import BucketSettings
from landing.catalog.variables import source_variables
from landing.environment import variables
from landing.operations.checks.interruption import (
    NothingDied,
    landing_folder,
    rows_after_interruptions,
)
from landing.operations.checks.subject import CheckedStream
from landing.operations.recordings import SCRUBBED
from landing.secrets import found_in, registered, secrets_of
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.state import read_state

# Shorter values occur in any text by chance.
SHORTEST_SECRET = 8


@dataclass(frozen=True)
class Leak:
    secret: str
    """What leaked: the variable's name, or a description such as "an access token"."""
    place: str


@contextmanager
def captured_output(text: io.StringIO) -> Iterator[None]:
    """Captures everything printed or logged inside it in `text`, away from the terminal."""
    handler = logging.StreamHandler(text)
    logging.getLogger().addHandler(handler)
    try:
        with redirect_stdout(text), redirect_stderr(text):
            yield
    finally:
        logging.getLogger().removeHandler(handler)


def leaks(subject: CheckedStream) -> tuple[list[Leak], list[str]]:
    """The leaks, and the names of all secrets that were searched for."""
    secrets = _secrets(subject)
    places = dict(_places(subject)) if secrets else {}
    found = [
        Leak(secrets[value], place)
        for place, text in places.items()
        for value in found_in(text, secrets)
    ]
    return found, sorted(set(secrets.values()))


def _secrets(subject: CheckedStream) -> Mapping[str, str]:
    """Secret values, each with its name."""
    names = source_variables(subject.source.workspace, subject.source.name)
    given = {name: os.environ[name] for name in names if name in os.environ}
    found = {secret: name for name, value in given.items() for secret in secrets_of(name, value)}
    # The client kit registers secrets that the source obtains while it runs, such as tokens.
    others = {SCRUBBED, *variables().values(), *found}
    found |= {value: what for value, what in registered().items() if value not in others}
    return {value: what for value, what in found.items() if len(value) >= SHORTEST_SECRET}


def _places(subject: CheckedStream) -> Iterator[tuple[str, str]]:
    folder = landing_folder(subject)
    if not folder.exists():
        with suppress(NothingDied):  # its output can be searched all the same
            rows_after_interruptions(subject)
    yield "what it printed or logged", subject.output.getvalue()
    yield "its records", _json(subject.first.rows)
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix != ".parquet":  # their rows are the records above
            yield f"the file {file.relative_to(folder)}", file.read_text(errors="replace")
    bucket = Bucket(BucketSettings(folder.as_uri(), None, is_default=False))
    state = read_state(bucket, StreamPaths(subject.source.name, subject.stream))
    if state is not None:  # its file is compressed, so it was not searched above
        yield "its state", _json(state)


def _json(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()
