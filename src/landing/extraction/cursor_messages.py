"""What a person should know of a run's cursor."""

from __future__ import annotations

from collections.abc import Iterator

from landing.errors import counted
from landing.extraction.cursor import CursorTracker
from landing.results import Ahead


def messages(cursor: CursorTracker, ahead: Ahead | None, read: int) -> Iterator[str]:
    """Notes about the cursor; call it once the stream has ended, having returned `read` records."""
    if cursor.below and cursor.values.kind == "text":
        yield (
            f"{counted(cursor.below, 'record')} with a {cursor.name} below {cursor.read_from!r}, "
            "compared as text, did not land: that is right only if the API sorts it as text"
        )
    elif 0 < cursor.below == read and cursor.frozen.range_start != "open":
        yield (
            f"all {counted(read, 'record')} that came have {cursor.name} below "
            f"{cursor.read_from!r}, where the run starts, so none landed. That is right if the "
            "API's newest record was deleted; if the values begin anew, or have another unit, "
            "`landing state set` with --cursor puts the cursor back"
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
