"""Pages: how large they are, and that their size changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from landing.operations.checks.subject import CheckedStream
from landing.operations.checks.verdicts import CheckFailed, CheckSkipped, named

SMALL_LIMIT = 5


def limit(subject: CheckedStream) -> str:
    """A page has no more records than `limit` asks for."""
    own = _own_limit(subject)
    asked = min(SMALL_LIMIT, own)
    sizes = subject.read(limit=asked, most=2 * asked + 1).sizes
    if not any(sizes):
        raise CheckFailed(f"asked for pages of {asked} records, it gave none")
    if max(sizes) > asked:
        raise CheckFailed(
            f"asked for {asked} records, a page had {max(sizes):,}: pass limit to the API"
        )
    return f"pages of {asked}"


def _own_limit(subject: CheckedStream) -> int:
    parameter = subject.parameter("limit")
    if parameter is None or not isinstance(parameter.default, int):
        raise CheckSkipped("the stream's function has no parameter limit with a number as default")
    return parameter.default


def paging(subject: CheckedStream) -> str:
    """Pages of another size give the same records."""
    own = _own_limit(subject)
    first = subject.first
    count = len(first.rows)
    size = min(own - 1, max(1, count // 3))
    if size < 1 or count < 2:
        raise CheckSkipped("there are too few records for more than one page")
    again = subject.read(limit=size)
    if not first.is_whole and count <= own:
        # Of one page alone, all may be on the other side of the cut.
        first, again = subject.read(most=2 * own), subject.read(limit=size, most=2 * own)
    before, after = subject.identities(first.rows), subject.identities(again.rows)
    if first.is_whole and again.is_whole:
        missing, added = _differences(before, after)
    else:
        # Where both were cut off, records near the cut may be on its other side.
        shared = min(len(before), len(after))
        kept = max(0, shared - max(own, size))
        if not kept:
            raise CheckSkipped("too few records were read to compare: raise --max-rows")
        missing, _ = _differences(before[:kept], after)
        added, _ = _differences(after[:kept], before)
    if missing or added:
        raise CheckFailed(
            f"pages of {size} gave {len(missing):,} records less and {len(added):,} more than "
            f"pages of {own}, such as {named((missing or added)[0])}: page by a key, in an "
            "order that is the same for each request"
        )
    return f"the same records in pages of {own} and of {size}"


def _differences(some: Sequence[Any], others: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    known, wanted = set(others), set(some)
    return [one for one in some if one not in known], [one for one in others if one not in wanted]
