"""`landing select` keeps what a person chose: fields, members, types and the file itself."""

from __future__ import annotations

import json
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from landing.catalog.config_document import config_document
from landing.catalog.fields import Field
from landing.catalog.files import read_discovered, write_discovered
from landing.catalog.replacement import replace
from landing.catalog.workspace import Workspace, find_workspace
from landing.errors import CatalogError
from landing.operations.selection.private_names import looks_private
from landing.operations.selection.widening import widens
from tests.kit import Kit
from tests.servers.api import Api
from tests.test_select import CONFIG, ROWS, STREAMS, config, select


@pytest.fixture
def shop(kit: Kit, api: Api, use: Callable[[Api], None]) -> Kit:
    use(api)
    api.set_rows("orders", ROWS)
    kit.add_source("shop", STREAMS)
    assert kit.discover("shop", "orders").code == 0
    return kit


def configured(kit: Kit, change: Callable[[Any], None] = lambda fields: None) -> Path:
    document = json.loads(CONFIG)
    change(document["fields"])
    file = kit.config_file("shop", "orders")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=2) + "\n")
    return file


def rediscovered(kit: Kit, change: Callable[[Any], None]) -> None:
    file = kit.discovered_file("shop", "orders")
    document = json.loads(file.read_text())
    change(document["fields"])
    file.write_text(json.dumps(document))


def commit(kit: Kit) -> None:
    git = ["git", "-C", str(kit.repository), "-c", "user.name=x", "-c", "user.email=x@example.com"]
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "as chosen"]):
        subprocess.run([*git, *words], check=True)


def test_a_field_that_a_sample_lacks_stays_with_its_privacy(shop: Kit, api: Api) -> None:
    private = {"type": "number", "privacy": "hash"}
    configured(shop, lambda fields: fields.update(total=private))
    api.set_rows("orders", [{n: v for n, v in row.items() if n != "total"} for row in ROWS])
    said = select(shop, "--discover", "--accept")
    assert "total: not in the discovered schema; --remove total takes it out" in said
    assert "- total" not in said
    api.set_rows("orders", ROWS)
    select(shop, "--discover", "--accept")
    assert config(shop)["fields"]["total"] == private


@pytest.mark.parametrize("with_git", [True, False])
def test_a_field_that_was_left_out_never_comes_back(shop: Kit, api: Api, with_git: bool) -> None:
    configured(shop, lambda fields: fields.pop("total"))
    if with_git:
        commit(shop)
    api.set_rows("orders", [{"id": 1, "updated_at": "2024-01-01 00:00:00", "fresh": 1}])
    assert "+ fresh: integer" in select(shop, "--discover", "--accept")
    if with_git:
        commit(shop)
    api.set_rows("orders", ROWS)
    select(shop, "--discover", "--accept")
    assert list(config(shop)["fields"]) == ["id", "updated_at", "fresh"]


def test_git_remembers_fields_that_a_later_discovery_lacked(shop: Kit, api: Api) -> None:
    configured(shop, lambda fields: fields.pop("total"))
    commit(shop)
    rediscovered(shop, lambda fields: fields.pop("total"))
    file = shop.config_file("shop", "orders")
    file.write_text(file.read_text().replace("true", "false"))
    commit(shop)
    rediscovered(shop, lambda fields: fields.update(total={"type": "number"}, tax={"type": "null"}))
    select(shop, "--accept")
    assert list(config(shop)["fields"]) == ["id", "updated_at", "tax"]


def test_fields_and_types_written_by_hand_stay(shop: Kit) -> None:
    by_hand = {"type": "string", "description": "rare"}
    configured(shop, lambda fields: fields.update(coupon=by_hand, id={"type": "string"}))
    before = config(shop)
    rediscovered(shop, lambda fields: fields["id"].update(type="number"))
    said = select(shop, "--accept")  # nothing is known without Git
    assert "id: number at the source; it stays string unless you change it" in said
    assert config(shop) == before
    commit(shop)
    rediscovered(shop, lambda fields: fields["id"].update(type=["integer", "boolean"]))
    said = select(shop, "--accept")
    assert config(shop) == before
    assert "coupon" not in said


def test_members_that_were_left_out_stay_out_and_new_ones_are_named(shop: Kit) -> None:
    names = {"id": {"type": "integer"}, "ssn": {"type": "string"}, "city": {"type": "string"}}
    lines = {"type": "array", "items": {"type": "object", "properties": names}}
    rediscovered(
        shop,
        lambda fields: fields.update(customer={"type": "object", "properties": names}, lines=lines),
    )
    mine = {"type": "object", "properties": {"id": {"type": "integer", "privacy": "hash"}}}
    configured(
        shop, lambda fields: fields.update(customer=mine, lines={"type": "array", "items": mine})
    )
    commit(shop)
    newer = {
        "type": ["object", "null"],
        "properties": {**names, "vat": {"type": "string"}, "email": {"type": "string"}},
    }
    rediscovered(
        shop,
        lambda fields: fields.update(
            customer=newer, lines={"type": "array", "items": newer}, buyer=newer
        ),
    )
    said = select(shop, "--accept")
    fields = config(shop)["fields"]
    wanted = {**mine["properties"], "vat": {"type": "string"}}  # type: ignore[dict-item]
    assert fields["customer"] == {"type": ["object", "null"], "properties": wanted}
    assert fields["lines"]["items"] == fields["customer"]
    assert "+ customer.vat: string" in said
    assert "+ lines[].vat: string" in said
    assert "looks private and does not land: email, buyer" in said


@pytest.mark.parametrize(
    ("ours", "found", "expected"),
    [
        (Field(type="integer"), Field(type="number"), True),
        (Field(type="number"), Field(type="string"), True),
        (Field(type="string", format="date-time"), Field(type="string"), True),
        (Field(type="boolean"), Field(type=["integer", "string"]), True),
        (Field(type="null"), Field(type="string"), True),
        (Field(type="null"), Field(type="object"), False),
        (Field(type="string"), Field(type="integer"), False),
        (Field(type="string"), Field(type="string", format="date"), False),
        (Field(type="object", properties={}), Field(type=["object", "string"]), False),
        (Field(type="array", items=Field(type="integer")), Field(type="integer"), False),
    ],
)
def test_wider_types(ours: Field, found: Field, expected: bool) -> None:
    assert widens(ours, found) is expected


def test_an_object_with_a_private_member_looks_private() -> None:
    inner = Field(type="object", properties={"email": Field(type="string")})
    assert looks_private("orders", "lines", Field(type="array", items=inner))
    assert not looks_private("orders", "lines", Field(type="object", properties={}))


@pytest.fixture
def workspace(shop: Kit) -> Workspace:
    return find_workspace(shop.root)


def edit(workspace: Workspace, change: Callable[[], object] = lambda: None) -> None:
    schema = read_discovered(workspace, "shop", "orders")
    one = config_document(workspace, "shop", "orders")
    assert schema is not None
    assert one.value is not None
    change()
    fields = {**one.value["fields"], "note": {"type": "string"}}
    one.write("shop", {**one.value, "fields": fields}, schema)


def test_a_file_that_changed_meanwhile_stays(shop: Kit, workspace: Workspace) -> None:
    file = configured(shop)
    with pytest.raises(CatalogError, match="somebody changed it after it was read"):
        edit(workspace, lambda: file.write_text(CONFIG.replace("true", "false")))
    assert file.read_text() == CONFIG.replace("true", "false")
    with pytest.raises(CatalogError, match="somebody changed it"):
        edit(workspace, file.unlink)
    assert list(file.parent.iterdir()) == []


def test_links_modes_newlines_and_numbers_stay(shop: Kit, workspace: Workspace) -> None:
    file = configured(shop)
    text = CONFIG.replace('"fields"', '"initial_value": 12345678901234567890.10,\n  "fields"')
    real = file.with_name("real.txt")
    real.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    real.chmod(0o640)
    file.unlink()
    file.symlink_to(real)
    edit(workspace)
    assert file.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    note = '"format": "date-time"},\n    "note": {"type": "string"}\n'
    expected = text.replace('"format": "date-time"}\n', note)
    assert real.read_bytes() == b"\xef\xbb\xbf" + expected.replace("\n", "\r\n").encode()


def test_a_file_that_cannot_be_written_is_named(shop: Kit, workspace: Workspace) -> None:
    file = configured(shop)
    file.chmod(0o440)
    before = file.read_text()
    assert "orders.json is read-only" in select(shop, "--add", "note", code=2)
    assert file.read_text() == before
    file.unlink()
    file.mkdir()
    said = select(shop, "--all-fields", code=2)
    assert "orders.json: can't be written: Is a directory" in said
    assert list(file.parent.iterdir()) == [file]


def test_a_draft_is_unique_and_goes_when_interrupted(tmp_path: Path) -> None:
    file = tmp_path / "orders.json"
    file.write_text("old")

    def interrupted() -> None:
        replace(file, "inner", b"inner")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace(file, "orders.json", b"outer", interrupted)
    assert [one.name for one in tmp_path.iterdir()] == ["orders.json"]
    assert file.read_text() == "inner"


def test_a_full_disk_is_named(shop: Kit, workspace: Workspace) -> None:
    schema = read_discovered(workspace, "shop", "orders")
    assert schema is not None
    file = shop.discovered_file("shop", "orders")
    before = file.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
    try:
        with pytest.raises(CatalogError, match=r"orders\.json: can't be written: File too large"):
            write_discovered(workspace, "shop", schema)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file.read_bytes() == before
    assert list(file.parent.glob(".*.tmp")) == []
