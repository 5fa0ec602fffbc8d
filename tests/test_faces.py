"""What commands look like: colours, narrow terminals, an error that several streams share, and a
process that is gone."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable

import pytest

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.lease import Lease
from landing.zone.process import has_ended, process_name
from tests.kit import Kit, Zone
from tests.servers.api import Api
from tests.test_terminal import Watch
from tests.test_terminal import watched as watched

NAMES = ("orders_of_the_whole_company", "invoices", "lines")
STREAMS = """\
import os
import dlt
from landing.http import Api, Bearer, OffsetPages

def make(name):
    @dlt.resource(name=name, primary_key="id")
    def rows():
        api = Api(os.environ["MY_API_URL"], auth=Bearer(os.environ["MY_API_KEY"]))
        yield from api.pages("orders", records="data", paging=OffsetPages(5000))
    return rows

@dlt.source
def shop():
    return [make(name) for name in ("orders_of_the_whole_company", "invoices", "lines")]
"""
COLOURS = re.compile(r"\x1b\[[\d;]*3\d[\d;]*m")


@pytest.fixture
def shop(kit: Kit, api: Api, folder_zone: Zone, use: Callable[[Api], None]) -> Kit:
    use(api)
    kit.add_source("shop", STREAMS)
    for name in NAMES:
        kit.configure("shop", name, fields={"id": {"type": "integer"}})
    return kit


@pytest.mark.parametrize(
    ("env", "is_coloured"),
    [
        ({"FORCE_COLOR": "1", "TERM": "xterm-256color"}, True),
        ({"FORCE_COLOR": "1", "TERM": "xterm-256color", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, False),
        ({"TERM": "xterm-256color"}, False),
    ],
)
def test_colours_are_shown_where_they_are_wanted(
    shop: Kit, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], is_coloured: bool
) -> None:
    assert shop.run("shop", "--all").code == 0
    for name in ("FORCE_COLOR", "NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    for words in (("status",), ("verify", "shop"), ("doctor",)):
        assert bool(COLOURS.search(shop.landing(*words).out)) is is_coloured, words


def test_a_word_stays_whole_in_a_narrow_terminal(shop: Kit, watched: Watch) -> None:
    assert shop.run("shop", "--all").code == 0
    with watched("verify", "shop", columns=60, rows=200) as screen:
        assert screen.end() == 0
    assert all(len(line) <= 60 for line in screen.lines)
    assert screen.text.split() == shop.landing("verify", "shop").out.split()
    assert COLOURS.search(screen.raw.decode())


def test_a_narrow_table_has_fewer_columns(shop: Kit, watched: Watch) -> None:
    assert shop.run("shop", "--all").code == 0
    with watched("status", columns=60) as screen:
        assert screen.end() == 0
    titles, *rows = screen.lines[:4]
    assert titles.split() == ["STREAM", "STATUS", "RAN", "QUARANTINE"]
    assert [row.split()[0] for row in rows] == [f"shop/{name}" for name in sorted(NAMES)]


def test_an_error_of_several_streams_is_printed_once(
    shop: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", "not-the-key-of-the-api")
    done = shop.run("shop", "--all")
    assert done.code == 1
    assert done.err.count("401") == 1
    assert f"the same for {NAMES[2]}, {NAMES[0]}" in done.err
    assert done.err.count("`landing env shop`") == 1
    failed = json.loads(shop.run("shop", "--all", "--json").out)
    assert [one["status"] for one in failed] == ["failed"] * 3


def test_a_process_that_is_gone_does_not_run(shop: Kit) -> None:
    bucket = Bucket(bucket_settings(Workspace(shop.root)))
    path = StreamPaths("shop", "invoices").lease
    with subprocess.Popen(["sleep", "60"]) as child:
        name = process_name(child.pid)
        assert not has_ended(name)
        child.kill()
    if not name:
        pytest.skip("no /proc")
    assert has_ended(name)
    assert not has_ended("of-another-boot/" + name.partition("/")[2])
    with Lease(bucket, path, "shop/invoices"):
        assert "shop/invoices  running" in re.sub(" +", "  ", shop.landing("status").out)
        held = bucket.get(path)
        assert held is not None
        bucket.put(path, json.dumps({**json.loads(held.data), "process": name}).encode())
        shown = shop.landing("status")
        refused = shop.run("shop", "invoices")
    assert shown.code == 1
    assert "shop/invoices  interrupted" in re.sub(" +", "  ", shown.out)
    assert "and no longer exists" in shown.out
    assert "running" not in shown.out
    assert refused.code == 3
    assert "which no longer exists, holds the lease" in refused.err
    assert "it is free 60 s after it died" in refused.err
