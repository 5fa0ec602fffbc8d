"""What the import of a source showed, kept on this machine until a file of it changes.

Whoever only asks whether a source imports, and which streams it exports, does not have to import it
again, with dlt and all that it needs.
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
from typing import Any, Literal

import msgspec

from landing import __version__
from landing.catalog.stream_config import StreamConfig
from landing.catalog.workspace import Workspace


class Declared(msgspec.Struct, frozen=True):
    """What a stream's code says that its config and state do not."""

    start: Literal["nothing", "initial_value", "more"]
    """Of where a run starts: an initial value, or more, such as a lag or a parent."""
    marks_deleted: bool
    """Whether it declares `hard_delete`."""

    def decides_start(self, config: StreamConfig, cursor: Any) -> bool:
        """Whether where a run starts that left off at `cursor` may depend on the code."""
        if self.start == "initial_value":
            return cursor is None or config.lookback is not None
        return self.start == "more"

    def may_contradict(self, config: StreamConfig) -> bool:
        """Whether the code may make a valid config wrong."""
        has_no_use = config.initial_value is not None and not config.is_incremental
        has_no_key = self.marks_deleted and not config.primary_key
        return config.mode_is_open or has_no_use or has_no_key


class ImportRecord(msgspec.Struct, frozen=True):
    fingerprint: str
    streams: Mapping[str, Declared]
    """The streams that the package exports."""
    may_have_more: bool
    """Whether functions of it give streams, too; only a call shows which."""


_DECODER = msgspec.json.Decoder(ImportRecord)


class ImportRecords:
    """The records of a workspace's sources at this moment, in the user's cache folder."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def get(self, source: str) -> ImportRecord | None:
        """None if the source was never imported as it is now."""
        try:
            record = _DECODER.decode(self._file(source).read_bytes())
        except (OSError, RuntimeError, msgspec.MsgspecError):
            return None
        return record if record.fingerprint == self._fingerprint else None

    def put(self, source: str, streams: Mapping[str, Declared], *, may_have_more: bool) -> None:
        record = ImportRecord(self._fingerprint, streams, may_have_more)
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
        """Of all that an import depends on: Python, the installed packages, and the files of all
        sources, which may import each other."""
        known = [sys.version, __version__, *self._files()]
        return hashlib.blake2b("\n".join(known).encode(), digest_size=16).hexdigest()

    def _files(self) -> Iterator[str]:
        installed = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
        for path in sorted([*map(Path, installed), *self._workspace.sources.rglob("*.py")]):
            with suppress(OSError):  # removed at this moment
                found = path.stat()
                yield f"{path} {found.st_size} {found.st_mtime_ns}"
