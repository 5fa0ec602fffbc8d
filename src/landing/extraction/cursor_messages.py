"""What a person should know of a run's cursor."""

from __future__ import annotations

from collections.abc import Iterator

from landing.errors import counted
from landing.extraction.cursor import CursorTracker
from landing.results import Ahead


def messages(cursor: CursorTracker, ahead: Ahead | None) -> Iterator[str]:
    """Notes about the cursor; call it once the stream has ended."""
    if cursor.below and cursor.values.kind == "text":
        yield (
            f"{counted(cursor.below, 'record')} with a {cursor.name} below {cursor.read_from!r}, "
            "compared as text, did not land: that is right only if the API sorts it as text"
        )
    if ahead is not None and ahead.is_cursor:
        yield (
            f"the cursor {ahead.name} is at {ahead.value}, beyond the source's time, so new "
            "records are not requested: `landing state set` with --cursor puts it back"
        )
    elif ahead is not None and ahead.is_new:
        yield (
            f"a record has {cursor.name} {ahead.value}, beyond the source's time: the cursor "
            f"stays at {'its start' if cursor.after is None else cursor.after}, and other rows "
            "land"
        )
