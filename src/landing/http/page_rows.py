"""The rows of a page: their identities, one of their fields, and a part of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec

from landing.columns.json_page import JsonPage
from landing.http.bodies import Page


def identities(page: Page, fields: Sequence[str] = ()) -> list[int]:
    """A hash of each row, or of some of its fields, that identifies it within this process."""
    if isinstance(page, JsonPage):
        if not fields:
            return [hash(bytes(raw)) for raw in page.decoded(msgspec.Raw)]
        # Not decoded, so that 1.0 and 1, or two spellings of a date, differ.
        columns = [_members(page, name) for name in fields]
        return list(map(hash, zip(*columns, strict=True)))
    return [
        hash(json.dumps([row.get(name) for name in fields] if fields else row, default=str))
        for row in page
    ]


def _members(page: JsonPage, name: str) -> list[bytes]:
    """A field of each row, undecoded; empty if the row lacks it."""
    try:
        return [bytes(row.value) for row in page.decoded(_member_type(name))]
    except msgspec.ValidationError:  # an odd record is among them
        values = ((row, row.get(name)) for row in page.rows())
        return [msgspec.json.encode(v, enc_hook=str) if name in row else b"" for row, v in values]


@cache
def _member_type(name: str) -> type[msgspec.Struct]:
    return msgspec.defstruct(
        "Row", [("value", msgspec.Raw, msgspec.Raw(b""))], rename={"value": name}
    )


def values_of(page: Page, name: str) -> list[Any]:
    """A field of each row; None if the row lacks it."""
    if not isinstance(page, JsonPage):
        return [row.get(name) for row in page]
    return [msgspec.json.decode(raw) if raw else None for raw in _members(page, name)]


def from_row(page: Page, start: int) -> Page:
    """The page without its first `start` rows."""
    if isinstance(page, JsonPage):
        return page.without_first(start)
    return page[start:]
