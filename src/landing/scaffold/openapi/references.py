"""What a document's `$ref` may lead to: files below its own folder, or addresses of its own host.

A document comes from strangers: it must not make this machine read its other files, or ask hosts
that only this machine reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from landing.errors import UsageError

Parse = Callable[[bytes, str], dict[str, Any]]


class ForeignReference(Exception):
    """A reference that is not followed, or leads to nothing that can be read."""


def foreign_reference(error: BaseException) -> ForeignReference | None:
    """The one that made `error`, which the library wraps more than once."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, ForeignReference):
        found = found.__cause__
    return found


def handlers(
    base: str, fetch: Callable[[str], bytes], parse: Parse
) -> Mapping[str, Callable[[str], dict[str, Any]]]:
    """By scheme, what reads a referenced document; `base` is the URI of the referring one."""

    def read(uri: str) -> dict[str, Any]:
        _check_home(uri, base)
        try:
            content = Path(_path(uri)).read_bytes() if _is_file(uri) else fetch(uri)
            return parse(content, uri)
        except (OSError, UsageError) as error:
            raise ForeignReference(f"{uri}: {error}") from None

    # A scheme that is not here would be fetched by the library itself.
    return _Everything(read)


class _Everything(dict[str, Callable[[str], dict[str, Any]]]):
    def __init__(self, read: Callable[[str], dict[str, Any]]) -> None:
        super().__init__()
        self._read = read

    def __contains__(self, scheme: object) -> bool:
        return True

    def __getitem__(self, scheme: str) -> Callable[[str], dict[str, Any]]:
        return self._read


def _check_home(uri: str, base: str) -> None:
    """Raises ForeignReference."""
    parts, own = urlsplit(uri), urlsplit(base)
    if _is_file(base):
        folder = Path(_path(base)).parent.resolve()
        is_home = _is_file(uri) and Path(_path(uri)).resolve().is_relative_to(folder)
    else:
        is_home = (parts.scheme, parts.netloc) == (own.scheme, own.netloc)
    if not is_home:
        raise ForeignReference(f"{uri} is outside of the document's own folder or host")


def _is_file(uri: str) -> bool:
    return urlsplit(uri).scheme == "file"


def _path(uri: str) -> str:
    return unquote(urlsplit(uri).path)
