"""The discovered schema that a stream config was written from, which Git knows."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec

from landing.catalog.fields import Field
from landing.catalog.stream_config import DiscoveredSchema
from landing.catalog.workspace import Workspace


def base_of(
    workspace: Workspace, source: str, stream: str, former: DiscoveredSchema | None
) -> Mapping[str, Field] | None:
    """`former` is the discovered schema that is about to be replaced, if any; it is the base where
    Git has none."""
    committed = _committed(workspace, source, stream)
    return former.fields if committed is None and former is not None else committed


def _committed(workspace: Workspace, source: str, stream: str) -> Mapping[str, Field] | None:
    """The discovered fields at the last commit of the stream's config; None if Git has no such
    commit, or had no discovered schema then."""
    config = workspace.config_file(source, stream).relative_to(workspace.root)
    discovered = workspace.discovered_file(source, stream).relative_to(workspace.root)
    commit = _git(workspace.root, "log", "-1", "--format=%H", "--", str(config))
    if not commit:
        return None
    text = _git(workspace.root, "show", f"{commit.strip()}:./{discovered.as_posix()}")
    try:
        return None if text is None else msgspec.json.decode(text, type=DiscoveredSchema).fields
    except msgspec.MsgspecError:
        return None  # of another version, or of another tool


def _git(folder: Path, *words: str) -> str | None:
    """What a Git command prints; None if it fails, as without a repository, or there is no Git."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
