"""What keeps the engine from working is found with its remedy; nothing secret is shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine

from landing.errors import BucketUnusable
from landing.zone.bucket import Bucket, StoredObject
from tests.kit import Kit, Zone
from tests.servers.api import Api
from tests.test_status import FIELDS, STREAMS, configure


@pytest.fixture
def shop(kit: Kit, api: Api, use: Callable[[Api], None]) -> Kit:
    use(api)
    kit.add_source("shop", '"""Environment:\n    MY_API_URL  where it is\n"""\n' + STREAMS)
    configure(kit)
    return kit


def findings(kit: Kit, *words: str) -> list[dict[str, Any]]:
    done = kit.landing("doctor", "--json", *words)
    found: list[dict[str, Any]] = json.loads(done.out)
    assert all(set(one) == {"check", "ok", "found", "remedy"} for one in found)
    assert all((one["remedy"] is None) is one["ok"] for one in found)
    assert done.code == int(not all(one["ok"] for one in found))
    return found


def wrong(kit: Kit, *words: str) -> dict[str, str]:
    return {one["check"]: one["found"] for one in findings(kit, *words) if not one["ok"]}


def test_where_all_is_well_it_says_what_it_looked_at_and_leaves_nothing(
    shop: Kit, zone: Zone
) -> None:
    done = shop.landing("doctor")
    assert done.code == 0, done.out
    for check in ("python", "dlt", "pyarrow", "workspace", ".env", "disk", "writing", "clock"):
        assert f"ok  {check}" in done.out
    assert f"{os.environ['DLT_BUCKET_URL']} at " in done.out
    assert "1 stream config, 1 selected, all valid" in done.out
    assert "\nno problems found; " in done.out
    assert "`landing check shop`" in done.out
    assert zone.paths() == []


def test_a_broken_key_is_found_and_not_shown(
    shop: Kit, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_SECRET_ACCESS_KEY", "a-secret-that-is-wrong")
    done = shop.landing("doctor")
    assert done.code == 1
    assert "its secret is wrong; check S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY" in done.out
    assert "→ `landing env` lists the bucket's variables" in done.out
    assert "a-secret-that-is-wrong" not in done.text
    assert "`landing doctor` checks the bucket and all settings" in (
        shop.landing("status", "shop").err
    )


def test_variables_configs_schedules_and_settings_are_looked_at(
    shop: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MY_API_URL")
    monkeypatch.setenv("LANDING_SLICE_MB", "much")
    configure(shop, schedule="61 * * * *")
    shop.configure("shop", "misspelt", fields={"id": {"type": "intger"}})
    shop.configure("shop", "kept", fields={**FIELDS, "id": {"type": "integer", "privacy": "hash"}})
    shop.add_source("broken", "import no_such_package\n")
    found = wrong(shop)
    assert found["shop"] == "MY_API_URL is not set, where it is"
    assert "'much': it has to be a positive number" in found["settings"]
    assert "schedule: '61 * * * *': minute '61'" in found["shop/orders"]
    assert "intger" in found["shop/misspelt"]
    assert "LANDING_PRIVACY_KEY" in found["shop/kept"]
    assert "no_such_package" in found["broken"]
    assert "odoo" not in found, "nobody has configured it"
    assert "ODOO_URL" in json.dumps(findings(shop, "odoo"))


def test_a_config_of_a_stream_that_the_source_has_not_got_is_found(
    shop: Kit, folder_zone: Zone
) -> None:
    shop.configure("shop", "ordrs", fields=FIELDS)
    found = wrong(shop)
    assert list(found) == ["shop/ordrs"]
    assert "source 'shop' has no stream 'ordrs'; did you mean 'orders'?" in found["shop/ordrs"]


def test_an_extra_that_a_config_needs_and_is_not_installed_is_found(
    shop: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("landing.tables.place.find_spec", lambda name: None)
    table = {"destination_sync_mode": "merge", "table_format": "iceberg", "primary_key": [["id"]]}
    configure(shop, **table)
    assert 'pip install "dlt-landing[iceberg]"' in wrong(shop)["shop/orders"]
    configure(shop, selected=False, **table)
    assert wrong(shop) == {}


def test_packages_out_of_range_and_a_full_disk_are_found(
    shop: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "0.1" if name == "dlt" else version(name))
    monkeypatch.setattr(
        "landing.operations.doctor.machine.platform.python_version", lambda: "3.9.1"
    )
    monkeypatch.setenv("LANDING_SLICE_MB", "99999")
    room = SimpleNamespace(free=150 * 1024**3)
    monkeypatch.setattr("landing.operations.doctor.machine.shutil.disk_usage", lambda folder: room)
    found = wrong(shop)
    needed = next(one for one in metadata.requires("dlt-landing") or [] if one.startswith("dlt<"))
    assert found["packages"].startswith(f"dlt is 0.1, but {needed} is needed")
    assert found["python"] == "3.9.1, but >=3.11 is needed"
    assert found["disk"].startswith("150.0 GB free in ")


def test_a_bucket_that_may_be_read_alone_and_a_wrong_clock_are_found(
    shop: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    with time_machine.travel("2020-01-01 00:00:00Z"):
        # The folder's clock is the real one: it is this process that is years behind.
        assert "s behind the bucket's" in wrong(shop)["clock"]

    def refused(self: Bucket, path: str, content: object) -> StoredObject | None:
        raise BucketUnusable(f"the bucket refuses to write {path}")

    monkeypatch.setattr(Bucket, "put", refused)
    assert "refuses to write" in wrong(shop)["writing"]


def test_outside_a_workspace_it_says_what_it_can(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("landing")), "doctor"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ok  python" in done.stdout
    assert "!!  workspace    no workspace at " in done.stdout
    assert "→ change into the repository that has one" in done.stdout
    assert done.stderr == ""


def test_selected_streams_whose_source_has_no_code_are_named(shop: Kit, zone: Zone) -> None:
    configure(shop, schedule="0 * * * *")
    foreign = {"connector": "airbyte"}
    for source, keys in {
        "shpo": {},
        "crm": {},
        "theirs": foreign,
        "ours": {"connector": "dlt"},
    }.items():
        shop.configure(source, "orders", fields={"id": {"type": "integer"}}, **keys)
    shop.configure("shop2", "orders", fields={"id": {"type": "integer"}}, selected=False)
    found = [one for one in findings(shop) if one["check"] == "streams"]
    mistakes = [one["found"] for one in found if not one["ok"]]
    assert len(mistakes) == 2
    assert "orchestration/dag/streams/ours: 1 selected stream that nothing runs" in mistakes[0]
    assert mistakes[1].endswith("sources/shpo has no code; did you mean 'shop'?")
    others = [one["found"] for one in found if one["ok"]]
    assert ["streams/crm" in one for one in others] == [True]
    for words in (["status"], ["k8s", "--check"]):
        done = shop.landing(*words)
        assert "note: orchestration/dag/streams/shpo: 1 selected stream" in done.text
        assert "streams/crm" in done.text
        assert "streams/theirs" not in done.text


def test_doctor_imports_a_source_that_was_imported_before(
    shop: Kit, folder_zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file of the source or of an installed package changes when a package beside it does."""
    package = tmp_path / "beside" / "our_client.py"
    package.parent.mkdir()
    package.write_text("NAME = 'shop'\n")
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    file = shop.root / "dlt" / "sources" / "shop" / "streams.py"
    file.write_text(file.read_text() + "\nfrom our_client import NAME\n")
    command = [str(Path(sys.executable).with_name("landing")), "doctor", "shop"]

    def said() -> str:
        done = subprocess.run(command, cwd=shop.root, capture_output=True, text=True, check=False)
        return done.stdout

    assert "ok  shop         imports, and all variables" in said()
    package.write_text("RENAMED = 'shop'\n")
    assert "cannot import name 'NAME' from 'our_client'" in said()
