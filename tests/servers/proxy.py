"""A reverse proxy before a real HTTP server, which spoils some of what passes through it.

    with serve_proxy(api.url) as proxy:
        proxy.spoil(reset_in_mid_answer, times=2, when=lambda request: "offset" in request.query)

Requests reach the server byte for byte as they came, their `Host` included, so that the signatures
of S3 stay valid. What a fault does is a function of the exchange: it may ask the server or not,
and answer as it likes.
"""

from __future__ import annotations

import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

HOST = "127.0.0.1"

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_OF_ONE_CONNECTION = ("connection", "keep-alive", "transfer-encoding", "content-length")
_FOR_THE_HEADERS = 0.02
_SIGN_IN = b"<!doctype html><title>Sign in</title><h1>Please sign in</h1>"


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Exchange:
    """One request and what becomes of it. Whoever handles it ends with one answer or a reset."""

    def __init__(self, request: Request, handler: _Handler) -> None:
        self.request = request
        self._handler = handler

    def forward(self) -> Response:
        """What the server says."""
        upstream = self._begin(len(self.request.body))
        with upstream:
            upstream.send(self.request.body)
            response = upstream.getresponse()
            headers = dict(response.getheaders())
            return Response(response.status, response.read(), headers)

    def forward_slowly(self, between: Callable[[], object]) -> Response:
        """What the server says to a body of which half comes after `between`."""
        body = self.request.body
        with self._begin(len(body)) as upstream:
            upstream.send(body[: len(body) // 2])
            between()
            upstream.send(body[len(body) // 2 :])
            response = upstream.getresponse()
            return Response(response.status, response.read(), dict(response.getheaders()))

    def forward_half(self) -> None:
        """Half of the body reaches the server, and then the connection is gone."""
        size = len(self.request.body)
        with self._begin(size) as upstream:
            upstream.send(self.request.body[: size // 2])

    def answer(self, response: Response) -> None:
        self._handler.answer(response, response.body)

    def answer_half(self, response: Response) -> None:
        """Half of the body that the headers announce, and a reset."""
        self._handler.answer(response, response.body[: len(response.body) // 2])
        time.sleep(_FOR_THE_HEADERS)  # a reset throws away what the client has not read yet
        self.reset()

    def reset(self) -> None:
        self._handler.reset()

    def await_patience(self, seconds: float) -> None:
        """Say nothing until the client has gone, or for so long."""
        connection = self._handler.connection
        connection.settimeout(seconds)
        with suppress(OSError):
            connection.recv(1)
        self.reset()

    def _begin(self, size: int) -> _Upstream:
        request = self.request
        upstream = _Upstream(self._handler.server.upstream, timeout=100)
        upstream.putrequest(
            request.method, request.target, skip_host=True, skip_accept_encoding=True
        )
        for name, value in request.headers.items():
            if name.lower() not in _OF_ONE_CONNECTION:
                upstream.putheader(name, value)
        if size or request.method in ("PUT", "POST"):
            upstream.putheader("Content-Length", str(size))
        upstream.endheaders()
        return upstream


class _Upstream(http.client.HTTPConnection):
    def __enter__(self) -> _Upstream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


Fault = Callable[[Exchange], None]
Matcher = Callable[[Request], bool]


@dataclass
class Spoiled:
    """A fault that waits for its requests; `hits` counts those it has met."""

    fault: Fault
    when: Matcher
    after: int
    times: float
    hits: int = 0

    def takes(self, request: Request) -> bool:
        if not self.times or not self.when(request):
            return False
        if self.after:
            self.after -= 1
            return False
        self.times -= 1
        self.hits += 1
        return True


class Proxy:
    """The state of a running proxy; all methods may be called while it serves."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.on_headers: Callable[[str, str], None] = lambda method, target: None
        """Called for each request before its body is read."""
        self._spoiled: list[Spoiled] = []
        self._lock = threading.Lock()

    @property
    def endpoint(self) -> str:
        return urlsplit(self.url).netloc

    def spoil(
        self,
        fault: Fault,
        *,
        when: Matcher = lambda _: True,
        after: int = 0,
        times: float = 1,
    ) -> Spoiled:
        """Let `fault` have the next `times` requests that match, once `after` more have passed."""
        waiting = Spoiled(fault, when, after, times)
        with self._lock:
            self._spoiled.append(waiting)
        return waiting

    def fix(self) -> None:
        with self._lock:
            self._spoiled.clear()

    def fault_for(self, request: Request) -> Fault:
        with self._lock:
            return next((each.fault for each in self._spoiled if each.takes(request)), passed_on)


def passed_on(exchange: Exchange) -> None:
    exchange.answer(exchange.forward())


def answers(status: int, body: bytes = b"", **headers: str) -> Fault:
    """The answer comes from the proxy; `Retry_After="1"` becomes the header `Retry-After`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda exchange: exchange.answer(Response(status, body, named))


def refuses(status: int, code: str) -> Fault:
    """An error as S3 spells it."""
    body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
    return answers(status, body.encode(), Content_Type="application/xml")


sign_in_page = answers(200, _SIGN_IN, Content_Type="text/html; charset=utf-8")


def silent(seconds: float) -> Fault:
    return lambda exchange: exchange.await_patience(seconds)


def slow(seconds: float) -> Fault:
    def fault(exchange: Exchange) -> None:
        time.sleep(seconds)
        passed_on(exchange)

    return fault


def late(until: threading.Event) -> Fault:
    def fault(exchange: Exchange) -> None:
        until.wait()
        passed_on(exchange)

    return fault


def reset_in_mid_answer(exchange: Exchange) -> None:
    exchange.answer_half(exchange.forward())


def reset_in_mid_upload(exchange: Exchange) -> None:
    exchange.forward_half()
    exchange.reset()


def answer_lost(exchange: Exchange) -> None:
    """The server did as it was asked, but nobody hears of it."""
    exchange.forward()
    exchange.reset()


def truncated_json(exchange: Exchange) -> None:
    """The body ends early, and its length says that this is all."""
    response = exchange.forward()
    exchange.answer(Response(response.status, response.body[: len(response.body) // 2]))


def with_query(change: Callable[[dict[str, str]], dict[str, str]]) -> Fault:
    """Ask the server for something else than the client did."""

    def fault(exchange: Exchange) -> None:
        request = exchange.request
        target = f"{urlsplit(request.target).path}?{urlencode(change(request.query))}"
        exchange.request = Request(request.method, target, request.headers, request.body)
        passed_on(exchange)

    return fault


def edited(change: Callable[[Any], Any]) -> Fault:
    """The server's JSON after a change."""

    def fault(exchange: Exchange) -> None:
        response = exchange.forward()
        body = json.dumps(change(json.loads(response.body))).encode()
        exchange.answer(Response(response.status, body, response.headers))

    return fault


@contextmanager
def serve_proxy(upstream: str, host: str = HOST) -> Iterator[Proxy]:
    """Run a proxy on a free port before the server at `upstream`, a URL or host:port."""
    with _Server((host, 0), _Handler) as server:
        server.upstream = upstream.removeprefix("http://").rstrip("/")
        server.proxy = Proxy(f"http://{host}:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.proxy
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    upstream: str
    proxy: Proxy

    def shutdown_request(self, request: Any) -> None:
        """Without the polite shutdown, a socket with linger 0 resets when it closes."""
        with suppress(OSError):
            if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == _RESET_ON_CLOSE:
                self.close_request(request)
                return
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed, or gave up waiting, is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _pass(self) -> None:
        self.server.proxy.on_headers(self.command, self.path)
        body = self._body()
        request = Request(self.command, self.path, dict(self.headers.items()), body)
        self.server.proxy.fault_for(request)(Exchange(request, self))

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return body

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass

    def answer(self, response: Response, body: bytes) -> None:
        self.send_response_only(response.status)
        announced = {name.lower(): value for name, value in response.headers.items()}
        for name, value in response.headers.items():
            if name.lower() not in _OF_ONE_CONNECTION:
                self.send_header(name, value)
        size = str(len(response.body))
        if self.command == "HEAD":
            size = announced.get("content-length", size)
        if response.status not in (204, 304):
            self.send_header("Content-Length", size)
        self.end_headers()
        self.wfile.write(body)

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Whoever wants to know what passed adds a fault that looks on."""
