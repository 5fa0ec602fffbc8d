"""What a new user met in the first hours."""

from __future__ import annotations

import ast
import io
import json
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from landing.catalog.settings import BucketSettings
from landing.errors import SettingsError, class_name, needs
from landing.extraction.failures import request_failed
from landing.operations.recordings.scrubbing import UnscrubbedSecret
from landing.zone.bucket_messages import BucketMessages, Unanswered
from tests.kit import REPOSITORY, Kit, Zone
from tests.servers.api import Api, seed_orders, serve_api


def test_a_recording_of_hashed_fields_needs_no_key(
    kit: Kit, use: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.add_founding_source("shop")
    with serve_api(seed_orders(5)) as api:
        use(api)
        kit.discover("shop")
        kit.configure("shop", "orders", fields={"name": {"type": "string", "privacy": "hash"}})
        monkeypatch.setenv("LANDING_PRIVACY_KEY", "k" * 64)
        recorded = kit.landing("check", "shop", "--record", "--only=types")
        assert recorded.code == 0, recorded.text
    monkeypatch.delenv("LANDING_PRIVACY_KEY")
    replayed = kit.landing("check", "shop", "--replay", "--only=types")
    assert replayed.code == 0, replayed.text
    file = kit.root / "dlt" / "test_shop.py"
    names: dict[str, Any] = {}
    text = 'from landing.testing import source_checks\ntest_shop = source_checks("shop")\n'
    exec(compile(text, file, "exec"), names)
    names["test_shop"]("orders", "types")


def test_arrow_is_read_from_relations() -> None:
    """DuckDB 2 warns of `execute(…).to_arrow_…`, which copies the rows once more."""
    calls = [
        node
        for file in Path(REPOSITORY, "src").rglob("*.py")
        if "to_arrow_" in (text := file.read_text())
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and node.attr.startswith("to_arrow_")
    ]
    assert calls
    assert not [call for call in calls if "execute(" in ast.unparse(call.value)]


@pytest.fixture
def shop(kit: Kit, folder_zone: Zone) -> Kit:
    kit.add_source(
        "shop",
        "import dlt\n\n@dlt.resource(primary_key='id')\n"
        "def rows(at=dlt.sources.incremental('id', initial_value=0)):\n"
        "    yield [{'id': 1, 'wide': 2**70, 'mixed': 'a'}]\n"
        "    yield [{'id': 2, 'wide': 5, 'mixed': 2**70}]\n",
    )
    return kit


def configure(shop: Kit, wide: str) -> None:
    fields = {"id": {"type": "integer"}, "wide": {"type": wide}}
    keys = {"sync_mode": "incremental", "cursor_field": ["id"]}
    shop.configure("shop", "rows", **keys, fields=fields)


def test_https_at_a_port_without_tls_is_named(api: Api) -> None:
    with pytest.raises(requests.exceptions.SSLError) as failed:
        requests.get(api.url.replace("http://", "https://"), timeout=5)
    assert "the server does not speak TLS on this port" in request_failed(failed.value)
    untrusted = requests.exceptions.SSLError(ssl.SSLError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] …"))
    assert "certificate is not trusted" in request_failed(untrusted)
    bucket = BucketMessages(BucketSettings("s3://landing", "https://localhost:8333", False))
    detail = "kind: Connect, source: … InvalidMessage(InvalidContentType)"  # obstore's, in short
    assert "does not speak TLS on this port" in str(bucket.failed("read", "x", detail))


def test_integers_beyond_64_bits_are_named(shop: Kit) -> None:
    out = shop.discover("shop").out
    assert "wide: integers of more than 64 bits; lands as text" in out
    assert "mixed: mixed types" not in out, "both are text by their type"


def test_a_reset_that_is_not_confirmed_and_a_run_that_only_quarantines_say_so(
    shop: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(shop, wide="string")
    assert "2 rows in" in shop.run("shop", "rows").out
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    refused = shop.landing("state", "reset", "shop", "rows")
    assert refused.code == 2
    assert "shop/rows: reset, if you confirm it\n" in refused.out
    assert "shop/rows: reset\n" in shop.landing("state", "reset", "shop", "rows", "--yes").out
    configure(shop, wide="boolean")
    landed = shop.run("shop", "rows")
    assert "shop/rows: no rows, 2 records to quarantine, cursor" in landed.out


def test_options_are_not_abbreviated(shop: Kit) -> None:
    refused = shop.run("shop", "--al")
    assert refused.code == 2
    assert "landing run: error: unrecognized arguments: --al; did you mean '--all'?" in refused.err


def test_sources_are_listed_by_where_they_are(shop: Kit) -> None:
    unknown = shop.run("helpdsk", "rows").err
    assert "no source 'helpdsk'; in orchestration/dlt/sources there are: " in unknown
    assert "datasette" in unknown


def test_a_bucket_that_is_no_folder_is_named_once(
    shop: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.configure("shop", "rows", fields={"id": {"type": "integer"}})
    monkeypatch.setenv("DLT_BUCKET_URL", "file:///proc/nope")
    failed = shop.run("shop", "rows", "--json")
    assert failed.err.count("can't use /proc/nope as a bucket") == 1
    (found,) = json.loads(failed.out)
    assert found["error"]["class"] == "BucketUnusable"
    assert "set a folder that can be made" in found["error"]["remedy"]


def test_classes_of_errors_are_public() -> None:
    assert class_name(Unanswered()) == "BucketUnusable"
    assert class_name(UnscrubbedSecret()) == "LandingError"
    with pytest.raises(SettingsError) as missing, needs("a report", "report"):
        raise ModuleNotFoundError(name="jinja2")
    assert missing.value.remedy is None, "`landing doctor` would not help"
