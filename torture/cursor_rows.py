"""What goes wrong with cursors, one kind after another, each with what is right for it.

The streams are code of a workspace, read over real HTTP and run by the command `landing`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from unittest import mock

from torture.figures import Tally
from torture.moving_api import Edit, MovingApi, Order, Paging, serving
from torture.shop import ROWS, Shop, shop

HOUR = 3_600
DAY = 24 * HOUR
_GIVEN = """
@dlt.resource(primary_key="id")
def rows(at=dlt.sources.incremental("at")):
    yield {rows!r}
"""


_FULL = """
@dlt.resource(primary_key="id")
def rows(since=None):
    yield from pages({})
"""
_ALL = '\n\n__all__ = ["first", "second"]\n'


Case = Callable[[Shop], None]


@contextmanager
def _api(
    kind: str, order: Order = "key", paging: Paging = "token", count: int = 60
) -> Iterator[MovingApi]:
    """Its records are days old, the last one a week after the first."""
    api = MovingApi(kind, order, paging, size=20)
    for key in range(1, count + 1):
        api.put(key, api.now - timedelta(seconds=DAY + (count - key) * 7 * DAY / count))
    with serving(api) as url, mock.patch.dict(os.environ, {"MOVING_API": url}):
        yield api


def _edited_while_read(kind: str, reader: str, order: Order, declares: str) -> Case:
    def case(shop: Shop) -> None:
        with _api(kind, order) as api:
            shop.incremental(api, declares, reader)
            api.begin({1: (Edit(2),), 2: (Edit(54),)}, pace=1)
            shop.run()
            api.begin({}, pace=0)
            shop.run()
            shop.count_lost(api)
            shop.run(rows=0)

    return case


def _of_the_future(kind: str, fits: bool) -> Case:
    def case(shop: Shop) -> None:
        with _api(kind) as api:
            shop.incremental(api)
            api.make(Edit(60, ahead=355_000, fits=fits))
            shop.says(shop.run(), "beyond the source's time")
            for place in (6, 61):
                api.wait(HOUR)
                api.make(Edit(place))
                if "beyond the source's time" in shop.run(rows=1).text:
                    shop.problems.append("the record of the future is reported again")
            shop.count_lost(api)
            shop.says(shop.kit.landing("status", "shop", "--json"), '"ahead"')

    return case


def _argument(body: str) -> Case:
    """Of records of a week, those of the last three days, less a lag of one."""

    def case(shop: Shop) -> None:
        with _api("ISO times", "oldest") as api:
            start = api.rows[30]["at"]
            text = body.replace("START", repr(start)) + '\n\n__all__ = ["given"]\n'
            shop.write(text, api.field_type, cursor_field=["at"])
            due = sum(row["at"] >= start for row in api.rows.values())
            shop.run(rows=due)
            if shop.problems:
                return
            before = api.rows_given
            shop.run(rows=0)
            if not 0 < api.rows_given - before < due:
                shop.problems.append(f"{api.rows_given - before} rows were read again")

    return case


_GIVEN_AS = {
    "a resource": """
@dlt.resource(primary_key="id")
def inner(at: dlt.sources.incremental[str] = None):
    yield from pages(since(at))

@dlt.source
def given():
    at = dlt.sources.incremental("at", initial_value=START, lag=86400)
    return inner(at=at).with_name("rows")
""",
    "rest_api_resources": """
from dlt.sources.rest_api import rest_api_resources

@dlt.source
def given():
    at = {"cursor_path": "at", "initial_value": START, "start_param": "since", "lag": 86400}
    paginator = {"type": "cursor", "cursor_path": "next", "cursor_param": "token"}
    endpoint = {"path": "rows", "incremental": at, "data_selector": "rows"}
    client = {"base_url": os.environ["MOVING_API"], "paginator": paginator}
    resource = {"name": "rows", "primary_key": "id", "endpoint": endpoint}
    return rest_api_resources({"client": client, "resources": [resource]})
""",
}


def _spelled(kind: str, order: Order) -> Case:
    def case(shop: Shop) -> None:
        with _api(kind, order) as api:
            shop.incremental(api)
            spelled = {row["at"] for row in api.rows.values()}
            for place in (1, 59, 3):
                shop.run()
                api.wait(HOUR)
                api.make(Edit(place))
                spelled.add(api.rows[place + 1]["at"])
            shop.run()
            shop.count_lost(api)
            if strange := set(api.asked) - spelled:
                shop.problems.append(f"the API was asked for {strange}, which it never gave")

    return case


def _refused(values: Sequence[str]) -> Case:
    def case(shop: Shop) -> None:
        rows = [{"id": n, "at": value} for n, value in enumerate(values)]
        shop.write(_GIVEN.format(rows=rows), cursor_field=["at"])
        shop.says(shop.run(code=2), "cursor 'at'", *map(repr, values))
        if shop.zone.paths("shop"):
            shop.problems.append("rows landed")

    return case


def _below_is_counted(shop: Shop) -> None:
    declares = "at=dlt.sources.incremental('at', row_order='asc')"
    file = shop.kit.repository / "rows.json"
    body = f"""
import json

@dlt.resource(primary_key="id")
def rows({declares}):
    yield json.loads(open({str(file)!r}).read())
"""
    shop.write(body, cursor_field=["at"])
    file.write_text('[{"id": 1, "at": "v-b"}]')
    shop.run(rows=1)
    file.write_text('[{"id": 2, "at": "v-a"}, {"id": 3, "at": "v-c"}]')
    shop.says(shop.run(rows=1), "1 record with a at below 'v-b', compared as text")


def _incremental_without_saying(declares: bool) -> Case:
    def case(shop: Shop) -> None:
        with _api("ISO times", "oldest") as api:
            if declares:
                shop.write(ROWS.format(incremental='"at"', reader="pages"), api.field_type)
            else:
                shop.write(_FULL, api.field_type)
                _discover_cursor(shop)
            shop.run(rows=60)
            shop.run(rows=0)

    return case


def _discover_cursor(shop: Shop) -> None:
    shop.kit.discover("shop", "rows")
    file = shop.kit.discovered_file("shop", "rows")
    found = json.loads(file.read_text())
    found["defaults"]["cursor_field"] = ["at"]
    found["options"]["sync_modes"] = ["incremental", "full_refresh"]
    file.write_text(json.dumps(found))


def _without_effect(shop: Shop) -> None:
    shop.write(_FULL, initial_value="2026-01-01")
    shop.says(shop.run(code=2), "initial_value: has no effect")


def _two_of_a_name(shop: Shop) -> None:
    made = """
@dlt.source
def {name}():
    return dlt.resource([{{"id": 1}}], name="rows", primary_key="id")
"""
    shop.write(made.format(name="first") + made.format(name="second") + _ALL)
    shop.says(shop.run(code=2), "'first' and 'second' both define a stream 'rows'")


def _claims_an_order(shop: Shop) -> None:
    with _api("version numbers", "scrambled") as api:
        shop.incremental(api, '"at", row_order="asc"')
        shop.says(shop.kit.landing("check", "shop", "rows"), "do not come oldest first")
        api.begin({1: (Edit(2),), 2: (Edit(54),)}, pace=1)
        shop.run()
        api.begin({}, pace=0)
        shop.run()
        shop.count_lost(api)


def _nested(shop: Shop) -> None:
    rows = [{"id": 1, "meta": {"at": "2026-01-01T00:00:00Z"}}]
    shop.write(_GIVEN.format(rows=rows).replace('"at"', '"$.meta.at"', 1), {"type": "string"})
    done = shop.kit.run("shop", "rows")
    if done.code == 0:
        shop.says(done, "1 row in")
        shop.run(rows=0)
    else:
        shop.says(done, "add_map")


def _ends_early(shop: Shop) -> None:
    with _api("ISO times", "newest") as api:
        api.filters = False
        shop.incremental(api, '"at", row_order="desc"')
        shop.run(rows=60)
        api.wait(HOUR)
        api.make(Edit(6))
        before = api.rows_given
        shop.run(rows=1)
        shop.count_lost(api)
        if (read := api.rows_given - before) > 4 * api.size:
            shop.problems.append(f"{read} of 60 rows were read for one that is new")


_READERS = ("pages", "by_kit")
CASES: Mapping[str, Sequence[Case]] = {
    "C1 edits while a stream is read in another order": [
        _edited_while_read(kind, reader, order, declares)
        for kind in ("ISO times", "milliseconds since 1970", "version numbers")
        for reader in _READERS
        for order, declares in (("key", '"at"'), ("newest", '"at", row_order="desc"'))
    ],
    "C2 a record dated 2999": [
        _of_the_future(kind, fits)
        for kind in ("ISO times", "seconds since 1970")
        for fits in (True, False)
    ],
    "C3 an incremental given as an argument": [_argument(body) for body in _GIVEN_AS.values()],
    "C4 fractions, nanoseconds and offsets of any kind": [
        _spelled(kind, order)
        for kind in ("ISO times, fractions of any length", "ISO times, any offset")
        for order in ("key", "oldest")
    ],
    "C5 text in an order that is not its own": [
        _refused(["9", "10"]),
        _refused(["Tue, 15 Nov 1994 08:12:31 GMT", "Mon, 02 Jan 2006 15:04:05 GMT"]),
        _refused(["01/31/2024", "12/01/2023"]),
    ],
    "C6 rows below a cursor of text": [_below_is_counted],
    "C7 a config that does not say incremental": [
        _incremental_without_saying(declares=True),
        _incremental_without_saying(declares=False),
        _without_effect,
    ],
    "C8 two streams of one name": [_two_of_a_name],
    "C9 an order that is declared and not kept": [_claims_an_order],
    "C10 a nested cursor": [_nested],
    "C11 newest first, with an early end": [_ends_early],
}


def cursor_rows() -> list[Tally]:
    return [_tally(what, cases) for what, cases in CASES.items()]


def _tally(what: str, cases: Sequence[Case]) -> Tally:
    tally = Tally(what, times=len(cases))
    for case in cases:
        with shop() as opened:
            case(opened)
        tally.lost += opened.lost
        tally.problems += opened.problems
    return tally
