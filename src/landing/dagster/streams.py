"""The streams of a workspace, read only from their configs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from landing.catalog.files import selected_configs
from landing.catalog.stream_config import StreamConfig
from landing.catalog.workspace import Workspace
from landing.errors import CatalogError

_HASHED = 8


@dataclass(frozen=True)
class Stream:
    source: str
    name: str
    config: StreamConfig | None
    mistake: str | None = None
    """Why the config can't be read, or why its schedule can't."""

    @property
    def group(self) -> str:
        return re.sub(r"\W", "_", self.source, flags=re.ASCII)

    def op_name(self, *more: str) -> str:
        """A distinct op name, with a digest if characters had to be replaced."""
        parts = (self.source, self.name, *more)
        name = "__".join(parts)
        plain = re.sub(r"\W", "_", name, flags=re.ASCII)
        is_distinct = plain == name and not any("__" in part for part in parts)
        if is_distinct:
            return plain
        return f"{plain}_{hashlib.sha256('/'.join(parts).encode()).hexdigest()[:_HASHED]}"


def streams_of(workspace: Workspace) -> Iterator[Stream]:
    """The selected streams of all sources, and streams whose config can't be read.

    The latter may or may not be selected; `landing run --all` fails for them, too.
    """
    for source in workspace.source_names():
        for name, config in selected_configs(workspace, source):
            if isinstance(config, CatalogError):
                yield Stream(source, name, None, str(config))
            else:
                mistake = config.schedule_mistake
                yield Stream(source, name, config, mistake and f"{config.origin}: {mistake}")
