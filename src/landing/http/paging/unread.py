"""Finds, in the last response to a source's own requests, signs of rows that it did not request."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from functools import cache
from typing import Any

import msgspec
import requests
from requests import Response

from landing.columns import json_path
from landing.columns.json_page import JsonPage
from landing.http import traffic, vocabulary
from landing.http.api_messages import FAILURES, KEYS, failure_in, shown_request
from landing.http.paging.more import Evidence
from landing.http.paging.requested import Requested
from landing.http.paging.signs import Weight
from landing.http.paging.totals import USUAL_SIZES
from landing.http.spelling import yes_or_no

_LEAST_CAP = 50
"""Fewer rows are more often all that are new."""
_GOOD = ("success", "ok")
_FAILED = ("error", "fail", "failed", "failure")
_FINE = ("0", "200", "ok", "none", "null", "success", "no error")


@cache
def guard() -> None:
    """Keep the last response that each stream gets from any session of `requests`."""
    send = requests.Session.send

    def kept(self: requests.Session, request: requests.PreparedRequest, **options: Any) -> Response:
        if traffic.is_of_no_stream():
            return send(self, request, **options)
        answers = traffic.current().answers
        with answers.in_progress():
            response = send(self, request, **options)
        answers.last, answers.is_settled = response, False
        body = request.body if isinstance(request.body, bytes | str) else None
        answers.note((str(request.method), str(request.url), hash(body)), response.status_code)
        return response

    requests.Session.send = kept  # type: ignore[method-assign]


def unread(*, rows: int, weights: Collection[Weight], is_first: bool) -> str | None:
    """Why the API may have more than the rows that the current stream read to its end; None if
    nothing says so. Without `weights`, and for lists that the client kit has read, it only looks
    for failures. `is_first` if no run has landed any rows."""
    answers = traffic.current().answers
    response, answers.last = answers.last, None  # its body may be large
    if response is None or response._content is False or not response.ok:
        return None
    with suppress(RecursionError, ValueError, msgspec.MsgspecError):  # no list of records
        return _unread(response, rows=rows, weights=weights, is_first=is_first)
    return None


def _unread(
    response: Response, *, rows: int, weights: Collection[Weight], is_first: bool
) -> str | None:
    answers = traffic.current().answers
    request = response.request
    shown = shown_request(str(request.method), str(response.url))
    if failure := _failure(response):
        return f"rows may be missing: the last response, to {shown}, says: {failure}"
    if answers.is_settled or answers.has_overlaps or not weights:
        return None
    records = records_in(response)
    if records is None:
        if not _has_empty_list(response.content):
            return None  # a record, whose values may have any name
        weights = frozenset[Weight]({"flag", "pages"}) & frozenset(weights)
    evidence = Evidence(response, records or "")
    pages = answers.count
    count = 0 if records is None else len(JsonPage(response.content, records))
    if count and not rows and is_first:
        place = ".".join(map(str, json_path.parsed(records or "").steps))
        where = f" at '{place}'" if place else ""
        return (
            f"the stream returned no rows, but the last response, to {shown}, has {count:,}{where}"
        )
    size = Requested(response).number(vocabulary.SIZES)
    if not _are_whole_pages(rows, count, pages, size):
        weights = frozenset(weights) - {"total"}  # the source leaves rows out
    sign = evidence.sign_of_more(rows=rows, pages=pages, weights=weights, from_start=True)
    if sign is not None:
        return (
            f"rows may be missing: the last response, to {shown}, says that there are more: "
            f"{sign.where} {sign.shown}"
        )
    is_cap = _LEAST_CAP <= rows < size and rows in USUAL_SIZES and rows == count
    if is_cap and is_first and not evidence.confirms_end(rows=rows, pages=pages):
        return (
            f"rows may be missing: {shown} asked for {size:,} rows and got {rows:,}, which may be "
            f"all that the API returns at once; ask for {rows:,} at a time, so that the next page "
            "shows it"
        )
    return None


def _failure(response: Response) -> str:
    """What a response with status 2xx says of a failure; empty if it says nothing, or may be a
    record, whose values are private."""
    try:
        members = json_path.members_of(response.content)
        if "id" in members:
            return ""
        said = {name: msgspec.json.decode(members[name]) for name in KEYS if name in members}
        failures = {name: value for name, value in said.items() if name in FAILURES}
        flags = [msgspec.json.decode(members[name]) for name in _GOOD if name in members]
        status = msgspec.json.decode(members.get("status", b"null"))
    except (ValueError, msgspec.MsgspecError):
        return ""  # no JSON object
    is_failed = False in map(yes_or_no, flags) or str(status).lower() in _FAILED
    found = failure_in(said if is_failed else failures)
    if is_failed and not found:
        return f"'success' is false or 'status' is {status}" if status else "'success' is false"
    return "" if found.lower() in _FINE else found


def _are_whole_pages(rows: int, count: int, pages: int, size: int) -> bool:
    """Whether so many rows are those of all pages, of which the last has `count`; otherwise the
    source leaves some out, or has other requests."""
    before, earlier = rows - count, pages - 1
    if not earlier:
        return not before
    each, rest = divmod(before, earlier)
    return not rest and count <= each and (not size or each <= size)


def _has_empty_list(content: bytes) -> bool:
    if json_path.first_byte(content) == b"[":
        return True
    return any(bytes(one).strip() == b"[]" for one in json_path.members_of(content).values())


def records_in(response: Response) -> str | None:
    """JSON path of the body's list of objects, at most two levels deep; None without one."""
    known: str | None = getattr(response, "landing_records", None)
    if known is not None:
        return known
    if not response.content:
        return None
    try:
        return _list_in(response.content, 0)
    except (ValueError, msgspec.MsgspecError):
        return None  # no JSON


def _list_in(raw: bytes | msgspec.Raw, depth: int) -> str | None:
    first = json_path.first_byte(raw)
    if first == b"[":
        items = msgspec.json.decode(raw, type=list[msgspec.Raw])
        return "" if items and json_path.first_byte(items[0]) == b"{" else None
    if first != b"{" or depth > 1:
        return None
    found: list[tuple[int, str]] = []
    for name, member in json_path.members_of(raw).items():
        inner: Any = _list_in(member, depth + 1)
        if inner is not None:
            step = f"$[{msgspec.json.encode(name).decode()}]"
            found.append((len(memoryview(member)), step + inner.removeprefix("$")))
    return max(found)[1] if found else None
