"""`landing env`: which variables a source needs, which are set, and never what they are."""

from __future__ import annotations

import json
import os

import kubernetes_validate
import pytest
import yaml
from dotenv import dotenv_values

from tests.kit import REPOSITORY, Kit

CLIENT = '''\
"""The shop's API.

Environment:
    SHOP_URL      its address, such as https://shop.example.com
    SHOP_API_KEY  a key that may read orders; made under
                  Settings, API
    SHOP_REGION   optional; joined into a name that nobody finds

Raise the LIMIT  only with care.
"""

import os
from os import environ

raise RuntimeError("nothing of a source is run")


def shop():
    return os.environ["SHOP_URL"], environ["SHOP_API_KEY"], os.getenv("SHOP_PROXY")
'''


@pytest.fixture
def shop(kit: Kit) -> Kit:
    kit.add_source("shop", "", CLIENT)
    return kit


def test_variables_are_listed_with_what_they_are_and_never_their_values(
    shop: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_API_KEY", "hunter2-hunter2")
    monkeypatch.setenv("SHOP_PROXY", " ")
    done = shop.landing("env", "shop")
    assert done.code == 0, done.text
    assert done.out.splitlines() == [
        "shop: 4 variables, 1 of the required ones not set",
        "  SHOP_URL      required  not set  its address, such as https://shop.example.com",
        "  SHOP_API_KEY  required  set      a key that may read orders; made under Settings, API",
        "  SHOP_REGION   optional  not set  optional; joined into a name that nobody finds",
        "  SHOP_PROXY    optional  empty",
    ]
    for form in ("--json", "--dotenv", "--secret"):
        assert "hunter2" not in shop.landing("env", "shop", form).text


def test_what_the_env_file_sets_is_set(shop: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_API_KEY", "k")
    monkeypatch.setenv("SHOP_URL", "")  # taken back after the test, whatever .env sets
    monkeypatch.delenv("SHOP_URL")
    (shop.repository / ".env").write_text("SHOP_URL=https://shop.example.com\n")
    assert "all required ones are set" in shop.landing("env", "shop").out


@pytest.mark.parametrize(
    "content",
    [
        "SHOP_URL=https://ü.example\n".encode("utf-16"),
        "SHOP_URL=https://ü.example\n".encode("utf-8-sig"),
        "SHOP_URL=x\r\nSHOP_URL='https://ü.example'\r\n".encode(),
    ],
)
def test_an_env_file_of_any_editor_is_read(
    shop: Kit, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setenv("SHOP_URL", "")
    monkeypatch.delenv("SHOP_URL")
    (shop.repository / ".env").write_bytes(content)
    shop.landing("env", "shop")
    assert os.environ["SHOP_URL"] == "https://ü.example"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("A=1\nB=ü\n".encode("latin-1"), ".env:2: not UTF-8; save the file as UTF-8"),
        (b"A=1\nB=\0\n", ".env:2: this line has a NUL character"),
        (b"A=1\n\nB='x\n", ".env:3: this line is not NAME=value"),
        (b"A=1\nB C\n", ".env:2: this line is not NAME=value"),
    ],
)
def test_an_env_file_that_can_not_be_read_is_named_with_its_line(
    shop: Kit, content: bytes, message: str
) -> None:
    (shop.repository / ".env").write_bytes(content)
    done = shop.landing("env", "shop")
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.text


def test_programs_read_the_same_as_json(shop: Kit) -> None:
    found = {
        entry.pop("name"): entry for entry in json.loads(shop.landing("env", "shop", "--json").out)
    }
    assert found["SHOP_URL"] == {
        "required": True,
        "state": "not set",
        "secret": False,
        "description": "its address, such as https://shop.example.com",
    }
    assert found["SHOP_API_KEY"]["secret"] is True
    assert found["SHOP_REGION"]["required"] is False


def test_a_skeleton_of_the_secret_is_one_that_a_pod_of_landing_k8s_takes(kit: Kit) -> None:
    secret = yaml.safe_load(kit.landing("env", "odoo", "--secret").out)
    kubernetes_validate.validate(secret, kubernetes_validate.latest_version(), strict=True)
    assert secret["stringData"] == {"ODOO_URL": "", "ODOO_DB": "", "ODOO_USER": ""}
    base = REPOSITORY / "deploy" / "kubernetes" / "example" / "base" / "landing-odoo.yaml"
    assert f"name: {secret['metadata']['name']}\n" in base.read_text()
    bucket = yaml.safe_load(kit.landing("env", "--secret").out)
    assert f"name: {bucket['metadata']['name']}\n" in base.read_text()


def test_a_skeleton_of_the_env_file_is_one(shop: Kit) -> None:
    file = shop.repository / ".env"
    file.write_text(shop.landing("env", "shop", "--dotenv").out)
    assert dotenv_values(file) == {"SHOP_URL": "", "SHOP_API_KEY": ""}
    assert "# SHOP_PROXY=\n" in file.read_text()


def test_mistakes_are_named(shop: Kit) -> None:
    unknown = shop.landing("env", "shpo")
    assert unknown.code == 2
    assert (
        "no source 'shpo'; did you mean 'shop'?; in orchestration/dlt/sources there are"
        in unknown.err
    )
    (shop.root / "dlt" / "sources" / "shop" / "streams.py").write_text("def x(:\n")
    broken = shop.landing("env", "shop")
    assert broken.code == 2
    assert "sources/shop/streams.py, line 1: is not valid Python" in broken.err


def test_the_bucket_s_variables_are_all_documented(kit: Kit) -> None:
    names = [entry["name"] for entry in json.loads(kit.landing("env", "--json").out)]
    text = (REPOSITORY / "docs" / "configuration.md").read_text()
    assert names[0] == "DLT_BUCKET_URL"
    assert {"LANDING_TABLES_URL", "LANDING_DUCKLAKE_CATALOG"} <= set(names)
    assert "# LANDING_DUCKLAKE_CATALOG=\n" in kit.landing("env", "--dotenv").out
    assert '# LANDING_DUCKLAKE_CATALOG: ""\n' in kit.landing("env", "--secret").out
    assert [name for name in names if f"`{name}`" not in text] == []
