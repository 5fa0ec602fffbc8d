"""A signal ends a run that waits for servers which accept connections and never answer."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.kit import Kit, Zone

FAILS = """\
import dlt


@dlt.resource
def rows():
    yield [{"n": 1}]
    raise ValueError("no luck")
"""
SETTINGS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "LANDING_ALERT_WEBHOOK", "LANDING_PUSHGATEWAY_URL")


@pytest.fixture
def stalled(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[socket.socket]]:
    """A server for each setting. The kernel completes a connection that nobody accepts."""
    with ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in SETTINGS]
        for name, server in zip(SETTINGS, servers, strict=True):
            server.settimeout(60)
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.getsockname()[1]}")
        yield servers


def test_a_signal_ends_the_wait_for_servers_that_do_not_answer(
    kit: Kit, folder_zone: Zone, stalled: list[socket.socket]
) -> None:
    """A run that failed waits up to ten seconds for them, as it has a problem to report."""
    kit.add_source("shop", FAILS)
    kit.configure("shop", "rows", fields={"n": {"type": "integer"}})
    program = kit.start("pipeline.py", "shop", "rows")
    connections = [server.accept()[0] for server in stalled]
    began = time.monotonic()
    program.send_signal(signal.SIGTERM)
    _, err = program.communicate(timeout=40)
    seconds = time.monotonic() - began
    for connection in connections:
        connection.close()
    assert program.returncode == 128 + signal.SIGTERM, err
    assert "no luck" in err
    assert "interrupted" in err
    assert "gave up" not in err
    assert seconds < 5
    (kept,) = folder_zone.paths_but_released()
    assert "/failures/" in kept, "the lease is free"
