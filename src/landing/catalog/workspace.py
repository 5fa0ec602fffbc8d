"""The workspace, where a person's files are, and its `.env`.

A workspace is the folder that has `dlt/sources/` and `dag/` (by convention `orchestration/`).
It is looked up from the started script or the current folder, never from where this package is
installed, so that two workspaces on one machine stay separate.
"""

from __future__ import annotations

import codecs
import io
import os
from dataclasses import dataclass
from pathlib import Path

from dotenv.parser import parse_stream

from landing.catalog.installed import installed_folder, installed_sources
from landing.errors import SettingsError, WorkspaceError
from landing.secrets import make_public


@dataclass(frozen=True)
class Workspace:
    root: Path

    @property
    def repository(self) -> Path:
        """The folder whose `.env` is read and that messages show paths relative to."""
        return self.root.parent

    @property
    def sources(self) -> Path:
        return self.root / "dlt" / "sources"

    def source_names(self) -> list[str]:
        """The sources with a folder in `dlt/sources`, and of the installed ones those that are
        discovered or configured here."""
        own = {
            folder.parent.name
            for folder in self.sources.glob("*/__init__.py")
            if not folder.parent.name.startswith(("_", "."))
        }
        used = {
            folder.name
            for kind in ("sources", "streams")
            for folder in (self.root / "dag" / kind).glob("[!_.]*/")
        }
        # The installed packages are listed only if need be, which takes a while.
        others = used & installed_sources().keys() if used - own else set()
        return sorted(own | others)

    def has_own(self, source: str) -> bool:
        return (self.sources / source / "__init__.py").is_file()

    def source_dir(self, source: str) -> Path:
        """Where the code of a source is: in `dlt/sources`, or else where it is installed.

        Raises SourceError if the installed package has no code.
        """
        is_installed = not self.has_own(source) and source in installed_sources()
        return installed_folder(source) if is_installed else self.sources / source

    def discovered_dir(self, source: str) -> Path:
        return self.root / "dag" / "sources" / source

    def discovered_file(self, source: str, stream: str) -> Path:
        return self.discovered_dir(source) / f"{stream}.json"

    def config_dir(self, source: str) -> Path:
        return self.root / "dag" / "streams" / source

    def config_file(self, source: str, stream: str) -> Path:
        return self.config_dir(source) / f"{stream}.json"

    def shown(self, path: Path) -> str:
        """`path` as messages name it: relative to the repository if it is inside it."""
        try:
            return str(path.relative_to(self.repository))
        except ValueError:
            return str(path)


def find_workspace(start: Path) -> Workspace:
    """The workspace that `start` (a file or folder) is in, or that is directly below it.

    Raises WorkspaceError if neither `start` nor a folder above it is one.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        for candidate in (folder, folder / "orchestration"):
            if (candidate / "dlt" / "sources").is_dir():
                return Workspace(candidate)
    raise WorkspaceError(
        f"no workspace at {start} or above it: a workspace is a folder that has dlt/sources/ "
        "(by convention orchestration/); change into one and run again",
        remedy="`landing init FOLDER` makes one",
    )


def load_env_file(workspace: Workspace) -> None:
    """Sets the variables of `.env` at the repository root that the environment does not have.

    Raises SettingsError with file and line if `.env` can't be read.
    """
    file = workspace.repository / ".env"
    if not file.is_file():
        return
    values: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(_env_text(file))):
        if binding.error:
            text = binding.original.string  # with the blank lines before it
            line = binding.original.line + text[: -len(text.lstrip())].count("\n")
            raise SettingsError(
                f"{file}:{line}: this line is not NAME=value; put a value with "
                "spaces or quotes into quotes, and begin a comment with #"
            )
        if binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    for name, value in values.items():
        os.environ.setdefault(name, value)


def show_names(workspace: Workspace) -> None:
    """Keeps names of sources and streams readable, even if one is also the value of a secret."""
    names = set(workspace.source_names())
    for kind in ("sources", "streams"):
        for file in (workspace.root / "dag" / kind).glob("*/*.json"):
            names |= {file.stem, file.parent.name}
    make_public(names)


def _env_text(file: Path) -> str:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{file} can't be read: {error.strerror}") from None
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SettingsError(f"{file}:{line}: not UTF-8; save the file as UTF-8") from None
    if "\0" in text:
        line = text.partition("\0")[0].count("\n") + 1
        raise SettingsError(f"{file}:{line}: this line has a NUL character; remove it")
    return text
