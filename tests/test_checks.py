"""`landing check`: what it finds in good sources, and in sources with one mistake each."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.servers import datasette
from tests.kit import FOUNDING_CLIENT, FOUNDING_STREAMS, Kit, Outcome
from tests.servers.api import Api, seed_orders
from tests.servers.scripted import Exchange, serve

Use = Callable[[Api], None]

# The founding document's stream, in fewer words and with the parameters that it leaves out.
STREAMS = """\
import dlt
from .client import MyAPI

@dlt.resource(primary_key="id")
def orders(
    updated_at: dlt.sources.incremental[str] = dlt.sources.incremental(
        "updated_at", initial_value="2020-01-01 00:00:00"
    ),
    limit: int = 100,
    fields: list[str] | None = None,
):
    offset = 0
    while True:
        page = MyAPI().get(
            "orders", {"limit": limit, "offset": offset, "since": updated_at.last_value}
        )
        yield [{k: v for k, v in row.items() if not fields or k in fields} for row in page]
        if len(page) < limit:
            return
        offset += limit
"""


@pytest.fixture
def shop(kit: Kit, api: Api, use: Use, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Kit:
    use(api)
    api.set_rows("orders", seed_orders(350))
    monkeypatch.setenv("DLT_BUCKET_URL", (tmp_path / "real-bucket").as_uri())
    return kit


def check(kit: Kit, *arguments: str, streams: str = STREAMS) -> Outcome:
    if not (kit.root / "dlt" / "sources" / "shop").exists():
        kit.add_source("shop", streams, FOUNDING_CLIENT)
    return kit.landing("check", "shop", *arguments)


def statuses(done: Outcome) -> dict[str, str]:
    """The status of each check by its name."""
    lines = [line.split() for line in done.out.splitlines() if line.startswith("  ")]
    return {name: status for name, status, *_ in lines}


def changed(old: str, new: str) -> str:
    assert old in STREAMS
    return STREAMS.replace(old, new)


def test_a_good_source_passes_all_checks(shop: Kit, api: Api, tmp_path: Path) -> None:
    shop.add_source("shop", STREAMS, FOUNDING_CLIENT)
    shop.discover("shop")
    done = check(shop)
    assert done.code == 0, done.text
    assert set(statuses(done).values()) == {"passed"}, done.text
    assert "12 passed, 0 failed, 0 skipped" in done.out
    assert api.token not in done.text
    assert not (tmp_path / "real-bucket").exists(), "the bucket of the settings is never opened"


def test_a_check_leaves_tables_and_their_catalog_alone(
    shop: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.add_source("shop", STREAMS, FOUNDING_CLIENT)
    shop.discover("shop")
    shop.configure(
        "shop",
        "orders",
        primary_key=[["id"]],
        destination_sync_mode="merge",
        table_format="ducklake",
        fields=shop.discovered("shop", "orders")["fields"],
    )
    catalog, tables = tmp_path / "lake.sqlite", tmp_path / "real-tables"
    monkeypatch.setenv("LANDING_DUCKLAKE_CATALOG", f"sqlite://{catalog}")
    monkeypatch.setenv("LANDING_TABLES_URL", tables.as_uri())
    done = check(shop)
    assert done.code == 0, done.text
    assert statuses(done)["resume"] == "passed"
    assert not catalog.exists()
    assert not tables.exists()


def test_the_founding_documents_source_is_checked_as_it_is(shop: Kit) -> None:
    shop.add_source("my_source", FOUNDING_STREAMS, FOUNDING_CLIENT)
    done = shop.landing("check", "my_source")
    assert done.code == 0, done.text
    assert "types        skipped  not discovered yet" in done.out
    assert "fields       skipped  the stream's function has no parameter fields" in done.out


LOGIN_STREAMS = """\
import os
import dlt
from landing.http import Api, SessionLogin

@dlt.resource(primary_key="id")
def visits():
    url = os.environ["VISITS_URL"]
    auth = SessionLogin(f"{url}/login", json={"password": os.environ["VISITS_PASSWORD"]})
    yield from Api(url, auth=auth).pages("visits")
"""


def logs_in(exchange: Exchange) -> None:
    """An API whose login sets two cookies, of which one is no secret."""
    if exchange.seen.path == "/login":
        exchange.handler.send_response(200)
        exchange.handler.send_header("Set-Cookie", "sid=3fb1c0de5a; Path=/; HttpOnly")
        exchange.handler.send_header("Set-Cookie", "zone=Europe/Berlin; Path=/")
        exchange.handler.send_header("Content-Length", "0")
        exchange.handler.end_headers()
    elif exchange.seen.query.get("tell"):
        exchange.reply(200, b'[{"id": 1, "zone": "x", "by": "3fb1c0de5a"}]')
    else:
        exchange.reply(200, b'[{"id": 1, "zone": "Europe/Berlin"}]')


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            ")\n    yield",
            ', cookie="sid")\n    yield',
            "the session's cookie 'sid': not in",
        ),
        (
            '("visits")',
            '("visits", params={"tell": 1})',
            "of the session's cookie 'sid' (a guess: name it with SessionLogin(cookie=…",
        ),
        ("", "", "cookie 'zone' (a guess: name it with SessionLogin(cookie=…)) is in its rec"),
    ],
)
def test_of_a_logins_cookies_the_sessions_own_is_the_secret(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, old: str, new: str, told: str
) -> None:
    kit.add_source("visits", LOGIN_STREAMS.replace(old, new, 1))
    monkeypatch.setenv("VISITS_PASSWORD", "open sesame")
    with serve(logs_in) as server:
        monkeypatch.setenv("VISITS_URL", server.url)
        done = kit.landing("check", "visits", "--only=secrets")
    assert done.code == (0 if "not in" in told else 1), done.text
    assert told in done.out
    assert "3fb1c0de5a" not in done.text


def test_a_read_ends_with_max_rows(shop: Kit, api: Api) -> None:
    done = check(shop, "--max-rows=120")
    assert done.code == 0, done.text
    assert "200 records in 2 pages; there may be more" in done.out
    assert max(int(request.query["offset"]) for request in api.requests) < 300


MISTAKES: dict[str, tuple[str, str, str]] = {
    "primary_key shared": ('primary_key="id"', 'primary_key="paid"', "several different"),
    "primary_key absent": ('primary_key="id"', 'primary_key="note"', "records have no 'note'"),
    "incremental ignored": (
        '"since": updated_at.last_value',
        '"since": "2020"',
        "are older: pass the cursor's last_value to the API",
    ),
    "incremental open": (
        "for row in page]",
        'for row in page if row["updated_at"] > updated_at.last_value]',
        "ask the API for >=, not >",
    ),
    "limit ignored": ('"limit": limit,', '"limit": 100,', "pass limit to the API"),
    "paging skips": ("offset += limit", "offset += limit + 1", "page by a key"),
    "fields ignored": ("if not fields or k in fields", "", "it returned "),
    "fields misses": ("k in fields}", 'k in fields and k != "id"}', "it did not return id"),
    "fields falsifies": (
        "{k: v for k",
        '{k: v if not fields or k != "name" else "" for k',
        "another value if only",
    ),
    "secrets in records": (
        "{k: v for k",
        '{k: v if k != "name" else MyAPI().api_key for k',
        "MY_API_KEY is in its records",
    ),
    "secrets printed": (
        "    offset = 0",
        "    print(MyAPI().api_key)\n    offset = 0",
        "MY_API_KEY is in what it printed or logged",
    ),
    "secrets in state": (
        "    offset = 0",
        "    dlt.current.resource_state()['key'] = MyAPI().api_key\n    offset = 0",
        "MY_API_KEY is in its state",
    ),
    "resume forgets": (
        "    offset = 0",
        "    global reads\n    reads += 1\n    offset = 100 if reads > 2 else 0",
        "records were lost, such as",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found(shop: Kit, mistake: str) -> None:
    old, new, told = MISTAKES[mistake]
    name = mistake.split()[0]
    done = check(shop, "--only", name, streams=changed(old, new) + "\nreads = 0\n")
    assert done.code == 1, done.text
    assert statuses(done)[name] == "FAILED"
    assert told in done.out


def test_values_that_do_not_fit_their_types_are_named(shop: Kit) -> None:
    fields = {"id": {"type": "integer"}, "name": {"type": "integer"}, "nothing": {"type": "string"}}
    shop.configure("shop", "orders", fields=fields)
    done = check(shop, "--only=types")
    assert done.code == 1
    assert "350 records would go to quarantine: name: text where an integer is conf" in done.out
    shop.configure("shop", "orders", fields={**fields, "name": {"type": "string"}})
    assert "no record had nothing" in check(shop, "--only=types").out


def test_cursors_that_cannot_be_compared_are_named(shop: Kit, api: Api) -> None:
    whole = changed('"since": updated_at.last_value', '"since": ""')
    shop.add_source("shop", whole, FOUNDING_CLIENT)
    shop.discover("shop")
    rows = seed_orders(20)
    api.set_rows("orders", [{**row, "updated_at": None} for row in rows[:3]] + rows[3:])
    assert "3 records have none and land once" in check(shop, "--only=cursor").out
    api.set_rows("orders", [{**row, "updated_at": "yesterday"} for row in rows])
    done = check(shop, "--only=cursor")
    assert done.code == 1
    assert "have a 'updated_at' that is no string (date-time)" in done.out


def test_a_config_without_the_streams_cursor(shop: Kit) -> None:
    fields = {"name": {"type": "string"}, "paid": {"type": "boolean"}}
    shop.configure("shop", "orders", sync_mode="full_refresh", fields=fields)
    done = check(shop)
    assert done.code == 0, done.text
    found = statuses(done)
    assert found.pop("edits") == "skipped"
    assert set(found.values()) == {"passed"}


def test_a_stream_without_records_is_no_success(shop: Kit, api: Api) -> None:
    api.set_rows("orders", [])
    done = check(shop)
    assert done.code == 1
    assert statuses(done)["records"] == "FAILED"
    assert statuses(done)["paging"] == "skipped"
    said = check(shop, "--may-be-empty=orders")
    assert said.code == 0
    assert statuses(said)["records"] == "skipped"


def test_an_api_that_is_down_fails_the_first_checks_only(shop: Kit, api: Api) -> None:
    api.fail_next(100, status=403)
    done = check(shop)
    assert done.code == 1
    assert "answered 403" in done.out
    found = statuses(done)
    assert found.pop("connects") == found.pop("records") == "FAILED"
    assert set(found.values()) == {"skipped"}


@pytest.mark.parametrize("name", ["paging", "secrets"])
def test_one_check_of_a_stream_that_cannot_be_read_fails(shop: Kit, api: Api, name: str) -> None:
    after_one_page = changed("        offset += limit", "        raise OSError('gone')")
    done = check(shop, f"--only={name}", "--may-be-empty=orders", streams=after_one_page)
    assert done.code == 1, done.text
    assert statuses(done) == {"connects": "passed", name: "FAILED"}


def test_a_stream_that_cannot_be_read_is_asked_once(shop: Kit, api: Api) -> None:
    after_one_page = changed("        offset += limit", "        raise OSError('gone')")
    done = check(shop, "--may-be-empty=orders", streams=after_one_page)
    assert statuses(done)["records"] == "FAILED"
    assert len(api.requests) == 2, "by connects, and by records"


def test_a_stream_of_one_page_is_interrupted_too(shop: Kit, api: Api) -> None:
    api.set_rows("orders", seed_orders(20))
    forgets = changed(
        "    offset = 0",
        "    global reads\n    reads += 1\n    offset = 5 if reads > 3 else 0",
    )
    done = check(shop, "--only=resume", streams=forgets + "\nreads = 0\n")
    assert statuses(done)["resume"] == "FAILED", done.text


def test_paging_is_compared_though_a_page_is_larger_than_max_rows(shop: Kit) -> None:
    skips = changed("offset += limit", "offset += limit + 1")
    done = check(shop, "--only=paging", "--max-rows=50", streams=skips)
    assert statuses(done)["paging"] == "FAILED", done.text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--only=pages"], "there is no check 'pages'; did you mean 'types'?"),
        (["order"], "has no stream 'order'; did you mean 'orders'?"),
        (["--may-be-empty=oders"], "has no stream 'oders'"),
    ],
)
def test_wrong_usage_is_reported_before_any_request(
    shop: Kit, api: Api, arguments: list[str], told: str
) -> None:
    done = check(shop, *arguments)
    assert done.code == 2
    assert told in done.err
    assert api.requests == []


def test_a_missing_variable_is_wrong_usage(shop: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_API_KEY")
    done = check(shop)
    assert done.code == 2
    assert "MY_API_KEY is not set" in done.err


def test_results_as_json(shop: Kit) -> None:
    done = check(shop, "--json", "--only=limit")
    document: dict[str, Any] = json.loads(done.out)
    assert {key: document[key] for key in ("source", "passed", "failed", "skipped")} == {
        "source": "shop",
        "passed": 2,
        "failed": 0,
        "skipped": 0,
    }
    connects, limit = document["results"]
    assert (connects["stream"], connects["check"]) == (None, "connects")
    assert limit.pop("seconds") >= 0
    assert limit == {
        "stream": "orders",
        "check": "limit",
        "status": "passed",
        "detail": "pages of 5",
    }


OTHER_SHAPES = """\
import dlt
import pyarrow as pa
from landing.http import JsonPage
from .client import MyAPI


@dlt.resource(primary_key="id")
def as_bytes(
    updated_at: dlt.sources.incremental[str] = dlt.sources.incremental("updated_at"),
    limit: int = 100,
):
    api = MyAPI()
    for offset in range(0, 10_000, limit):
        query = {"limit": limit, "offset": offset, "since": updated_at.last_value}
        response = api.session.get(f"{api.base_url}/orders", params=query)
        response.raise_for_status()
        page = JsonPage(response.content, "data")
        yield page
        if len(page) < limit:
            return


@dlt.resource(primary_key="id")
def one_by_one():
    yield from MyAPI().get("orders", {"limit": 1000})


@dlt.resource(primary_key="id")
def as_arrow(limit: int = 100):
    for offset in range(0, 10_000, limit):
        page = MyAPI().get("orders", {"limit": limit, "offset": offset})
        if not page:
            return
        yield pa.Table.from_pylist([{"id": row["id"], "name": row["name"]} for row in page])


@dlt.transformer(data_from=one_by_one)
def lines(order):
    for line in order["lines"]:
        yield {"order": order["id"], **line}


as_bytes.add_filter(lambda page: len(page) > 0)
"""


def test_streams_of_every_shape_pass(shop: Kit) -> None:
    done = check(shop, "--max-rows=150", streams=OTHER_SHAPES)
    assert done.code == 0, done.text
    for stream in ("as_arrow", "as_bytes", "lines", "one_by_one"):
        assert f"shop/{stream}\n" in done.out


def test_the_repositorys_datasette_source_passes(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "shop.db"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE sales (id INTEGER PRIMARY KEY, at TEXT, price REAL, x TEXT)")
        database.executemany(
            "INSERT INTO sales VALUES (?, ?, ?, ?)",
            ((n, f"2024-01-{1 + n % 28:02d}T00:00:00Z", n / 4, "x") for n in range(1, 900)),
        )
    with datasette(file, settings={"max_returned_rows": 50}) as server:
        monkeypatch.setenv("DATASETTE_URL", server.database("shop"))
        kit.discover("datasette")
        fields = kit.discovered("datasette", "sales")["fields"]
        kit.configure(
            "datasette", "sales", sync_mode="incremental", cursor_field=["at"], fields=fields
        )
        done = kit.landing("check", "datasette")
    assert done.code == 0, done.text
    assert [name for name, status in statuses(done).items() if status != "passed"] == ["secrets"]


PLAIN = """\
import os
import dlt
import requests
from landing.http import Api, NumberedPages, OffsetPages

@dlt.resource(primary_key="id")
def orders():
    {body}
"""
ONE_PAGE = 'yield requests.get(os.environ["LIST_URL"], timeout=9).json()["items"]'
FOLLOWED = """\
url = os.environ["LIST_URL"]
    while url:
        answer = requests.get(url, timeout=9).json()
        yield answer["items"]
        url = answer.get("next")"""


def pages_of_ten(count: int, first: int = 1) -> Callable[[Exchange], None]:
    """An API of pages with at most 10 rows, and links to the next."""

    def answer(exchange: Exchange) -> None:
        query = exchange.seen.query
        number = int(query.get("page", first))
        size = min(int(query.get("limit", 10)), 10)
        start = (number - first) * size
        items = [{"id": n} for n in range(start, min(start + size, count))] if start >= 0 else []
        more: dict[str, Any] = {}
        if "limit" not in query and start + size < count:
            more = {"next": f"http://{exchange.seen.headers['Host']}/?page={number + 1}"}
        text = json.dumps({"items": items, **more}).encode()
        exchange.reply(200, text, Content_Type="application/json")

    return answer


def check_paging(kit: Kit, body: str) -> tuple[str, str]:
    kit.add_source("list", PLAIN.format(body=body))
    done = kit.landing("check", "list", "--only=paging")
    return statuses(done)["paging"], done.text


def test_an_answer_that_names_more_than_plain_requests_read(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(pages_of_ten(25)) as server:
        monkeypatch.setenv("LIST_URL", server.url)
        status, said = check_paging(kit, ONE_PAGE)
    assert status == "FAILED"
    assert "the API says that it has more: GET 127.0.0.1/: 'next' names a next page" in said


def test_links_that_plain_requests_followed_are_not_left_over(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(pages_of_ten(25)) as server:
        monkeypatch.setenv("LIST_URL", server.url)
        status, said = check_paging(kit, FOLLOWED)
    assert status == "skipped", said
    assert "no parameter for a page's size that is known" in said


def test_a_total_is_compared_with_what_was_read(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.reply(200, b'{"items": [{"id": 1}, {"id": 2}], "total": 3}')

    with serve(answer) as server:
        monkeypatch.setenv("LIST_URL", server.url)
        status, said = check_paging(kit, ONE_PAGE)
    assert status == "FAILED"
    assert "'total' is 3, and 2 rows came" in said


@pytest.mark.parametrize("first", [0, 1])
def test_pages_of_the_kit_are_compared_without_a_parameter_limit(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    """And where they are counted from 0, that they were read from there."""
    with serve(pages_of_ten(35, first)) as server:
        monkeypatch.setenv("LIST_URL", server.url)
        pages = 'Api(os.environ["LIST_URL"]).pages("", records="items", paging=NumberedPages(500))'
        status, said = check_paging(kit, f"yield from {pages}")
    if first == 0:
        assert status == "FAILED"
        assert "page 0 has 10 records that no page from 1 on has" in said
        assert "first=0" in said
    else:
        assert status == "passed", said
        assert "in pages of 10 and of 9" in said
