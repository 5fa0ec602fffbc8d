"""Reads the `Link` header (RFC 8288)."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TARGET = re.compile(r"<([^<>]*)>")
_PARAMETER = re.compile(r'\s*;\s*([^\s=;,"]*)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,]*)))?')


def link_to(header: str, rel: str) -> str | None:
    """The target of the first link with this relation; case is ignored."""
    return next((url for url, rels in _links(header) if rel.lower() in rels), None)


def _links(header: str) -> Iterator[tuple[str, list[str]]]:
    place = 0
    while target := _TARGET.search(header, place):  # past what is no link
        place = target.end()
        parameters: dict[str, str] = {}
        while (found := _PARAMETER.match(header, place)) is not None:
            place = found.end()
            name, quoted, token = found.groups()
            value = (token or "").strip("'") if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            parameters.setdefault(name.lower(), value)  # of two, the first counts
        # A link with an anchor belongs to another resource.
        if not parameters.get("anchor"):
            yield target.group(1).strip(), parameters.get("rel", "").lower().split()
