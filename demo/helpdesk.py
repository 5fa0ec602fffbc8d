"""A small help desk with an HTTP API, for the tutorial: `python -m demo.helpdesk`.

    GET   /api/tickets?limit=&offset=&updated_since=   {"total": …, "items": […]}, by updated_at
    PATCH /api/tickets/{id}                            changes a ticket, and its updated_at
    GET   /api/customers?page=&per_page=               a list; the next page is in the header Link
    GET   /openapi.json                                what all this is, for programs

Everything but the last needs the token that it prints. It forgets what was changed when it ends.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

HOST = "127.0.0.1"
PORT = 8123
TOKEN = "helpdesk-demo-token"
TICKETS = 1_200
CUSTOMERS = 90
MOST = 500

Row = dict[str, Any]

_START = datetime(2026, 1, 5, 8, tzinfo=UTC)
_SUBJECTS = ("Cannot sign in", "Invoice is wrong", "Where is my parcel?", "Printer on fire")
_STATES = ("new", "open", "waiting", "solved")


@dataclass
class Helpdesk:
    tickets: list[Row] = field(default_factory=lambda: [_ticket(n) for n in range(1, TICKETS + 1)])
    customers: list[Row] = field(
        default_factory=lambda: [
            {"id": n, "name": f"Customer {n}", "city": ("Köln", "Leeds", "Boston")[n % 3]}
            for n in range(1, CUSTOMERS + 1)
        ]
    )
    lock: threading.Lock = field(default_factory=threading.Lock)

    def found(self, query: dict[str, str]) -> Row:
        limit = min(int(query.get("limit", 100)), MOST)
        offset = int(query.get("offset", 0))
        since = _moment(query.get("updated_since", "1970-01-01T00:00:00Z"))
        with self.lock:
            found = [one for one in self.tickets if _moment(one["updated_at"]) >= since]
            found.sort(key=lambda one: (one["updated_at"], one["id"]))
            return {"total": len(found), "items": found[offset : offset + limit]}

    def change(self, key: int, changes: Row) -> Row | None:
        with self.lock:
            for ticket in self.tickets:
                if ticket["id"] == key:
                    newest = max(_moment(one["updated_at"]) for one in self.tickets)
                    changed = max(newest + timedelta(seconds=1), datetime.now(UTC))
                    ticket |= {**changes, "id": key, "updated_at": _spelled(changed)}
                    return ticket
        return None


def _ticket(number: int) -> Row:
    changed = _START + timedelta(minutes=7 * (number * 37 % TICKETS))
    return {
        "id": number,
        "subject": _SUBJECTS[number % 4],
        "state": _STATES[number * 7 % 4],
        "customer_id": number * 11 % CUSTOMERS + 1,
        "tags": ["urgent", "phone"][: number % 3],
        "minutes_spent": None if number % 4 == 0 else number % 90 / 2,
        "updated_at": _spelled(changed),
    }


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _spelled(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    desk: Helpdesk

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        if parts.path == "/openapi.json":
            self._answer(200, openapi(self._address))
        elif not self._is_signed_in():
            self._answer(401, {"error": "no such token"})
        elif parts.path == "/api/tickets":
            try:
                self._answer(200, self.desk.found(query))
            except (TypeError, ValueError) as error:
                self._answer(400, {"error": str(error)})
        elif parts.path == "/api/customers":
            self._answer_customers(query)
        else:
            self._answer(404, {"error": f"there is no {parts.path}"})

    def do_PATCH(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        match = re.fullmatch(r"/api/tickets/(\d+)", self.path)
        if not self._is_signed_in():
            self._answer(401, {"error": "no such token"})
            return
        changed = self.desk.change(int(match[1]), json.loads(body)) if match else None
        self._answer(200 if changed else 404, changed or {"error": "there is no such ticket"})

    @property
    def _address(self) -> str:
        return f"http://{self.headers.get('Host', HOST)}"

    def _is_signed_in(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _answer_customers(self, query: dict[str, str]) -> None:
        page, size = int(query.get("page", 1)), min(int(query.get("per_page", 30)), MOST)
        found = self.desk.customers[(page - 1) * size : page * size]
        headers = {}
        if page * size < len(self.desk.customers):
            url = f"{self._address}/api/customers?page={page + 1}&per_page={size}"
            headers["Link"] = f'<{url}>; rel="next"'
        self._answer(200, found, headers)

    def _answer(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(document, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet, so that the address stays in sight."""


def openapi(address: str) -> Row:
    """The document that a program such as `landing new --openapi` reads."""
    text, number = {"type": "string"}, {"type": "integer"}
    ticket = {
        "id": number,
        "subject": text,
        "state": text,
        "customer_id": number,
        "tags": {"type": "array", "items": text},
        "minutes_spent": {"type": ["number", "null"]},
        "updated_at": {"type": "string", "format": "date-time"},
    }
    customer = {"id": number, "name": text, "city": text}
    items = {"type": "array", "items": _object(ticket)}
    paged = _parameters({"limit": {**number, "maximum": MOST}, "offset": number})
    since = _parameters({"updated_since": {"type": "string", "format": "date-time"}})
    link = {"headers": {"Link": {"schema": text}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "The help desk", "version": "1"},
        "servers": [{"url": f"{address}/api"}],
        "security": [{"token": []}],
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "paths": {
            "/tickets": {
                "get": {
                    "summary": "Tickets, the oldest change first",
                    "parameters": [*paged, *since],
                    "responses": {"200": _json(_object({"total": number, "items": items}))},
                }
            },
            "/customers": {
                "get": {
                    "summary": "Customers",
                    "parameters": _parameters({"page": number, "per_page": number}),
                    "responses": {
                        "200": {**_json({"type": "array", "items": _object(customer)}), **link}
                    },
                }
            },
        },
    }


def _object(properties: Row) -> Row:
    return {"type": "object", "properties": properties}


def _parameters(schemas: Row) -> list[Row]:
    return [{"name": name, "in": "query", "schema": schema} for name, schema in schemas.items()]


def _json(schema: Row) -> Row:
    return {"description": "", "content": {"application/json": {"schema": schema}}}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m demo.helpdesk", allow_abbrev=False, description=__doc__
    )
    parser.add_argument("--port", type=int, default=PORT, help=f"(default {PORT})")
    port = parser.parse_args().port
    handler = type("Handler", (_Handler,), {"desk": Helpdesk()})
    with ThreadingHTTPServer((HOST, port), handler) as server:
        print(f"http://{HOST}:{server.server_address[1]}/api, token {TOKEN}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("ended")
    return 0


if __name__ == "__main__":
    sys.exit(main())
