"""A signal ends a command in a line wherever it waits, and the lease of its stream is free."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from demo.servers import S3Server
from tests.command import Program
from tests.kit import Kit, Zone
from tests.servers.api import Api
from tests.servers.proxy import Exchange, Fault, Proxy, Request, answers, serve_proxy

SOURCE = """\
import os
import dlt
from landing.http import Api, Bearer

@dlt.resource(primary_key="id")
def orders():
    api = Api(os.environ["MY_API_URL"], auth=Bearer(os.environ["MY_API_KEY"]))
    yield from api.pages("orders", records="data")
"""
FIELDS = {"id": {"type": "integer"}, "name": {"type": "string"}}
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


class Reached:
    """A fault that says that its request has come."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self.event = threading.Event()

    def __call__(self, exchange: Exchange) -> None:
        self.event.set()
        self._fault(exchange)


@pytest.fixture
def bucket(s3: S3Server, zone: Zone, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with serve_proxy(s3.endpoint) as running:
        monkeypatch.setenv("S3_ENDPOINT", running.endpoint)
        yield running


@pytest.fixture
def shop(kit: Kit, api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The proxy before the API of its one stream."""
    with serve_proxy(api.url) as running:
        monkeypatch.setenv("MY_API_URL", running.url)
        monkeypatch.setenv("MY_API_KEY", api.token)
        kit.add_source("shop", SOURCE)
        kit.configure("shop", "orders", fields=FIELDS)
        yield running


def _silent(exchange: Exchange) -> None:
    exchange.await_patience(60)


_limited = answers(429, Retry_After="60")


def _is_part(request: Request) -> bool:
    return request.method == "PUT" and "/orders/year=" in request.path


def _is_listing(request: Request) -> bool:
    return request.method == "GET" and "prefix=" in request.target


@pytest.mark.parametrize(
    ("script", "where", "fault", "number"),
    [
        ("pipeline.py", "api", _limited, signal.SIGTERM),
        ("pipeline.py", "part", _silent, signal.SIGHUP),
        ("pipeline.py", "listing", _silent, signal.SIGINT),
        ("discover-source.py", "api", _limited, signal.SIGINT),
        ("check", "api", _silent, signal.SIGTERM),
    ],
)
def test_a_signal_ends_a_wait(
    kit: Kit,
    zone: Zone,
    shop: Proxy,
    bucket: Proxy,
    script: str,
    where: str,
    fault: Fault,
    number: signal.Signals,
) -> None:
    reached = Reached(fault)
    if where == "api":
        shop.spoil(reached, times=100)
    else:
        bucket.spoil(reached, when=_is_part if where == "part" else _is_listing, times=100)
    words = ("shop", "orders")
    if script.endswith(".py"):
        program = kit.start(script, *words)
    else:
        program = Program(kit.root, os.environ, (script, *words))
    assert reached.event.wait(30)
    time.sleep(0.2)
    began = time.monotonic()
    program.send_signal(number)
    _, err = program.communicate(timeout=40)
    assert program.returncode == CODES[number], err
    assert time.monotonic() - began < 20, "a pod is killed after 30 s"
    assert "interrupted" in err
    assert "Traceback" not in err
    assert not [path for path in zone.paths_but_released() if path.endswith("lease.json")]
