"""Every shell block of the documentation is run, or says why it can't be.

A page's blocks are run in their order, in a workspace where the sources `shop` and `odoo` have
landed: real HTTP servers, and a real S3 server.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyrage
import pytest

from demo.servers import free_ports
from landing.cli.main import VERBS
from landing.cli.parser import Parser
from landing.scaffold.workspace import TEMPLATE
from tests.kit import REPOSITORY, Kit, Zone
from tests.servers.api import Api
from tests.servers.odoo import OdooServer
from tests.shell import Block, Stage, blocks
from tests.test_tutorial import ADDRESS, helpdesk

README = REPOSITORY / "README.md"
TUTORIAL = REPOSITORY / "docs" / "tutorial.md"  # which tests/test_tutorial.py plays
PAGES = [
    page
    for page in [README, REPOSITORY / "SECURITY.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
    if page != TUTORIAL and any(block.is_shell for block in blocks(page))
]
NOT_RUN = [block for page in PAGES for block in blocks(page) if block.reason]
REASONS = {
    "needs a cluster",
    "needs Docker",
    "needs a person",
    "needs age",
    "needs AWS's client",
    "needs dbt",
    "runs until it is stopped",
    "takes 80 minutes",
}
PLACEHOLDER = "PUT-YOUR-age1-KEY-HERE"
CONFIG = "orchestration/dag/streams/shop/orders.json"


@pytest.fixture
def stage(
    kit: Kit, api: Api, zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    home = tmp_path / "home"
    for name, value in {
        "SHOP_URL": api.url,
        "SHOP_API_KEY": api.token,
        "HOME": str(home),
        "DAGSTER_HOME": str(home / "dagster"),
        "EDITOR": "true",
    }.items():
        monkeypatch.setenv(name, value)
    (home / "dagster").mkdir(parents=True)
    (home / "dagster" / "dagster.yaml").write_bytes(
        (REPOSITORY / "deploy" / "dagster" / "dagster.yaml").read_bytes()
    )
    (kit.repository / ".venv").symlink_to(sys.prefix)
    stand_ins = {
        "/var/lib/node_exporter": str(home),
        "http://collector:4318": f"{api.url}/collector",
    }
    with OdooServer(17) as odoo:
        odoo.seed_orders(40)
        for name, value in odoo.environ().items():
            monkeypatch.setenv(name, value)
        yield Stage(kit, stand_ins)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_shell_blocks_of_a_page_work(page: Path, stage: Stage, api: Api) -> None:
    said = " ".join(block.text for block in blocks(page) if block.is_shell and not block.reason)
    if "odoo" in said:
        land_odoo(stage)
    if "shop" in said or "--all" in said or "landing" in said:
        land_shop(stage, api)
    with BEFORE.get(page.name, as_it_is)(stage, api):
        for block in blocks(page):
            stage.play(block)


@pytest.mark.parametrize("block", NOT_RUN, ids=lambda block: block.place)
def test_a_block_that_is_not_run_names_commands_and_options_that_exist(block: Block) -> None:
    assert block.reason in REASONS, f"{block.place}: the reason is none of {sorted(REASONS)}"
    for line in block.lines():
        words = shlex.split(line, comments=True)
        if words[0] == "landing":
            assert_is_taken(words[1], words[2:])
        for word in words:
            if re.match(r"(deploy|docs|orchestration|demo|torture|tools|src)/", word):
                there = (REPOSITORY / word).exists() or (TEMPLATE / word).exists()
                assert there, f"{block.place}: there is no {word}"


def test_few_blocks_are_not_run() -> None:
    count = sum(block.is_shell for page in PAGES for block in blocks(page))
    assert len(NOT_RUN) <= count / 3, [block.place for block in NOT_RUN]


def assert_is_taken(verb: str, words: list[str]) -> None:
    parser = Parser(prog=f"landing {verb}")
    VERBS[verb].configure(parser)
    parser.parse_args(words)  # exits, and so fails the test, if it does not know them


def land_shop(stage: Stage, api: Api) -> None:
    """The README's source, configured as there, with a schedule, and landed twice."""
    hours = [f"2024-01-{1 + n // 24:02} {n % 24:02}:00:00" for n in range(600)]
    rows = zip(api.rows(), hours, strict=False)
    api.set_rows("orders", [{**row, "updated_at": hour} for row, hour in rows])
    for block in blocks(README):
        if block.file:
            stage.play(block)
    configure(stage, schedule="5 * * * *")
    landed(stage, "run", "shop", "orders")
    api.update("orders", 7, name="changed")
    landed(stage, "run", "shop", "orders")


def land_odoo(stage: Stage) -> None:
    """Orders and their lines, with all their fields."""
    landed(stage, "discover", "odoo")
    for stream in ("orders", "order_lines"):
        discovered = stage.kit.discovered("odoo", stream)
        stage.kit.configure("odoo", stream, json.dumps({**discovered, "selected": True}))
    landed(stage, "run", "odoo", "--all")


def landed(stage: Stage, *words: str) -> None:
    done = stage.kit.landing(*words)
    assert done.code == 0, done.text


def configure(stage: Stage, **keys: object) -> None:
    file = stage.kit.repository / CONFIG
    file.write_text(json.dumps({**json.loads(file.read_text()), **keys}))


# What a page takes for granted besides.
@contextmanager
def as_it_is(stage: Stage, api: Api) -> Iterator[None]:
    yield


@contextmanager
def with_the_help_desk(stage: Stage, api: Api) -> Iterator[None]:
    (port,) = free_ports(1)
    stage.stand_ins[ADDRESS] = f"127.0.0.1:{port}"
    with helpdesk(port) as server:
        assert server.stdout is not None
        server.stdout.readline()  # it is up
        yield


@contextmanager
def with_records_that_do_not_fit(stage: Stage, api: Api) -> Iterator[None]:
    api.add("orders", {"id": 9_001, "total": "a lot", "updated_at": "2024-06-01 00:00:00"})
    landed(stage, "run", "shop", "orders")
    yield


@contextmanager
def with_a_stream_that_was_renamed(stage: Stage, api: Api) -> Iterator[None]:
    config = json.loads((stage.kit.repository / CONFIG).read_text())
    stage.kit.configure("shop", "sales_orders", json.dumps({**config, "stream": "sales_orders"}))
    yield


@contextmanager
def with_a_table(stage: Stage, api: Api) -> Iterator[None]:
    configure(stage, destination_sync_mode="merge")
    landed(stage, "run", "shop", "orders")
    yield


@contextmanager
def with_parallel_logins(stage: Stage, api: Api) -> Iterator[None]:
    with (stage.kit.root / "dlt/sources/shop/__init__.py").open("a") as file:
        file.write("\nPARALLEL_LOGINS = True\n")
    for name in [name for name in sys.modules if name.startswith("sources.shop")]:
        del sys.modules[name]  # commands are called in this process
    yield


@contextmanager
def with_git(stage: Stage, api: Api) -> Iterator[None]:
    """And `.sops.yaml` with a key in place of the placeholder."""
    rules = (TEMPLATE / ".sops.yaml.tmpl").read_text()
    key = str(pyrage.x25519.Identity.generate().to_public())
    (stage.kit.repository / ".sops.yaml").write_text(rules.replace(PLACEHOLDER, key))
    subprocess.run(["git", "init", "--quiet", str(stage.kit.repository)], check=True)
    yield


BEFORE = {
    "index.md": with_the_help_desk,
    "landing-zone.md": with_records_that_do_not_fit,
    "quarantine.md": with_records_that_do_not_fit,
    "operations.md": with_a_stream_that_was_renamed,
    "scaling.md": with_parallel_logins,
    "tables.md": with_a_table,
    "deployment.md": with_git,
}
