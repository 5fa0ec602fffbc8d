"""What had been discovered of a stream until its config was written, which Git knows."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from landing.catalog.fields import Field
from landing.catalog.stream_config import DiscoveredSchema
from landing.catalog.workspace import Workspace


def base_of(
    workspace: Workspace, source: str, stream: str, former: DiscoveredSchema | None
) -> Mapping[str, Field] | None:
    """The fields of all discovered schemas up to the last commit of the stream's config, with the
    types of the last; None if none is known. A field that one sample lacked is thereby not new in
    the next.

    `former` is the discovered schema that is about to be replaced, if any. It counts where Git has
    none, or where the config has been changed since its last commit.
    """
    config = workspace.config_file(source, stream).relative_to(workspace.root).as_posix()
    discovered = workspace.discovered_file(source, stream).relative_to(workspace.root).as_posix()
    versions = list(_committed(workspace.root, config, discovered))
    is_edited = bool(_git(workspace.root, "status", "--porcelain", "--", config))
    if former is not None and (is_edited or not versions):
        versions.append(former.fields)
    base: dict[str, Field] = {}
    for fields in versions:
        base = _united(base, fields)
    return base if versions else None


def with_left_out(
    schema: DiscoveredSchema, former: DiscoveredSchema | None, config: Mapping[str, Any] | None
) -> DiscoveredSchema:
    """The new schema with the former's fields that the config leaves out and this sample lacked:
    forgotten, they would be new in the next."""
    if former is None or config is None:
        return schema
    known = {*schema.fields, *config["fields"]}
    kept = {name: field for name, field in former.fields.items() if name not in known}
    return msgspec.structs.replace(schema, fields={**schema.fields, **kept})


def _united(older: Mapping[str, Field], newer: Mapping[str, Field]) -> dict[str, Field]:
    return {**older, **{name: _both(older.get(name), field) for name, field in newer.items()}}


def _both(older: Field | None, newer: Field) -> Field:
    """The newer field, with the members that either has."""
    if older is None:
        return newer
    properties = _united(older.properties or {}, newer.properties or {})
    items = older.items if newer.items is None else _both(older.items, newer.items)
    return msgspec.structs.replace(newer, properties=properties or None, items=items)


def _committed(root: Path, config: str, discovered: str) -> Iterator[Mapping[str, Field]]:
    """The discovered fields of each commit until the config's last, oldest first."""
    last = _git(root, "log", "-1", "--format=%H", "--", config)
    if not last:
        return
    commits = (
        _git(root, "log", "--reverse", "--format=%H", last.decode().strip(), "--", discovered)
        or b""
    )
    names = "".join(f"{commit}:./{discovered}\n" for commit in commits.decode().split())
    for text in _blobs(_git(root, "cat-file", "--batch", stdin=names) or b""):
        try:
            yield msgspec.json.decode(text, type=DiscoveredSchema).fields
        except msgspec.MsgspecError:
            continue  # of another version, or of another tool


def _blobs(batch: bytes) -> Iterator[bytes]:
    """The contents in `git cat-file --batch`: each after a line that ends with its size. A file
    that a commit has removed is a line alone."""
    while batch:
        head, _, batch = batch.partition(b"\n")
        if not head.endswith(b" missing"):
            size = int(head.rpartition(b" ")[2])
            yield batch[:size]
            batch = batch[size + 1 :]


def _git(folder: Path, *words: str, stdin: str = "") -> bytes | None:
    """What a Git command prints; None if it fails, as without a repository, or there is no Git."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            input=stdin.encode(),
            capture_output=True,
            check=False,
        )
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
