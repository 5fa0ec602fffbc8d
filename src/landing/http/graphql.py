"""GraphQL answers with cursor connections, as Relay's specification has them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from landing.columns.json_page import JsonPage
from landing.http.bodies import value_at


@dataclass(frozen=True)
class Connection:
    """The `nodes` of a connection, or the `node` of each of its `edges`.

    An answer with errors is refused even if it has data as well: a part of it is missing.
    """

    path: str

    @property
    def place(self) -> str:
        return f"data.{self.path}"

    def page(self, content: bytes) -> JsonPage:
        if errors := value_at(content, "errors"):
            raise ValueError(f"GraphQL says: {_message(errors)}")
        place = self.place
        try:
            return JsonPage(content, f"{place}.nodes")
        except ValueError:
            return JsonPage(_nodes(content, f"{place}.edges"))


def _nodes(content: bytes, path: str) -> bytes:
    try:
        edges = JsonPage(content, path).decoded(_edge())
    except ValueError as error:
        raise ValueError(
            f"no connection with nodes or edges at '{path.rpartition('.')[0]}' ({error})"
        ) from None
    return b"[" + b",".join(bytes(edge.node) for edge in edges) + b"]"


@cache
def _edge() -> Any:
    return msgspec.defstruct("Edge", [("node", msgspec.Raw)])


def _message(errors: Any) -> str:
    listed = errors if isinstance(errors, list) else [errors]
    message = [
        str(error.get("message", error)) if isinstance(error, dict) else str(error)
        for error in listed[:3]
    ]
    more = f" (and {len(listed) - 3} more)" if len(listed) > 3 else ""
    return "; ".join(message) + more
