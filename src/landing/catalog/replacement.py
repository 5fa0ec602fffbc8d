"""Replaces a file atomically: neither a reader nor a full disk leaves half of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from os import W_OK, access
from pathlib import Path

from landing.errors import CatalogError


def replace(
    file: Path, shown: str, content: bytes, check: Callable[[], None] = lambda: None
) -> None:
    """Writes through a symbolic link and keeps the file's mode. `check` is called right before the
    old content goes; what it raises leaves the file as it was.

    Raises CatalogError if the file is read-only or can't be written.
    """
    try:
        target = file.resolve()
        mode = target.stat().st_mode if target.exists() else None
        # Its folder decides whether it can be replaced, and root may do all.
        if mode is not None and not (mode & 0o222 and access(target, W_OK)):
            raise CatalogError(
                f"{shown} is read-only and was not changed: make it writable (chmod u+w)"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        try:
            draft.write_bytes(content)
            if mode is not None:
                draft.chmod(mode & 0o7777)
            check()
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself
        reason = getattr(error, "strerror", None) or str(error)
        raise CatalogError(f"{shown}: can't be written: {reason}") from None
