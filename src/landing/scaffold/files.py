"""Writes the files of a planned source: only new ones, and all or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from landing.catalog.workspace import Workspace
from landing.errors import UsageError
from landing.scaffold import render
from landing.scaffold.plan import SourcePlan


def write_source(workspace: Workspace, plan: SourcePlan) -> Sequence[Path]:
    """Returns the files that were written, and `.env.example` if lines were added to it.

    Raises UsageError, and leaves nothing behind, if one of the files exists or can't be written.
    """
    folder = workspace.sources / plan.name
    files = {
        folder / "client.py": render.client(plan),
        folder / "streams.py": render.streams(plan),
        folder / "__init__.py": render.init(plan),
        workspace.root / "dlt" / "tests" / f"test_{plan.name}.py": render.test(plan),
    }
    with _new(workspace, folder, files) as made:
        return [*files, *_add_settings(workspace, plan, made)]


def write_files(workspace: Workspace, folder: Path, files: Mapping[Path, str]) -> Sequence[Path]:
    """A new folder; raises UsageError, and leaves nothing behind, as `write_source` does."""
    with _new(workspace, folder, files):
        return list(files)


@contextmanager
def _new(workspace: Workspace, folder: Path, files: Mapping[Path, str]) -> Iterator[_Made]:
    for path in (folder, *files):
        if path.exists():
            raise _is_there(workspace, path)
    with all_or_none(workspace, folder, "source") as made:
        for file, text in files.items():
            made.add(file, text)
        yield made


def _is_there(workspace: Workspace, path: Path) -> UsageError:
    return UsageError(
        f"{workspace.shown(path)} exists already and was not changed: choose another name, or "
        "move it away first"
    )


def _add_settings(workspace: Workspace, plan: SourcePlan, made: _Made) -> Sequence[Path]:
    file = workspace.repository / ".env.example"
    before = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    there = {line.lstrip("# ").partition("=")[0].strip() for line in before.splitlines()}
    values = {name: value for name, value in plan.example().items() if name not in there}
    if not values:
        return []
    lines = render.settings(plan.name, values)
    if before:
        made.extend(file, lines)
    else:
        made.add(file, lines.lstrip())
    return [file]


class _Made:
    """The files written so far; `undo` removes them."""

    def __init__(self) -> None:
        self._new: list[Path] = []
        self._sizes: dict[Path, int] = {}

    def add(self, file: Path, text: str) -> None:
        """Writes a new file and the folders that it needs. Raises FileExistsError if it exists."""
        for folder in [folder for folder in reversed(file.parents) if not folder.exists()]:
            folder.mkdir()
            self._new.append(folder)
        with file.open("x", encoding="utf-8") as out:
            self._new.append(file)
            out.write(text)

    def extend(self, file: Path, text: str) -> None:
        self._sizes[file] = file.stat().st_size
        with file.open("a", encoding="utf-8") as out:
            out.write(text)

    def undo(self) -> None:
        """Removes what it can. Files that others have put into a new folder stay."""
        for file, size in self._sizes.items():
            with suppress(OSError), file.open("r+b") as out:
                out.truncate(size)
        for path in reversed(self._new):
            with suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()


@contextmanager
def all_or_none(workspace: Workspace, folder: Path, what: str) -> Iterator[_Made]:
    """Undoes the files made within if one fails.

    Raises UsageError if a file exists or can't be written.
    """
    made = _Made()
    try:
        yield made
    except FileExistsError as error:
        made.undo()
        raise _is_there(workspace, Path(error.filename)) from error
    except OSError as error:
        made.undo()
        place = workspace.shown(Path(error.filename or folder))  # a full disk names no file
        raise UsageError(
            f"{place} can't be written ({error.strerror}): the new {what} was removed again; "
            "correct that and run it again"
        ) from error
    except BaseException:
        made.undo()
        raise
