"""A server whose answers a test writes itself, down to the bytes, and that keeps what it was sent.

def answer(exchange):
    exchange.reply(200, b"{}")

with serve(answer) as server:
    requests.get(server.url)
    assert server.seen[0].headers["Accept"] == "*/*"
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Seen:
    """A request as it arrived; `at` by the monotonic clock."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    at: float
    client: tuple[str, int]


class Exchange:
    """One request, and the means to answer it."""

    def __init__(
        self, handler: BaseHTTPRequestHandler, seen: Seen, number: int, of_path: int
    ) -> None:
        self.handler = handler
        self.seen = seen
        self.number = number
        """Of the request, of which the server's first is 1."""
        self.of_path = of_path
        """The same among those for its path."""

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer in full; underscores in the names of headers are hyphens."""
        self.head(status, **{"Content_Length": str(len(body)), **headers})
        if self.seen.method != "HEAD":
            self.write(body)

    def head(self, status: int, **headers: str) -> None:
        self.handler.send_response(status)
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()

    def write(self, data: bytes) -> None:
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def cut(self) -> None:
        """Close the connection after what was written."""
        self.handler.close_connection = True


class Server:
    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: list[Seen] = []
        self.under_way = 0
        self.most_under_way = 0


@contextmanager
def serve(answer: Callable[[Exchange], None]) -> Iterator[Server]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            at = time.monotonic()
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen = Seen(
                self.command,
                url.path,
                dict(parse_qsl(url.query)),
                {name.title(): value for name, value in self.headers.items()},
                body,
                at,
                self.client_address,
            )
            with lock:
                server.seen.append(seen)
                number = len(server.seen)
                of_path = sum(each.path == seen.path for each in server.seen)
                server.under_way += 1
                server.most_under_way = max(server.most_under_way, server.under_way)
            try:
                answer(Exchange(self, seen, number, of_path))
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True
            finally:
                with lock:
                    server.under_way -= 1

        do_POST = do_PUT = do_DELETE = do_HEAD = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    class Listener(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: Any, client_address: Any) -> None:
            if not isinstance(sys.exception(), ConnectionError):  # the client went away
                super().handle_error(request, client_address)

    with Listener(("127.0.0.1", 0), Handler) as listener:
        server = Server(f"http://127.0.0.1:{listener.server_port}")
        thread = threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()
