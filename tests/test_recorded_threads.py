"""A recording ends while another thread is in the middle of a request."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
import urllib3
import vcr

from landing.operations.recordings.recording import _one_request_at_a_time
from tests.servers.scripted import Exchange, serve


def test_the_end_of_a_recording_leaves_nothing_of_vcrpy(tmp_path: Path) -> None:
    asked, answer = threading.Event(), threading.Event()

    def wait(exchange: Exchange) -> None:
        asked.set()
        answer.wait(5)
        exchange.reply(200, b"[]")

    before = urllib3.HTTPConnectionPool.ConnectionCls, urllib3.HTTPConnectionPool.urlopen
    cassette = vcr.VCR(record_mode="all").use_cassette(str(tmp_path / "traffic.yaml"))
    with serve(wait) as server, ThreadPoolExecutor(1) as pool:
        with _one_request_at_a_time(cassette):
            ahead = pool.submit(requests.get, server.url, timeout=10)
            assert asked.wait(5)
            threading.Timer(0.1, answer.set).start()
        assert ahead.done()
        ahead.result()
        assert isinstance(requests.get(server.url, timeout=10).raw, urllib3.HTTPResponse)
    after = urllib3.HTTPConnectionPool.ConnectionCls, urllib3.HTTPConnectionPool.urlopen
    assert after == before
