"""An HTTP API as many are, with rows to edit and faults to switch on.

    with serve_api() as api:
        os.environ.update(api.env())
        api.update("orders", 7, note="changed")
        api.fail_next(2, status=503)

`GET /{collection}?limit=&offset=&since=&until=` answers `{"data": [...]}`, sorted by (updated_at,
id), to those who bring the bearer token. `GET /bench?limit=&offset=` gives records that were
encoded before, so that a benchmark measures its client. The server is a thread: a benchmark's
client should be another process, or both share one interpreter lock.
"""

from __future__ import annotations

import json
import secrets
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

HOST = "127.0.0.1"
ORDERS = 2_350
BENCH_RECORDS = 200_000

Row = dict[str, Any]

_JSON = "application/json"
_LOGIN_PAGE = b"<!doctype html><title>Sign in</title><h1>Please sign in</h1>"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Request:
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes
    content_type: str = _JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """What happens instead of, or to, one answer."""

    instead: Response | None = None
    is_truncated: bool = False
    is_reset: bool = False


class Api:
    """The state of a running API; all methods may be called while it serves."""

    def __init__(self, url: str, rows: list[Row]) -> None:
        self.url = url
        self.token = secrets.token_hex(16)
        self.accepts: Callable[[Request], bool] = self._has_bearer_token
        """Who is answered; replace it for credentials of another kind."""
        self.delay = 0.0
        self.tells_total = False
        """Whether a header says how many rows there are."""
        self.bench = Bench()
        self.requests: list[Request] = []
        self._collections = {"orders": rows}
        self._faults: deque[Fault | None] = deque()
        self._lock = threading.Lock()

    def env(self) -> dict[str, str]:
        """The variables that the client of the guide's example source reads."""
        return {"MY_API_URL": self.url, "MY_API_KEY": self.token}

    def rows(self, collection: str = "orders") -> list[Row]:
        with self._lock:
            return [dict(row) for row in self._collections[collection]]

    def set_rows(self, collection: str, rows: list[Row]) -> None:
        """Make a collection, or replace all its rows."""
        with self._lock:
            self._collections[collection] = [dict(row) for row in rows]

    def add(self, collection: str, *rows: Row) -> None:
        with self._lock:
            self._collections.setdefault(collection, []).extend(dict(row) for row in rows)

    def update(self, collection: str, key: Any, **changes: Any) -> Row:
        """Change the row with this `id`; unless told, it becomes the one updated last."""
        with self._lock:
            rows = self._collections[collection]
            row = next(row for row in rows if row["id"] == key)
            row.update({"updated_at": _second_after(rows), **changes})
            return dict(row)

    def fail_next(
        self,
        times: int = 1,
        *,
        status: int = 500,
        headers: Mapping[str, str] | None = None,
        after: int = 0,
    ) -> None:
        """Answer `times` requests with an error, once `after` more have been served well."""
        body = json.dumps({"error": f"status {status}"}).encode()
        answer = Response(status, body, headers=dict(headers or {}))
        self._expect(Fault(instead=answer), times, after)

    def rate_limit_next(self, times: int = 1, *, retry_after: int = 1, after: int = 0) -> None:
        self.fail_next(times, status=429, headers={"Retry-After": str(retry_after)}, after=after)

    def html_next(self, times: int = 1, *, after: int = 0) -> None:
        """Answer with a sign-in page and status 200, as APIs behind a single sign-on do."""
        page = Response(200, _LOGIN_PAGE, "text/html; charset=utf-8")
        self._expect(Fault(instead=page), times, after)

    def truncate_next(self, times: int = 1, *, after: int = 0) -> None:
        """Send half of the body that the headers announce, then close."""
        self._expect(Fault(is_truncated=True), times, after)

    def reset_next(self, times: int = 1, *, after: int = 0) -> None:
        """Reset the connection without an answer."""
        self._expect(Fault(is_reset=True), times, after)

    def clear_faults(self) -> None:
        with self._lock:
            self._faults.clear()

    def take_fault(self) -> Fault | None:
        with self._lock:
            return self._faults.popleft() if self._faults else None

    def record(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)

    def answer(self, request: Request) -> Response:
        if not self.accepts(request):
            return _error(401, "missing or wrong credentials")
        collection = request.path.strip("/")
        try:
            limit = int(request.query.get("limit", 100))
            offset = int(request.query.get("offset", 0))
        except ValueError:
            return _error(400, "limit and offset have to be numbers")
        if collection == "bench":
            return Response(200, self.bench.page(limit, offset))
        with self._lock:
            if collection not in self._collections:
                return _error(404, f"no collection {collection}")
            rows = _since(self._collections[collection], request.query.get("since"))
            if until := request.query.get("until"):
                rows = [row for row in rows if _updated(row) < until]
            body = json.dumps({"data": rows[offset : offset + limit]}).encode()
        told = {"X-Total-Count": str(len(rows))} if self.tells_total else {}
        return Response(200, body, headers=told)

    def _has_bearer_token(self, request: Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {self.token}"

    def _expect(self, fault: Fault, times: int, after: int) -> None:
        with self._lock:
            self._faults.extend([None] * after)
            self._faults.extend([fault] * times)


class Bench:
    """`BENCH_RECORDS` records of 25 fields; pages are encoded once and kept as bytes."""

    def __init__(self) -> None:
        self._pages: dict[tuple[int, int], bytes] = {}

    def prepare(self, limit: int = 1_000) -> None:
        """Encode all pages of this size before the clock runs."""
        for offset in range(0, BENCH_RECORDS + limit, limit):
            self.page(limit, offset)

    def page(self, limit: int, offset: int) -> bytes:
        page = self._pages.get((limit, offset))
        if page is None:
            numbers = range(BENCH_RECORDS)[offset : offset + limit]
            rows = [bench_record(number) for number in numbers]
            page = json.dumps({"data": rows}, separators=(",", ":")).encode()
            self._pages[limit, offset] = page
        return page


@contextmanager
def serve_api(orders: list[Row] | None = None, host: str = HOST) -> Iterator[Api]:
    """Run the API on a free port; `orders` are those of `seed_orders` if not given."""
    with _Server((host, 0), _Handler) as server:
        url = f"http://{host}:{server.server_address[1]}"
        server.api = Api(url, seed_orders() if orders is None else [dict(row) for row in orders])
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.api
        finally:
            server.shutdown()
            thread.join()


def seed_orders(count: int = ORDERS) -> list[Row]:
    """Orders of all the kinds of values JSON has; up to seven share an `updated_at`."""
    start = datetime(2024, 1, 1)
    return [
        {
            "id": number,
            "name": f"Order {number}",
            "updated_at": str(start + timedelta(minutes=(number * 37 % count) // 7)),
            "created_on": str((start + timedelta(days=number % 365)).date()),
            "total": round(number * 1.37, 2),
            "paid": number % 3 == 0,
            "note": None if number % 2 else "Grüße aus Köln, 東京 🚀",
            "customer": {"id": number % 50, "name": f"Customer {number % 50}", "vat": None},
            "tags": ["new", "web"][: number % 3],
            "lines": [
                {"sku": f"SKU-{number}-{line}", "quantity": line + 1} for line in range(number % 4)
            ],
        }
        for number in range(1, count + 1)
    ]


def bench_record(number: int) -> Row:
    """A record of 25 fields that depends on nothing but its number."""
    at = datetime(2024, 1, 1) + timedelta(seconds=number * 7)
    return {
        "id": number,
        "uuid": f"{number * 2654435761 % 2**32:08x}-0000-4000-8000-{number:012x}",
        "name": f"Record number {number}",
        "status": ("draft", "sent", "paid", "cancelled")[number % 4],
        "updated_at": at.strftime("%Y-%m-%d %H:%M:%S"),
        "created_at": (at - timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "due_on": (at + timedelta(days=14)).strftime("%Y-%m-%d"),
        "amount": round(number * 0.37 % 10_000, 2),
        "tax": round(number * 0.07 % 2_000, 2),
        "discount": None if number % 5 else 2.5,
        "quantity": number % 100,
        "weight": number % 1_000 / 8,
        "is_active": number % 2 == 0,
        "is_company": number % 7 == 0,
        "currency": ("EUR", "USD", "GBP")[number % 3],
        "country": ("DE", "US", "GB", "JP", "BR")[number % 5],
        "city": ("Köln", "Boston", "Leeds", "東京", "São Paulo")[number % 5],
        "email": f"person{number % 5_000}@example.com",
        "phone": f"+49 221 {number % 1_000_000:06d}",
        "description": f"Delivered in {number % 9 + 1} parcels, to be left at the back door. " * 3,
        "note": None if number % 3 else "call before delivery",
        "customer": {"id": number % 5_000, "name": f"Customer {number % 5_000}"},
        "tags": ["alpha", "beta", "gamma"][: number % 4],
        "lines": [{"sku": f"SKU-{line}", "price": line * 1.5} for line in range(number % 3)],
        "version": number % 11,
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    api: Api

    def shutdown_request(self, request: Any) -> None:
        """Without the polite shutdown, a socket with linger 0 resets when it closes."""
        if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == _RESET_ON_CLOSE:
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle of an answer is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together
    server: _Server

    def do_GET(self) -> None:
        api = self.server.api
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        request = Request(parts.path, query, dict(self.headers.items()))
        api.record(request)
        if api.delay:
            time.sleep(api.delay)
        fault = api.take_fault() or Fault()
        if fault.is_reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.close_connection = True
            return
        response = fault.instead or api.answer(request)
        self._send(response, is_truncated=fault.is_truncated)

    def _send(self, response: Response, *, is_truncated: bool) -> None:
        body = response.body
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if is_truncated:
            body = body[: len(body) // 2]
            self.close_connection = True
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests read `Api.requests`."""


def _error(status: int, reason: str) -> Response:
    return Response(status, json.dumps({"error": reason}).encode())


def _since(rows: list[Row], since: str | None) -> list[Row]:
    found = rows if since is None else [row for row in rows if _updated(row) >= since]
    return sorted(found, key=lambda row: (_updated(row), row["id"]))


def _updated(row: Row) -> str:
    return row.get("updated_at") or ""


def _second_after(rows: list[Row]) -> str:
    newest = max(datetime.fromisoformat(_updated(row)) for row in rows if _updated(row))
    return str(newest + timedelta(seconds=1))
