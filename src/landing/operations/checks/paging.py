"""Checks of paging: the size of pages, and that it does not change the records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from landing.extraction.dlt_bridge import parents_of
from landing.extraction.failures import causes, raise_if_interrupted
from landing.http.paging.variations import varying
from landing.operations.checks.left_over import left_over
from landing.operations.checks.subject import CheckedStream, Read
from landing.operations.checks.verdicts import CheckFailed, CheckSkipped, named
from landing.operations.recordings import missing_answer

SMALL_LIMIT = 5


def limit(subject: CheckedStream) -> str:
    """A page has no more records than `limit` asks for."""
    own = _own_limit(subject)
    size = min(SMALL_LIMIT, own)
    sizes = subject.read(limit=size, most=2 * size + 1).sizes
    if not any(sizes):
        raise CheckFailed(f"asked for pages of {size} records, it returned none")
    if max(sizes) > size:
        raise CheckFailed(
            f"asked for {size} records, a page had {max(sizes):,}: pass limit to the API"
        )
    return f"pages of {size}"


def _own_limit(subject: CheckedStream) -> int:
    parameter = subject.parameter("limit")
    if parameter is None or not isinstance(parameter.default, int):
        raise CheckSkipped("the stream's function has no parameter limit with a number as default")
    return parameter.default


def paging(subject: CheckedStream) -> str:
    """The stream reads to the end, and pages of another size return the same records."""
    _refuse_left_over(subject)
    _refuse_page_zero(subject)
    _refuse_page_beyond(subject)
    first = subject.first
    count = len(first.rows)
    own = _page_size(subject)
    size = min(own - 1, max(1, count // 3))
    if size < 1 or count < 2:
        raise CheckSkipped("there are too few records for more than one page")
    again = _read_in_pages_of(subject, size)
    if not first.is_whole and count <= own:
        # With a single page, all records may be beyond the cut.
        first, again = subject.read(most=2 * own), _read_in_pages_of(subject, size, most=2 * own)
    _refuse_left_over(subject, again)
    before, after = subject.identities(first.rows), subject.identities(again.rows)
    if first.is_whole and again.is_whole:
        missing, added = _differences(before, after)
    else:
        # If a read was cut off, records near the cut may differ.
        shared = min(len(before), len(after))
        kept = max(0, shared - max(own, size))
        if not kept:
            raise CheckSkipped("too few records were read to compare: raise --max-rows")
        missing, _ = _differences(before[:kept], after)
        added, _ = _differences(after[:kept], before)
    if missing or added:
        raise CheckFailed(
            f"pages of {size} return {len(missing):,} records less and {len(added):,} more than "
            f"pages of {own}, such as {named((missing or added)[0])}: page by a key, in an "
            "order that is the same for each request"
        )
    return f"the same records in pages of {own} and of {size}"


def _page_size(subject: CheckedStream) -> int:
    """The actual page size: an API may cap the requested one."""
    seen = max(subject.first.sizes)
    parameter = subject.parameter("limit")
    requested = parameter.default if parameter is not None else None
    return min(seen, requested) if isinstance(requested, int) else seen


def _read_in_pages_of(subject: CheckedStream, size: int, most: int | None = None) -> Read:
    """Set the page size by the stream's parameter `limit`, or else in the requests of
    `Api.pages`."""
    parameter = subject.parameter("limit")
    if parameter is not None and isinstance(parameter.default, int):
        return subject.read(limit=size, most=most)
    try:
        with varying(rows=size) as variation:
            again = subject.read(most=most)
    except Exception as error:
        if any(map(missing_answer, causes(error))):
            raise CheckSkipped(
                "the recording has no answers in smaller pages: record again with --record"
            ) from error
        raise
    if not variation.was_made:
        raise CheckSkipped(
            "the stream's function has no parameter limit with a number as default, and "
            "its requests have no parameter for a page's size that is known"
        )
    return again


def _refuse_left_over(subject: CheckedStream, read: Read | None = None) -> None:
    read = read or subject.first
    if read.is_whole and (sign := left_over(read.answers)):
        raise CheckFailed(
            f"the stream ended, but the API says that it has more: {sign}. Read on, or if that "
            "means something else, name it in ignore_more of Api.pages"
        )


def _refuse_page_zero(subject: CheckedStream) -> None:
    """Fail if page 0 has records that are missing when pages are counted from 1."""
    try:
        with varying(from_zero=True) as variation:
            before = subject.read(most=1)
    except Exception as error:  # the API or the recording has no such page
        raise_if_interrupted(error)
        return
    if not variation.was_made or not subject.first.is_whole:
        return
    missing, _ = _differences(
        subject.identities(before.rows), subject.identities(subject.first.rows)
    )
    if missing:
        raise CheckFailed(
            f"page 0 has {len(missing):,} records that no page from 1 on has, such as "
            f"{named(missing[0])}: pass first=0 to NumberedPages"
        )


def _refuse_page_beyond(subject: CheckedStream) -> None:
    """Fail if a stream that reads one page, or follows what answers name as the next, can be asked
    for another page, whether or not the answers say that there is more."""
    if not subject.first.is_whole or any(parents_of(subject.resource())):
        return
    known = set(subject.identities(subject.first.rows))
    for beyond, remedy in _guesses(subject):
        try:
            with varying(beyond=beyond) as variation:
                again = subject.read(most=1)
        except Exception as error:  # the API or the recording has no such page
            raise_if_interrupted(error)
            continue
        found = subject.identities(again.rows)
        others = [one for one in found if one not in known]
        # An API that does not know the parameter gives the same records once more; a list that
        # changes has others among them.
        is_other = len(others) == len(found) or len(found) > len(known)
        if variation.was_made and others and is_other:
            count = len(subject.first.sizes)
            pages = "one page" if count == 1 else f"{count:,} pages"
            shown = "&".join(f"{name}={value}" for name, value in beyond.items())
            raise CheckFailed(
                f"the stream reads {pages} of {len(known):,} records, but with {shown} "
                f"the API returns {len(others):,} others, such as {named(others[0])}: {remedy}"
            )


def _guesses(subject: CheckedStream) -> Iterator[tuple[dict[str, Any], str]]:
    """Parameters of a later or a larger page, as many APIs call them, and what then to do."""
    rows = subject.first.rows
    count = len(rows)
    yield {"page": 2}, "pass paging=NumberedPages(limit)"
    yield {"page": 1}, "pass paging=NumberedPages(limit)"
    by_offset = {"offset": count, "skip": count, "start": count}
    yield by_offset, "pass paging=OffsetPages(limit)"
    sizes = ("limit", "per_page", "page_size", "pageSize", "size")
    yield dict.fromkeys(sizes, 2 * count), "pages have to be read one after another; pass paging="
    last = rows[-1].get(subject.key[0]) if len(subject.key) == 1 and rows else None
    if isinstance(last, int | str):
        key = subject.key[0]
        by_key = {"after": last, "starting_after": last, "since_id": last}
        yield by_key, f'pass paging=KeysetPages("{key}", parameter, limit=limit)'


def _differences(some: Sequence[Any], others: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    known, wanted = set(others), set(some)
    return [one for one in some if one not in known], [one for one in others if one not in wanted]
