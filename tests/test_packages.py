"""Sources that are installed as packages: those of this repository, and what `landing new
--package` writes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from landing.catalog.installed import installed_sources
from tests.kit import Kit, Zone
from tests.servers.scripted import Exchange, serve

NEW = ("new", "shop", "--package", "--auth", "bearer", "--paging", "none", "--streams", "orders")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on Python's path; what it gets counts as installed."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    installed_sources.cache_clear()
    yield folder
    installed_sources.cache_clear()
    for name in [name for name in sys.modules if name.startswith("landing_source_")]:
        del sys.modules[name]


def declare(folder: Path, package: str, source: str, module: str) -> None:
    metadata = folder / f"{package}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[landing.sources]\n{source} = {module}\n")
    installed_sources.cache_clear()


def answer(exchange: Exchange) -> None:
    if exchange.seen.headers.get("Authorization") == "Bearer right":
        exchange.reply(200, json.dumps([{"id": 1}, {"id": 2}]).encode())
    else:
        exchange.reply(401, b'{"message": "unknown token"}')


def test_a_source_as_a_package_is_written_installed_and_run(
    kit: Kit, zone: Zone, installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with serve(answer) as api:
        monkeypatch.setenv("SHOP_URL", api.url)
        monkeypatch.setenv("SHOP_TOKEN", "right")
        monkeypatch.chdir(elsewhere)
        made = kit.landing(*NEW, "--base-url", api.url)
        assert made.code == 0, made.text
        assert "cd landing-source-shop && pip install -e '.[dev]'" in made.out
        assert "exists already" in kit.landing(*NEW, "--base-url", api.url).err
        package = elsewhere / "landing-source-shop"
        install = ["pip", "install", "-q", "--no-deps", "--no-index", "--no-build-isolation"]
        command = [sys.executable, "-m", *install, "--target", str(installed), str(package)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        installed_sources.cache_clear()

        monkeypatch.chdir(package)  # a workspace as well, for its own tests
        assert kit.landing("check", "shop", "--replay").code == 2, "nothing is recorded"
        checked = kit.landing("check", "shop", "--record")
        assert checked.code == 0, checked.text
        assert kit.landing("check", "shop", "--replay").code == 0

        monkeypatch.chdir(kit.repository)
        assert "SHOP_TOKEN" in kit.landing("env", "shop").out
        assert "shop/" not in kit.landing("status").text, "it is not used here yet"
        assert kit.discover("shop").code == 0
        kit.configure("shop", "orders", fields={"id": {"type": "integer"}})
        done = kit.run("shop", "--all")
        assert done.code == 0, done.text
        assert zone.count("shop", "orders") == 2
        assert "shop/orders" in kit.landing("status").out
        assert "1 stream config, 1 selected, all valid" in kit.landing("doctor", "shop").out

        kit.add_source("shop", "import dlt\n\n@dlt.resource\ndef own():\n    yield {'id': 1}\n")
        assert "it has: own" in kit.run("shop", "orders").err, "the workspace's own comes first"


def test_the_sources_of_this_repository_are_installed_with_it() -> None:
    assert {"datasette", "odoo"} <= installed_sources().keys()


def test_an_error_in_an_installed_source_names_its_file_and_line(kit: Kit, installed: Path) -> None:
    module = installed / "landing_source_broken"
    module.mkdir()
    streams = "import dlt\n\n@dlt.resource\ndef rows():\n    yield [{'id': {}['no']}]\n"
    (module / "__init__.py").write_text(streams)
    declare(installed, "broken", "broken", "landing_source_broken")
    error = kit.discover("broken").err
    assert "landing_source_broken/__init__.py, line 5" in error
    (module / "__init__.py").write_text("import dlt\n\nrows = 1 +\n")
    del sys.modules["landing_source_broken"]
    error = kit.discover("broken").err
    assert "landing_source_broken/__init__.py, line 3: not valid Python" in error


def test_wrong_entry_points_are_errors_that_name_the_package(kit: Kit, installed: Path) -> None:
    declare(installed, "gone", "shop", "landing_source_gone")
    assert "gone names 'landing_source_gone' as its package" in kit.discover("shop").err
    declare(installed, "other", "shop", "landing_source_other")
    error = kit.discover("shop").err
    assert "installed twice, by gone and by other" in error or "by other and by gone" in error
    declare(installed, "odd", "odd", "a b/../c")
    assert "the entry point of odd is 'a b/../c'" in kit.discover("odd").err
    raises = installed / "landing_source_raises"
    raises.mkdir()
    (raises / "__init__.py").write_text("1 / 0")
    declare(installed, "raises", "raises", "landing_source_raises.inner")
    assert "raises names 'landing_source_raises.inner' as its package" in kit.discover("raises").err
    for verb in ("status", "doctor", "discover"):
        assert "Traceback" not in kit.landing(verb, *["sho"] * (verb == "discover")).err
    kit.add_source("shop", "import dlt\n\n@dlt.resource\ndef own():\n    yield {'id': 1}\n")
    assert kit.discover("shop").code == 0, "a folder comes first"


@pytest.mark.parametrize(
    "code", ["raise SystemExit(0)", "@dlt.source\ndef all_():\n    raise SystemExit(0)"]
)
def test_a_source_that_exits_has_failed(kit: Kit, code: str) -> None:
    kit.add_source("shop", f"import dlt\n\n{code}\n")
    kit.configure("shop", "orders", fields={"id": {"type": "integer"}})
    for words in (("run", "shop", "orders"), ("discover", "shop"), ("check", "shop")):
        done = kit.landing(*words)
        assert done.code != 0, words
        assert "called sys.exit(0)" in done.text, words


def test_nothing_is_removed_of_a_source_that_is_not_installed_here(
    kit: Kit, installed: Path
) -> None:
    package = installed / "landing_source_there"
    package.mkdir()
    streams = "import dlt\n\n@dlt.resource\ndef rows():\n    yield {'id': 1}\n"
    (package / "__init__.py").write_text(streams)
    declare(installed, "there", "there", "landing_source_there")
    schedule = {"schedule": "5 * * * *", "sync_mode": "full_refresh"}
    kit.configure("there", "rows", fields={"id": {"type": "integer"}}, **schedule)
    assert kit.landing("k8s").code == 0
    assert kit.landing("dbt").code == 0
    installed_sources.cache_clear()
    shutil.rmtree(installed / "there-1.0.dist-info")
    for verb in ("k8s", "dbt"):
        refused = kit.landing(verb)
        assert refused.code == 2, refused.text
        assert "nothing was written" in refused.err
    assert (kit.repository / "deploy/kubernetes/base/landing-there.yaml").is_file()
    assert (kit.repository / "dbt/landing/models/there/rows").is_dir()
    assert "no package of that name is installed" in kit.landing("fresh").err
