"""Where streams start by their code, as the last import of their source showed.

`landing state show` need not import a source, with dlt and all that it needs, whose code decides
nothing. A record is kept on this machine, and counts until a file of the sources or an installed
package changes.
"""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from landing import __version__
from landing.catalog.stream_config import StreamConfig
from landing.catalog.workspace import Workspace

DeclaredStart: TypeAlias = Literal["nothing", "initial_value", "more"]
"""What a stream's code declares of where a run starts: an initial value, or more, such as a lag or
a parent."""


class _Record(msgspec.Struct, frozen=True):
    fingerprint: str
    starts: Mapping[str, DeclaredStart]
    """By the streams that the package exports."""


_DECODER = msgspec.json.Decoder(_Record)


class ImportRecords:
    """The records of a workspace's sources at this moment, in the user's cache folder."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def may_decide(self, config: StreamConfig, cursor: Any) -> bool:
        """Whether where a run starts that left off at `cursor` may depend on the code. True if its
        source was never imported as it is now."""
        match (self.starts(config.source) or {}).get(config.stream, "more"):
            case "initial_value":
                return cursor is None or config.lookback is not None
            case start:
                return start == "more"

    def starts(self, source: str) -> Mapping[str, DeclaredStart] | None:
        """None if the source was never imported as it is now."""
        try:
            record = _DECODER.decode(self._file(source).read_bytes())
        except (OSError, RuntimeError, msgspec.MsgspecError):
            return None
        return record.starts if record.fingerprint == self._fingerprint else None

    def put(self, source: str, starts: Mapping[str, DeclaredStart]) -> None:
        record = _Record(self._fingerprint, starts)
        with suppress(OSError, RuntimeError):  # without a home, or read-only, as in containers
            file = self._file(source)
            draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
            file.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(msgspec.json.encode(record))
            draft.replace(file)

    def _file(self, source: str) -> Path:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        workspace = hashlib.sha256(str(self._workspace.sources).encode()).hexdigest()[:16]
        return Path(cache) / "dlt-landing" / "imports" / workspace / f"{source}.json"

    @cached_property
    def _fingerprint(self) -> str:
        """Of Python, the installed packages, and the files of all sources, which may import each
        other."""
        known = [sys.version, __version__, *self._files()]
        return hashlib.blake2b("\n".join(known).encode(), digest_size=16).hexdigest()

    def _files(self) -> Iterator[str]:
        installed = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
        of_sources = [
            path
            for path in self._workspace.sources.rglob("*")
            if path.suffix != ".pyc" and path.is_file()
        ]
        for path in sorted([*map(Path, installed), *of_sources]):
            with suppress(OSError):  # removed at this moment
                found = path.stat()
                yield f"{path} {found.st_size} {found.st_mtime_ns}"
