"""The commands as a person starts them: from any folder, with `.env`, through the real scripts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit import Kit, Zone
from tests.servers.api import Api

FIELDS = {"id": {"type": "integer"}, "updated_at": {"type": "string", "format": "date-time"}}


@pytest.fixture
def orders(kit: Kit) -> Kit:
    kit.add_founding_source()
    kit.configure("my_source", "orders", cursor_field=["updated_at"], fields=FIELDS)
    return kit


def write_env(kit: Kit, **values: str) -> None:
    lines = [f"{name}={value}\n" for name, value in values.items()]
    (kit.repository / ".env").write_text("# local\n" + "".join(lines))


def test_the_commands_of_the_founding_document_in_its_order(
    orders: Kit, api: Api, zone: Zone
) -> None:
    write_env(orders, **api.env())
    orders.config_file("my_source", "orders").unlink()
    assert orders.script("discover-source.py", "my_source").code == 0
    one = orders.script("discover-source.py", "my_source", "orders", "--sample-limit=50")
    assert "orders.json: 10 fields, unchanged" in one.out
    copied = orders.discovered_file("my_source", "orders").read_text()
    orders.configure("my_source", "orders", copied.replace("{", '{"selected": true,', 1))
    assert orders.script("pipeline.py", "my_source", "orders", "--dry-run").code == 0
    assert zone.paths() == []
    done = orders.script("pipeline.py", "my_source", "orders")
    assert done.code == 0, done.text
    assert zone.count("my_source", "orders") == 2_350
    again = orders.script("pipeline.py", "my_source", "--all")
    assert "nothing new" in again.out


@pytest.mark.parametrize("folder", [".", "orchestration", "orchestration/dlt", ".."])
def test_scripts_work_from_any_folder(
    orders: Kit, api: Api, folder_zone: Zone, folder: str
) -> None:
    write_env(orders, **api.env())
    done = orders.script("pipeline.py", "my_source", "orders", cwd=orders.repository / folder)
    assert done.code == 0, done.text


def test_the_console_script_finds_the_workspace_upwards_of_the_current_folder(
    orders: Kit, api: Api, folder_zone: Zone
) -> None:
    write_env(orders, **api.env())
    command = [str(Path(sys.executable).with_name("landing")), "run", "my_source", "orders"]
    for folder in (orders.repository, orders.root / "dag" / "streams"):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_outside_a_workspace(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("landing")), "run", "odoo", "--all"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no workspace" in done.stderr
    assert "Traceback" not in done.stderr


def test_env_files_never_override_the_environment(orders: Kit, api: Api, folder_zone: Zone) -> None:
    write_env(orders, **{**api.env(), "MY_API_KEY": "from the file, wrong"})
    told = orders.script("pipeline.py", "my_source", "orders")
    assert "answered 401" in told.err
    done = orders.script("pipeline.py", "my_source", "orders", **api.env())
    assert done.code == 0, done.text


def test_the_library_dlt_is_not_shadowed_by_the_folder_of_that_name(
    orders: Kit, api: Api, folder_zone: Zone
) -> None:
    write_env(orders, **api.env())
    done = orders.script(
        "pipeline.py", "my_source", "orders", cwd=orders.root, PYTHONPATH=str(orders.root)
    )
    assert done.code == 0, done.text


@pytest.mark.parametrize("script", ["pipeline.py", "discover-source.py"])
def test_help_shows_an_example_and_the_exit_codes(kit: Kit, script: str) -> None:
    done = kit.script(script, "--help")
    assert done.code == 0
    assert f"examples:\n  {script} " in done.out
    assert "exit codes" in done.out


def test_wrong_usage_has_its_own_exit_code(kit: Kit) -> None:
    assert kit.script("pipeline.py").code == 2
    assert kit.script("discover-source.py", "odoo", "--sample-limit=0").code == 2
    assert kit.script("pipeline.py", "odoo", "--al-l").code == 2


def test_output_into_a_closed_pipe_is_no_traceback(
    orders: Kit, api: Api, folder_zone: Zone
) -> None:
    write_env(orders, **api.env())
    script = orders.root / "dlt" / "pipeline.py"
    done = subprocess.run(
        f"{sys.executable} {script} my_source orders --dry-run | head -c 1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr


GIVES_UP = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from landing.cli import main
from landing.cli.verbs import env

def hangs():
    with ThreadPoolExecutor(1) as pool:
        pool.submit(threading.Event().wait)

def call(options, workspace):
    threading.Thread(target=hangs, name="landing-report", daemon=True).start()
    print("told")
    return 1

env.call = call
sys.argv = ["landing", "env", "my_source"]
sys.exit(main())
"""


def test_what_was_given_up_does_not_keep_a_command_from_its_end(kit: Kit) -> None:
    command = [sys.executable, "-c", GIVES_UP]
    done = subprocess.run(
        command, cwd=kit.root, capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout) == (1, "told\n"), done.stderr
