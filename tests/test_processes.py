"""`landing run --processes`: streams that are divided among processes land as in one."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest
from obstore.store import LocalStore

from landing import events
from landing.catalog.workspace import Workspace
from landing.operations import child_process
from landing.operations.child_process import Work
from landing.operations.processes import started_processes
from tests.kit import FOUNDING_CLIENT, FOUNDING_STREAMS, Kit, Zone
from tests.servers.api import Api

SECRET = "known-to-no-variable"
STREAMS = f'''{FOUNDING_STREAMS}

@dlt.resource
def refused():
    import logging, os, threading
    from landing.errors import SettingsError
    from landing.http import Bearer

    Bearer("{SECRET}")
    logging.getLogger("shop").warning("logged in with {SECRET}")
    os.environ["SHOP_PASSWORD"] = "set-while-it-runs"
    logging.getLogger("shop").warning("set-while-it-runs")
    logging.getLogger("shop").warning("no %s", "lock", extra={{"lock": threading.Lock()}})

    class Refused(SettingsError):
        def __init__(self, user, password):
            super().__init__(f"no access for {{user}} with {{password}}", remedy="ask for it")

    raise Refused("ann", "{SECRET}")
    yield


@dlt.resource
def lethal():
    import os, pathlib, signal, time

    sleeper = os.fork()
    if sleeper == 0:
        time.sleep(60)
        os._exit(0)
    pathlib.Path(os.environ["SLEEPER"]).write_text(str(sleeper))
    os.kill(os.getpid(), signal.SIGKILL)
    yield
'''
INIT = """\
from .streams import lethal, orders, refused

PARALLEL_LOGINS = True
first, second, third = (orders.with_name(name) for name in ("first", "second", "third"))

__all__ = ["first", "lethal", "refused", "second", "third"]
"""
FIELDS = {"id": {"type": "integer"}, "updated_at": {"type": "string", "format": "date-time"}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The landing zone."""
    monkeypatch.setenv("DLT_BUCKET_URL", (tmp_path / "zone").as_uri())
    return tmp_path / "zone"


@pytest.fixture
def shop(kit: Kit, api: Api, use: Callable[[Api], None], folder: Path) -> Kit:
    use(api)
    kit.add_source("shop", STREAMS, FOUNDING_CLIENT, INIT)
    for stream in ("first", "second", "third"):
        kit.configure("shop", stream, fields=FIELDS, cursor_field=["updated_at"])
    return kit


def facts(document: str) -> list[dict[str, Any]]:
    """What a run's document says but for times and sizes."""
    changing = {"seconds", "load_ids", "bytes"}
    return [
        {name: value for name, value in result.items() if name not in changing}
        for result in json.loads(document)
    ]


def test_what_lands_and_what_is_printed_is_that_of_threads(shop: Kit, folder: Path) -> None:
    shop.configure("shop", "refused", fields=FIELDS)
    shop.configure("shop", "wrong", text="{")
    words = ("shop", "--all", "--json", "--log-format", "json")
    threads = shop.run(*words)
    folder.rename(folder.with_name("of-threads"))
    metrics = folder.with_name("metrics.prom")

    done = shop.run(*words, "--processes", "2", "--metrics-file", str(metrics))

    assert done.code == threads.code == 2
    # The class of an error is one that the parent has.
    assert facts(done.out) == facts(threads.out.replace("Refused", "SettingsError"))
    zones = (
        Zone(LocalStore(place), place / "copies")
        for place in (folder, folder.with_name("of-threads"))
    )
    query = "SELECT id, updated_at FROM landed ORDER BY id"
    assert len({str(zone.query("shop", "third", query)) for zone in zones}) == 1
    assert SECRET not in done.text
    events = [json.loads(line) for line in done.err.splitlines()]
    assert len({event["run_id"] for event in events}) == 1
    assert [event["message"] for event in events if event["event"] == "log"] == [
        "logged in with ***",
        "***",
        "no lock",
    ]
    assert 'landing_last_run_rows{source="shop",stream="first"} 2350.0' in metrics.read_text()


def test_a_source_has_to_say_that_it_may_be_logged_in_several_times(shop: Kit) -> None:
    file = shop.root / "dlt/sources/shop/__init__.py"
    file.write_text(INIT.replace("PARALLEL_LOGINS = True", ""))

    done = shop.run("shop", "first", "second", "--processes", "2")

    assert done.code == 2
    assert "source 'shop'" in done.err
    assert "PARALLEL_LOGINS = True in orchestration/dlt/sources/shop/__init__.py" in done.err
    assert shop.run("shop", "first", "--processes", "1").code == 0


def test_streams_of_a_process_that_is_killed_fail_and_the_others_land(
    shop: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the process has left another one behind."""
    shop.configure("shop", "lethal", fields={"id": FIELDS["id"]})
    monkeypatch.setenv("SLEEPER", str(tmp_path / "sleeper"))

    done = shop.run("shop", "first", "lethal", "--processes", "2")

    os.kill(int((tmp_path / "sleeper").read_text()), signal.SIGKILL)  # it sleeps still

    assert done.code == 1
    assert "shop/first: 2,350 rows" in done.out
    assert "ended by SIGKILL" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("count", ["1", "2"])
def test_an_exception_that_is_no_error_shows_no_secret(
    count: str, kit: Kit, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODD_TOKEN", SECRET)
    kit.add_source("odd", ODD, init="from .streams import *\nPARALLEL_LOGINS = True\n")
    for stream in ("ends", "lands"):
        kit.configure("odd", stream, fields={"id": FIELDS["id"]})

    done = kit.script("pipeline.py", "odd", "ends", "lands", "--processes", count)

    assert done.code == 1
    assert "Ended: with ***" in done.err
    assert SECRET not in done.text


ODD = """
import os

import dlt

class Ended(BaseException):
    pass

@dlt.resource
def ends():
    raise Ended("with " + os.environ["ODD_TOKEN"])
    yield

@dlt.resource
def lands():
    yield [{"id": 1}]
"""


def test_a_signal_to_the_parent_ends_all_processes(shop: Kit, api: Api, folder: Path) -> None:
    api.delay = 0.2
    program = shop.start("pipeline.py", "shop", "first", "second", "--processes", "2")
    try:
        wait_for(lambda: len(leases(folder)) == 2 and len(api.requests) > 3)
        program.send_signal(signal.SIGTERM)
        assert program.wait() == 143
    finally:
        program.kill()
    children = {lease["pid"] for lease in leases(folder)}
    assert len(children) == 2
    for pid in children:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert all(lease["released"] for lease in leases(folder))


def test_a_process_ends_when_its_parent_is_gone(shop: Kit, api: Api, folder: Path) -> None:
    api.delay = 0.2
    with started_processes(1) as (process,):
        process.send((sys.path, Work(Workspace(shop.root), "shop", ["first"], 1)))
        wait_for(lambda: len(api.requests) > 1)
        process.connection.close()  # as the system does for a parent that is killed
        assert process.popen.wait(20) == 143
    assert [lease["released"] for lease in leases(folder)] == [True]


def leases(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in folder.glob("_dlt/shop/*/lease.json")]


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_counts_arrive_between_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_process, "_COUNTS_EVERY", 0.01)
    ours, theirs = Pipe()
    parent, counts = child_process.Parent(theirs), events.ReadCounts()
    parent(events.ReadingStarted("orders", counts))
    assert ours.recv().counts == {"orders": (0, 0)}
    counts.pages, counts.rows = 2, 70
    assert ours.poll(5)
    assert ours.recv().counts == {"orders": (2, 70)}
    ours.close()
