"""Directus, the real one, with a collection of orders: pages by offset or number, and a count
where it is asked for.

    make directus          # once: half a gigabyte from npm, and minutes of compiling
    with directus(folder, orders=230) as url:
        requests.get(url, params={"limit": 50, "meta": "filter_count"})
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from demo.servers import HOST, free_ports
from tests.kit import REPOSITORY

_CLI = REPOSITORY / ".directus" / "node_modules" / "directus" / "cli.js"
TOKEN = "only-for-the-tests-of-directus"
_SECONDS_TO_START = 90.0
_FIELDS = [
    {"field": "id", "type": "integer", "schema": {"is_primary_key": True}},
    {"field": "note", "type": "string", "schema": {}},
]


def is_installed() -> bool:
    return _CLI.exists() and shutil.which("node") is not None


@contextmanager
def directus(folder: Path, orders: int) -> Iterator[str]:
    """The URL of its orders, for the bearer of `TOKEN`."""
    (port,) = free_ports(1)
    own = {
        "DB_CLIENT": "sqlite3",
        "DB_FILENAME": str(folder / "directus.db"),
        "SECRET": "of the tests",
        "ADMIN_EMAIL": "admin@example.com",
        "ADMIN_PASSWORD": "only-for-tests",
        "ADMIN_TOKEN": TOKEN,
        "TELEMETRY": "false",
        "PRESSURE_LIMITER_ENABLED": "false",  # it answers 503 on a busy machine
        "HOST": HOST,
        "PORT": str(port),
    }
    program = ["node", str(_CLI)]
    env = {**os.environ, **own}
    subprocess.run(
        [*program, "bootstrap"], cwd=folder, env=env, check=True, capture_output=True, timeout=180
    )
    with (folder / "directus.log").open("wb") as log:
        process = subprocess.Popen([*program, "start"], cwd=folder, env=env, stdout=log, stderr=log)
        try:
            _fill(f"http://{HOST}:{port}", process, orders)
            yield f"http://{HOST}:{port}/items/orders"
        finally:
            process.terminate()
            process.wait()


def _fill(url: str, process: subprocess.Popen[bytes], orders: int) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        while not _is_up(session, url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("Directus did not start")
            time.sleep(0.2)
        collection = {"collection": "orders", "schema": {}, "fields": _FIELDS}
        rows = [{"id": number, "note": f"Order {number}"} for number in range(1, orders + 1)]
        for path, body in (("collections", collection), ("items/orders", rows)):
            session.post(f"{url}/{path}", json=body, timeout=60).raise_for_status()


def _is_up(session: requests.Session, url: str) -> bool:
    try:
        return session.get(f"{url}/server/ping", timeout=2).ok
    except requests.RequestException:
        return False
