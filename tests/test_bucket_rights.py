"""Keys that may not delete: a run needs no deletion, and a compaction says what it lacks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta

import obstore
import pytest

from demo.servers import S3Server
from landing.zone import lease as lease_module
from tests.kit import Kit, Zone
from tests.servers.proxy import Exchange, Fault, Proxy, Request, Response, refuses, serve_proxy
from tests.test_compaction import PATHS, all_ids, compact, hourly

ROWS = """\
import dlt

@dlt.resource(primary_key="id")
def orders():
    yield [{"id": 1}]
"""


def _each_refused(exchange: Exchange) -> None:
    """As S3 answers a deletion of several objects of which it has deleted none."""
    if exchange.request.method == "DELETE":
        refuses(403, "AccessDenied")(exchange)
        return
    keys = re.findall(rb"<Key>(.*?)</Key>", exchange.request.body)
    each = b"<Error><Key>%b</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    body = b"<DeleteResult>%b</DeleteResult>" % b"".join(each % key for key in keys)
    exchange.answer(Response(200, body, {"Content-Type": "application/xml"}))


def _deletes(request: Request) -> bool:
    return request.method == "DELETE" or "delete" in request.query


@pytest.fixture
def bucket(s3: S3Server, zone: Zone, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with serve_proxy(s3.endpoint) as running:
        monkeypatch.setenv("S3_ENDPOINT", running.endpoint)
        yield running


def test_a_run_deletes_nothing_that_it_needs_deleted(
    kit: Kit, zone: Zone, bucket: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.spoil(refuses(403, "AccessDenied"), when=_deletes, times=float("inf"))
    kit.add_source("shop", ROWS)
    kit.configure("shop", "orders", fields={"id": {"type": "integer"}})
    assert "1 row" in kit.run("shop", "orders").out
    lease = json.loads(zone.read(PATHS.lease))
    obstore.put(zone.store, PATHS.lease, json.dumps({**lease, "released": False}).encode())
    monkeypatch.setattr(lease_module, "EXPIRES_AFTER", timedelta(0))
    taken_over = kit.run("shop", "orders")
    assert taken_over.code == 0, taken_over.text
    assert zone.count("shop", "orders") == 2


@pytest.mark.parametrize("refusal", [refuses(403, "AccessDenied"), _each_refused])
def test_a_compaction_that_may_not_delete_says_so_and_is_completed_later(
    kit: Kit, zone: Zone, bucket: Proxy, refusal: Fault
) -> None:
    wanted = all_ids(zone, hourly(zone, days=1, a_day=3))
    bucket.spoil(refusal, when=_deletes, times=float("inf"))
    done = kit.landing("compact", "shop", "orders", "--wait", "0")
    assert done.code == 1
    assert "the bucket refuses to delete" in done.err
    assert "the key may not delete there" in done.err
    assert set(all_ids(zone, zone.parts("shop", "orders"))) == set(wanted)
    bucket.fix()
    compact(kit)
    assert all_ids(zone, zone.parts("shop", "orders")) == wanted
