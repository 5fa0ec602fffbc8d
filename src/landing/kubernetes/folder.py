"""Writes rendered manifests to a folder and compares them with it; a person's own files stay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from landing.errors import UsageError, listed
from landing.kubernetes.jobs import Job
from landing.kubernetes.manifests import HEADER, parsed


@dataclass(frozen=True)
class Change:
    """What `write` does with a CronJob."""

    change: Literal["added", "changed", "removed"]
    name: str
    details: Sequence[str] = ()
    """Of a changed one."""


def existing_jobs(folder: Path) -> list[Job]:
    """The jobs that `landing k8s` wrote there before."""
    return [job for job, _ in _jobs(_text(file) for file in _generated(folder)).values()]


def changes(folder: Path, files: Mapping[str, str]) -> list[Change]:
    """The CronJobs that `write` adds, changes and removes, in the order of their names."""
    before = _jobs(_text(file) for file in _generated(folder))
    after = _jobs(files.values())
    found = []
    for name in sorted({*before, *after}):
        if name not in before:
            found.append(Change("added", name))
        elif name not in after:
            found.append(Change("removed", name))
        elif before[name] != after[name]:
            found.append(Change("changed", name, list(_details(before[name][0], after[name][0]))))
    return found


def _jobs(texts: Iterable[str]) -> dict[str, tuple[Job, str]]:
    return {job.name: (job, text) for text in texts if (job := parsed(text)) is not None}


def _details(before: Job, after: Job) -> Iterator[str]:
    was, now = set(before.streams), set(after.streams)
    if before.schedule != after.schedule:
        yield f"due at {after.schedule} instead of {before.schedule}"
    if now - was:
        yield f"also runs {listed(now - was)}"
    if was - now:
        yield f"no longer runs {listed(was - now)}"
    if before == after:
        yield "other settings"


def differences(folder: Path, files: Mapping[str, str]) -> list[str]:
    """What `write` would change, one sentence per file."""
    message = []
    for name, text in sorted(files.items()):
        file = folder / name
        if not file.is_file():
            message.append(f"{name} is missing")
        elif _text(file) != text:
            message.append(f"{name} differs from the stream configs")
    return [*message, *(f"{file.name} no longer has a stream" for file in _left(folder, files))]


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Raises UsageError before anything is written if `landing k8s` did not make a file."""
    for name in files:
        file = folder / name
        if file.exists() and not _is_ours(file):
            raise UsageError(
                f"{file}: was not made by `landing k8s` and was not changed: choose another "
                "folder with --output, or move the file"
            )
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    for file in _left(folder, files):
        file.unlink()


def _left(folder: Path, files: Mapping[str, str]) -> list[Path]:
    return [file for file in _generated(folder) if file.name not in files]


def _generated(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.glob("*.yaml")) if _is_ours(file)]


def _is_ours(file: Path) -> bool:
    return file.is_file() and _text(file).startswith(HEADER)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")
