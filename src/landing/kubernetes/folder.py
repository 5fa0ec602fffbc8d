"""Writes rendered manifests to a folder and compares them with it; a person's own files stay."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from landing.errors import UsageError
from landing.kubernetes.manifests import HEADER


def differences(folder: Path, files: Mapping[str, str]) -> list[str]:
    """What `write` would change, one sentence per file."""
    message = []
    for name, text in sorted(files.items()):
        file = folder / name
        if not file.is_file():
            message.append(f"{name} is missing")
        elif file.read_text(encoding="utf-8") != text:
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
    found = sorted(folder.glob("*.yaml"))
    return [file for file in found if file.name not in files and _is_ours(file)]


def _is_ours(file: Path) -> bool:
    return file.is_file() and file.read_text(encoding="utf-8", errors="replace").startswith(HEADER)
