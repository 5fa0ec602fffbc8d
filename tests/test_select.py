"""`landing select`: a checklist in a terminal, and options for scripts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from landing.catalog.fields import Field
from landing.operations.selection.private_names import looks_private
from tests.kit import Kit
from tests.servers.api import Api
from tests.terminal import Screen, terminal

STREAMS = '''\
import os

import dlt
from landing.http import Api, Bearer, OffsetPages


def pages(path, **params):
    api = Api(os.environ["MY_API_URL"], auth=Bearer(os.environ["MY_API_KEY"]))
    return api.pages(path, records="data", params=params, paging=OffsetPages(500))


@dlt.resource(primary_key="id")
def orders(
    updated_at: dlt.sources.incremental[str] = dlt.sources.incremental(
        "updated_at", initial_value="2020-01-01 00:00:00"
    ),
):
    """What customers bought."""
    yield from pages("orders", since=updated_at.last_value)


@dlt.resource
def customers():
    yield from pages("customers")
'''
ROWS = [
    {
        "id": number,
        "total": number * 1.5,
        "email": f"person{number}@example.com",
        "note": "quick" if number == 2 else None,
        "updated_at": f"2024-01-{number:02} 00:00:00",
    }
    for number in range(1, 5)
]
PEOPLE = [{"id": number, "name": f"Person {number}", "rank": 5} for number in range(3)]
CONFIG = """\
{
  "stream": "orders",
  "sync_mode": "incremental",
  "destination_sync_mode": "append",
  "primary_key": [["id"]],
  "cursor_field": ["updated_at"],
  "selected": true,
  "fields": {
    "id": {"type": "integer"},
    "total": {"type": "number"},
    "updated_at": {"type": "string", "format": "date-time"}
  }
}
"""
DOWN = b"\x1b[B"


@pytest.fixture
def shop(kit: Kit, api: Api, use: Callable[[Api], None]) -> Kit:
    use(api)
    api.set_rows("orders", ROWS)
    api.set_rows("customers", PEOPLE)
    kit.add_source("shop", STREAMS)
    assert kit.discover("shop").code == 0
    return kit


def config(kit: Kit, stream: str = "orders") -> Any:
    return json.loads(kit.config_file("shop", stream).read_text())


def select(kit: Kit, *words: str, code: int = 0) -> str:
    done = kit.landing("select", "shop", "orders", *words)
    assert done.code == code, done.text
    return done.text


def test_chosen_fields_are_written_as_a_person_writes_them(shop: Kit) -> None:
    said = select(shop, "--fields", "total")
    expected = CONFIG.replace(
        '"sync_mode"', '"description": "What customers bought.",\n  "sync_mode"', 1
    )
    assert shop.config_file("shop", "orders").read_text() == expected
    assert "orders.json: 3 of 5 fields" in said
    assert "looks private and does not land: email" in said
    assert "unchanged" in select(shop, "--fields", "total")


def test_an_existing_file_keeps_its_keys_their_order_and_its_layout(shop: Kit) -> None:
    file = shop.config_file("shop", "orders")
    file.parent.mkdir(parents=True)
    written = json.loads(CONFIG)
    written = {"$schema": "x", "fields": written.pop("fields"), "schedule": "5 * * * *", **written}
    written["fields"]["total"] = {"type": "string", "description": "with tax"}
    file.write_text(json.dumps(written, indent=4) + "\n")
    select(shop, "--add", "note", "--hash", "email")
    written["fields"]["email"] = {"type": "string", "privacy": "hash"}
    written["fields"]["note"] = {"type": "string"}
    assert file.read_text() == json.dumps(json.loads(file.read_text()), indent=4) + "\n"
    assert list(config(shop)) == list(written)
    assert config(shop) == written
    assert "~ total" not in select(shop, "--remove", "note,email")
    assert list(config(shop)["fields"]) == ["id", "total", "updated_at"]


def test_key_cursor_and_selection_are_options(shop: Kit) -> None:
    select(shop, "--all-fields", "--cursor", "none", "--primary-key", "id,total")
    written = config(shop)
    assert (written["sync_mode"], written["primary_key"]) == ("full_refresh", [["id"], ["total"]])
    assert "cursor_field" not in written
    select(shop, "--cursor", "updated_at", "--primary-key", "none", "--off")
    written = config(shop)
    assert (written["sync_mode"], written["cursor_field"]) == ("incremental", ["updated_at"])
    assert written["selected"] is False
    assert "primary_key" not in written
    assert list(written)[-1] == "fields"


def test_mistakes_change_nothing(shop: Kit) -> None:
    select(shop, "--fields", "total")
    before = shop.config_file("shop", "orders").read_text()
    assert "no field 'totl'; did you mean 'total'?" in select(shop, "--add", "totl", code=2)
    assert "'id' is not in fields" in select(shop, "--remove", "id", code=2)
    assert "use --all-fields" in select(shop, code=2).replace("say which ones with", "use")
    assert shop.config_file("shop", "orders").read_text() == before
    unknown = shop.landing("select", "shop", "order", "--all-fields")
    assert "'order' has no discovered schema; did you mean 'orders'?" in unknown.err
    assert "`landing discover shop order`" in unknown.err
    several = shop.landing("select", "shop", "--fields", "id")
    assert (several.code, "--fields is about one stream" in several.err) == (2, True)


def test_all_streams_can_be_selected_at_once(shop: Kit) -> None:
    done = shop.landing("select", "shop", "--all-fields")
    assert done.code == 0, done.text
    assert config(shop, "customers")["fields"]["name"] == {"type": "string"}
    assert len(config(shop)["fields"]) == 5
    shop.config_file("shop", "customers").unlink()
    select(shop, "--off")
    assert shop.landing("select", "shop", "--discover", "--accept").code == 0
    assert config(shop)["selected"] is False, "as it was"
    assert not shop.config_file("shop", "customers").exists()
    select(shop, "--on")
    assert config(shop)["selected"] is True


def test_rediscovery_is_merged_with_what_was_chosen_and_what_the_source_has(
    shop: Kit, api: Api
) -> None:
    select(shop, "--fields", "total,note")
    changed = [
        {
            **{n: v for n, v in row.items() if n != "note"},
            "total": "1.50 EUR",
            "tax": 1,
            "phone": "1",
        }
        for row in ROWS
    ]
    api.set_rows("orders", changed)
    said = select(shop, "--discover", "--accept")
    for line in (
        "note: not in the discovered schema",
        "~ total: number → string",
        "+ tax: integer",
    ):
        assert line in said
    assert "does not land: email, phone" in said, "left out before, and new but private"
    assert list(config(shop)["fields"]) == ["id", "total", "note", "updated_at", "tax"]
    assert "tax" in shop.discovered("shop", "orders")["fields"]


def test_git_knows_which_fields_are_new_and_which_types_a_person_edited(
    shop: Kit, api: Api
) -> None:
    select(shop, "--fields", "total")
    written = config(shop)
    written["fields"]["total"] = {"type": "string"}
    shop.configure("shop", "orders", json.dumps(written))
    git = ["git", "-C", str(shop.repository), "-c", "user.name=x", "-c", "user.email=x@example.com"]
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "as chosen"]):
        subprocess.run([*git, *words], check=True)
    api.update("orders", 1, tax=1)
    found = shop.discover("shop", "orders")
    assert "`landing select shop orders` takes changes over into its config" in found.err
    done = shop.landing("select", "shop", "orders", "--json")
    (document,) = json.loads(done.out)
    states = {one["name"]: one["state"] for one in document["fields"]}
    assert states == {
        "id": "selected",
        "total": "selected",
        "updated_at": "selected",
        "email": "left_out",
        "note": "left_out",
        "tax": "new",
    }
    assert document["written"] is False
    assert config(shop) == written


@contextmanager
def asked(kit: Kit, *words: str, **env: str) -> Iterator[Screen]:
    command = [str(Path(sys.executable).with_name("landing")), "select", "shop", *words]
    around = {**os.environ, "TERM": "xterm-256color", **env}
    with terminal(command, around, kit.root) as screen:
        yield screen


def test_a_checklist_shows_a_sample_and_ctrl_c_leaves_the_file(shop: Kit) -> None:
    with asked(shop, "customers") as screen:
        screen.until("Fields of customers to land", "private?")
        lines = [" ".join(line.split()) for line in screen.lines]
        assert "FIELD TYPE NULL SAMPLE" in lines
        assert "» ● id integer 0% 0" in lines
        assert "○ name string 0% private?" in lines
        assert "Person" not in screen.text
        screen.type(DOWN + b" \r")
        screen.until("name looks private")
        screen.type(DOWN + b"\r")
        screen.until("Primary key")
        screen.type(b"\r")
        assert screen.end() == 0
        assert "customers.json: 3 of 3 fields" in screen.text
        assert "landing run shop customers --dry-run" in screen.text
    written = config(shop, "customers")
    assert written["primary_key"] == [["id"]]
    assert written["fields"]["name"] == {"type": "string", "privacy": "hash"}
    with asked(shop, "customers", "--no-sample") as screen:
        screen.until("Fields of customers to land", "hash")
        screen.type(b" \x03")
        assert screen.end() == 130
        assert "interrupted" in screen.text
    assert config(shop, "customers") == written


def test_each_change_of_the_source_is_asked_about(shop: Kit, api: Api) -> None:
    select(shop, "--fields", "total,note")
    api.set_rows("orders", [{**row, "total": "dear", "tax": 7} for row in ROWS])
    with asked(shop, "--discover") as screen:
        screen.until("Streams of shop", "● orders")
        screen.type(b"\r")
        screen.until("orders.total is number; in the source: string. Take that type?")
        screen.type(b"y")
        screen.until("Fields of orders to land", "cursor", "new")
        assert any("○ tax" in line and line.endswith("new") for line in screen.lines), screen.text
        screen.type(b"\x1b[A \r")  # the last one
        assert screen.end() == 0
    fields = config(shop)["fields"]
    assert fields["total"] == {"type": "string"}
    assert fields["tax"] == {"type": "integer"}


def test_without_its_library_it_names_the_extra(shop: Kit) -> None:
    (shop.repository / "questionary.py").write_text("raise ModuleNotFoundError(name='questionary')")
    with asked(shop, "orders", "--no-sample", PYTHONPATH=str(shop.repository)) as screen:
        assert screen.end() == 2
        said = " ".join(screen.text.split())
    assert "pip install 'dlt-landing[select]'; or name the fields: --fields A,B" in said


@pytest.mark.parametrize(
    ("stream", "name", "field", "is_private"),
    [
        ("orders", "billingAddress", Field(type="object"), True),
        ("orders", "first_name", Field(type="string"), True),
        ("customers", "name", Field(type="string"), True),
        ("products", "name", Field(type="string"), False),
        ("orders", "api_key", Field(type="string"), True),
        ("orders", "email_verified", Field(type="boolean"), False),
        ("orders", "zip_file_size", Field(type="integer"), True),
        ("orders", "total", Field(type="number"), False),
        ("orders", "contact", Field(type="string", format="email"), True),
    ],
)
def test_what_looks_private(stream: str, name: str, field: Field, is_private: bool) -> None:
    assert looks_private(stream, name, field) is is_private
