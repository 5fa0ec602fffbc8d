"""Pages of objects that a public API really sent, repeated until there are enough of them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.servers.api import Bench

_FIRST = datetime(2024, 1, 1)


class RecordedPages(Bench):
    def __init__(self, body: str, count: int, *, is_pretty: bool = False) -> None:
        super().__init__()
        text = (Path(__file__).parent / f"{body}.json").read_text(encoding="utf-8")
        self._objects: list[dict[str, Any]] = json.loads(text)
        self._count = count
        self._indent, self._separators = (2, (",", ": ")) if is_pretty else (None, (",", ":"))

    def prepare(self, limit: int = 100) -> None:
        for offset in range(0, self._count, limit):
            self._pages[limit, offset] = self._encoded(limit, offset)

    def page(self, limit: int, offset: int) -> bytes:
        return self._pages.get((limit, offset)) or self._encoded(limit, offset)

    def _encoded(self, limit: int, offset: int) -> bytes:
        numbers = range(self._count)[offset : offset + limit]
        page = {"data": [self._record(number) for number in numbers]}
        text = json.dumps(
            page, indent=self._indent, separators=self._separators, ensure_ascii=False
        )
        return text.encode()

    def _record(self, number: int) -> dict[str, Any]:
        updated_at = _FIRST + timedelta(seconds=number * 7)
        own = {"id": number + 1, "updated_at": f"{updated_at.isoformat()}Z"}
        return {**self._objects[number % len(self._objects)], **own}
