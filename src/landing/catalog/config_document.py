"""A stream config as a person wrote it, which is edited without touching the rest of it."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landing.catalog.documents import decoded, in_file, parsed
from landing.catalog.files import OWN_CONNECTORS
from landing.catalog.layout import Exact, like, own_layout, plain
from landing.catalog.replacement import replace
from landing.catalog.resolution import resolved, with_discovered_cursor
from landing.catalog.stream_config import DiscoveredSchema, StreamFile
from landing.catalog.workspace import Workspace
from landing.errors import CatalogError


@dataclass(frozen=True)
class ConfigDocument:
    file: Path
    shown: str
    content: bytes | None
    """What the file had when it was read; None if there was none."""
    exact: Mapping[str, Any] | None

    @property
    def value(self) -> dict[str, Any] | None:
        """Key by key; None without a file."""
        value: dict[str, Any] | None = plain(self.exact)
        return value

    def write(self, source: str, document: dict[str, Any], schema: DiscoveredSchema) -> bool:
        """Writes it atomically, laid out as the file was; False if nothing changed.

        Raises CatalogError, and writes nothing, if the document has a mistake, or if somebody has
        changed the file since it was read.
        """
        with in_file(self.shown):
            raw = with_discovered_cursor(decoded(document, StreamFile), schema)
            resolved(source, schema.stream, self.shown, raw, schema.fields)
        before = self.value
        if before == document and list(before["fields"]) == list(document["fields"]):
            return False
        replace(self.file, self.shown, self._encoded(document), self._check_unchanged)
        return True

    def _encoded(self, document: dict[str, Any]) -> bytes:
        if self.content is None or self.exact is None:
            return (own_layout(document) + "\n").encode()
        text = self.content.decode("utf-8-sig").replace("\r\n", "\n")
        exact = {key: self._unless_changed(key, value) for key, value in document.items()}
        content = (like(self.exact, text)(exact) + "\n").encode()
        if b"\r\n" in self.content:
            content = content.replace(b"\n", b"\r\n")
        return BOM_UTF8 + content if self.content.startswith(BOM_UTF8) else content

    def _unless_changed(self, key: str, value: Any) -> Any:
        before = (self.exact or {}).get(key)
        return before if before == value and key != "fields" else value

    def _check_unchanged(self) -> None:
        now = self.file.read_bytes() if self.file.is_file() else None
        if now != self.content:
            raise CatalogError(
                f"{self.shown}: somebody changed it after it was read, so it was left as it is "
                "now: run the command again"
            )


def config_document(workspace: Workspace, source: str, stream: str) -> ConfigDocument:
    """The stream's own config. Raises CatalogError for a mistake in the file, or if it is another
    tool's."""
    file = workspace.config_file(source, stream)
    shown = workspace.shown(file)
    if not file.is_file():
        return ConfigDocument(file, shown, None, None)
    content = file.read_bytes()
    exact = parsed(content, shown, Exact)
    connector = exact.get("connector") if isinstance(exact, dict) else None
    if isinstance(connector, str) and connector not in OWN_CONNECTORS:
        raise CatalogError(f"{shown} belongs to another tool: its connector is '{connector}'")
    with in_file(shown):
        decoded(parsed(content, shown), StreamFile)
    return ConfigDocument(file, shown, content, exact)
