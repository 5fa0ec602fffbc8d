"""The `AGENTS.md` of a new workspace: its commands work there, in their order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit import Kit, Zone
from tests.servers.api import Api
from tests.shell import Stage, blocks


def test_the_commands_work_in_a_new_workspace(
    kit: Kit, api: Api, folder_zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = tmp_path / "lake"
    api.set_rows("orders", api.rows()[:150])
    assert kit.landing("init", str(lake), "--no-source").code == 0
    monkeypatch.setenv("SHOP_URL", api.url)
    monkeypatch.setenv("SHOP_TOKEN", api.token)
    stage = Stage(kit, {"https://shop.example.com/api": api.url})
    stage.folder = lake
    found = blocks(lake / "AGENTS.md")
    assert len(found) == 4
    for block in found:
        assert block.is_shell
        assert not block.reason
        stage.play(block)
    assert (lake / "orchestration/dag/streams/shop/orders.json").is_file()
    assert (lake / "orchestration/dlt/sources/shop/recordings").is_dir()
    assert folder_zone.parts("shop", "orders") == [], "nothing has landed"
