"""Writes generated files again without touching what a person changed.

The first line of a file has a digest of the rest as it was generated. If the rest has another
one, a person changed it. If a new file would have another one, the generated text has changed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from landing.errors import UsageError

State = Literal["new", "changed", "removed", "unchanged", "edited", "outdated"]
"""`edited` is a person's file, and up to date: the generated text is the one that they edited.
`outdated` is one of which the generated text has changed since."""

_FIRST_LINE = re.compile(r"(?:#|--) Made by `landing dbt`.* sha256:([0-9a-f]{16})\n")
_PLACES = ("models", "tests")
"""Where files may be of streams that are no longer selected."""


@dataclass(frozen=True)
class FileState:
    path: str
    state: State
    message: str
    """What is to be said of it; empty if `unchanged`."""

    @property
    def is_current(self) -> bool:
        return self.state in ("unchanged", "edited")


def compared(folder: Path, files: Mapping[str, str]) -> list[FileState]:
    """What `write` would do, file by file."""
    wanted = [_state(folder / path, path, text) for path, text in sorted(files.items())]
    return [*wanted, *_left(folder, files)]


def write(folder: Path, files: Mapping[str, str]) -> list[FileState]:
    """Returns what it has done. Raises UsageError if a file can't be written."""
    states = compared(folder, files)
    for one in states:
        file = folder / one.path
        try:
            if one.state in ("new", "changed"):
                file.parent.mkdir(parents=True, exist_ok=True)
                text = _with_first_line(one.path, files[one.path])
                file.write_text(text, encoding="utf-8", newline="\n")
            elif one.state == "removed":
                file.unlink()
                _remove_empty(file.parent)
        except OSError as error:
            raise UsageError(f"{file} can't be written: {error.strerror}") from None
    return states


def _state(file: Path, path: str, text: str) -> FileState:
    if not file.is_file():
        return FileState(path, "new", "new")
    present = file.read_text(encoding="utf-8", errors="replace")
    made = _FIRST_LINE.match(present)
    if made is None:
        return FileState(path, "edited", "kept, as `landing dbt` did not make it")
    if present == _with_first_line(path, text):
        return FileState(path, "unchanged", "")
    if made[1] == _digest(present[made.end() :]):
        return FileState(path, "changed", "changed")
    if made[1] == _digest(text):
        return FileState(path, "edited", "kept as you have changed it")
    return FileState(
        path,
        "outdated",
        "kept as you have changed it, but the stream config has changed, too; compare it with what "
        "`landing dbt --output DIR` writes, and then put its first line into yours",
    )


def _left(folder: Path, files: Mapping[str, str]) -> Iterator[FileState]:
    """Files of streams that are not selected any more."""
    for file in sorted(one for place in _PLACES for one in (folder / place).rglob("*.*")):
        path = file.relative_to(folder).as_posix()
        if path in files or not file.is_file():
            continue
        present = file.read_text(encoding="utf-8", errors="replace")
        made = _FIRST_LINE.match(present)
        if made is None:
            continue
        if made[1] == _digest(present[made.end() :]):
            yield FileState(path, "removed", "removed, as its stream is not selected any more")
        else:
            yield FileState(
                path,
                "outdated",
                "kept as you have changed it, but its stream is not selected any more; delete it, "
                "or its first line to keep it",
            )


def _with_first_line(path: str, text: str) -> str:
    mark = "--" if path.endswith(".sql") else "#"
    what = "Made by `landing dbt`, which leaves it alone once you change it."
    return f"{mark} {what} sha256:{_digest(text)}\n{text}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _remove_empty(folder: Path) -> None:
    while not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
