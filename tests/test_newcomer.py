"""What a new user met in the first hours."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from tests.kit import REPOSITORY, Kit
from tests.servers.api import seed_orders, serve_api


def test_a_recording_of_hashed_fields_needs_no_key(
    kit: Kit, use: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.add_founding_source("shop")
    with serve_api(seed_orders(5)) as api:
        use(api)
        kit.discover("shop")
        kit.configure("shop", "orders", fields={"name": {"type": "string", "privacy": "hash"}})
        monkeypatch.setenv("LANDING_PRIVACY_KEY", "k" * 64)
        recorded = kit.landing("check", "shop", "--record", "--only=types", "--only=resume")
        assert recorded.code == 0, recorded.text
    monkeypatch.delenv("LANDING_PRIVACY_KEY")
    replayed = kit.landing("check", "shop", "--replay", "--only=types", "--only=resume")
    assert replayed.code == 0, replayed.text
    file = kit.root / "dlt" / "test_shop.py"
    names: dict[str, Any] = {}
    text = 'from landing.testing import source_checks\ntest_shop = source_checks("shop")\n'
    exec(compile(text, file, "exec"), names)
    for check in ("types", "resume"):
        names["test_shop"]("orders", check)


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
