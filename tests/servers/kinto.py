"""Kinto, the real one, with a collection of orders: a cursor in the header `Next-Page`.

with kinto(folder, orders=253) as url:
    requests.get(url)
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from demo.servers import HOST, served

PAGE = 50
_BATCH = 25
"""Requests that Kinto takes at once."""
_SETTINGS = f"""\
[app:main]
use = egg:kinto
kinto.userid_hmac_secret = of-the-tests
kinto.storage_backend = kinto.core.storage.memory
kinto.cache_backend = kinto.core.cache.memory
kinto.permission_backend = kinto.core.permission.memory
kinto.bucket_create_principals = system.Everyone
kinto.bucket_write_principals = system.Everyone
kinto.paginate_by = {PAGE}
kinto.batch_max_requests = {_BATCH}

[server:main]
use = egg:waitress#main
host = {HOST}
port = %(http_port)s
"""


@contextmanager
def kinto(folder: Path, orders: int) -> Iterator[str]:
    """The URL of its records."""
    settings = folder / "kinto.ini"
    settings.write_text(_SETTINGS)
    program = [str(Path(sys.executable).parent / "kinto"), "start", f"--ini={settings}"]
    with served(lambda port: [*program, f"--port={port}"]) as url:
        collection = "/buckets/shop/collections/orders"
        _put_all(url, ["/buckets/shop"], {})
        _put_all(url, [collection], {})
        paths = [f"{collection}/records/order-{n}" for n in range(1, orders + 1)]
        for start in range(0, orders, _BATCH):
            _put_all(url, paths[start : start + _BATCH], {"note": "new"})
        yield f"{url}/v1{collection}/records"


def _put_all(url: str, paths: list[str], data: dict[str, Any]) -> None:
    asked = [{"method": "PUT", "path": path, "body": {"data": data}} for path in paths]
    answer = requests.post(f"{url}/v1/batch", json={"requests": asked}, timeout=10)
    answer.raise_for_status()
    statuses = {each["status"] for each in answer.json()["responses"]}
    assert statuses <= {200, 201}, answer.text[:500]
