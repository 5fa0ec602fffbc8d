"""`landing check --record` and `--replay`: a source checked without its API and its secrets."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.kit import FOUNDING_CLIENT, REPOSITORY, Kit, Outcome
from tests.servers.api import Api, seed_orders, serve_api
from tests.servers.scripted import Exchange, serve

Use = Callable[[Api], None]

IN_FLIGHT = """\
from itertools import count

import dlt
from landing.http import JsonPage, in_flight
from .client import MyAPI


@dlt.resource(primary_key="id")
def orders(limit: int = 20):
    api = MyAPI()

    def page(offset):
        query = {"offset": offset, "limit": limit}
        response = api.session.get(f"{api.base_url}/orders", params=query)
        response.raise_for_status()
        return JsonPage(response.content, "data")

    for found in in_flight(page, count(0, limit), at_once=8):
        if not found:
            return
        yield found
"""


@pytest.fixture
def recorded(kit: Kit, use: Use, monkeypatch: pytest.MonkeyPatch) -> Kit:
    """A recording of a server that is gone, and of whose variables none is set."""
    kit.add_founding_source("shop")
    with serve_api(seed_orders(250)) as api:
        use(api)
        kit.discover("shop")
        done = kit.landing("check", "shop", "--record")
        assert done.code == 0, done.text
        assert "recorded in orchestration/dlt/sources/shop/recordings" in done.err
    for name in api.env():
        monkeypatch.delenv(name)
    assert api.token not in traffic(kit)
    return kit


def traffic(kit: Kit, source: str = "shop") -> str:
    folder = kit.root / "dlt" / "sources" / source / "recordings"
    assert sorted(file.name for file in folder.iterdir()) == ["check.json", "check.yaml"]
    return "".join(file.read_text() for file in folder.iterdir())


def test_a_recording_passes_without_server_and_variables(recorded: Kit) -> None:
    done = recorded.landing("check", "shop", "--replay")
    assert done.code == 0, done.text
    assert "11 passed, 0 failed, 1 skipped" in done.out
    assert "MY_API_KEY: not in output" in done.out
    assert "MY_API_KEY" not in os.environ


def test_a_source_that_asks_otherwise_needs_a_new_recording(
    recorded: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = recorded.root / "dlt" / "sources" / "shop" / "streams.py"
    streams.write_text(streams.read_text().replace('"offset"', '"start"'))
    for module in ("sources.shop", "sources.shop.streams"):
        monkeypatch.delitem(sys.modules, module)
    done = recorded.landing("check", "shop", "--replay")
    assert done.code == 1
    assert "the recording has no answer to this GET http://127.0.0.1:" in done.out
    assert "record again with --record" in done.out


def test_a_recording_that_fails_leaves_the_earlier_one(recorded: Kit) -> None:
    before = traffic(recorded)
    assert recorded.landing("check", "shop", "--record").code == 2  # no variables
    assert traffic(recorded) == before


def test_a_check_that_fails_leaves_the_earlier_recording(recorded: Kit, use: Use) -> None:
    before = traffic(recorded)
    with serve_api(seed_orders(3)) as api:
        use(api)
        os.environ["MY_API_KEY"] = "wrong-key-of-today"
        done = recorded.landing("check", "shop", "--record")
    assert done.code == 1
    assert "not recorded, since a check failed: orchestration/dlt/sources/shop" in done.err
    assert traffic(recorded) == before


COMPRESSED = {
    "plain requests": """\
import os, dlt, requests

@dlt.resource(primary_key="id")
def orders():
    for page in range(4):
        found = requests.get(os.environ["SHOP_URL"], params={"page": page}).json()
        if found:
            yield found
""",
    "the kit": """\
import os, dlt
from landing.http import Api, NumberedPages

@dlt.resource(primary_key="id")
def orders():
    pages = NumberedPages(2, first=0)
    yield from Api(os.environ["SHOP_URL"]).pages("orders", paging=pages)
""",
}


@pytest.mark.parametrize("client", COMPRESSED)
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_answers_are_recorded_in_clear(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, client: str, encoding: str
) -> None:
    compress = {"gzip": gzip.compress, "deflate": zlib.compress}[encoding]

    def answer(exchange: Exchange) -> None:
        page = int(exchange.seen.query.get("page", 0))
        rows = [{"id": 2 * page + n, "by": "pass-phrase-1"} for n in range(2)] if page < 3 else []
        body = compress(json.dumps(rows).encode())
        exchange.reply(200, body, Content_Encoding=encoding, Content_Type="application/json")

    kit.add_source("shop", COMPRESSED[client], "")
    monkeypatch.setenv("SHOP_PASSPHRASE", "pass-phrase-1")
    client_file = kit.root / "dlt" / "sources" / "shop" / "client.py"
    client_file.write_text("import os\nphrase = os.environ.get('SHOP_PASSPHRASE')\n")
    with serve(answer) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        done = kit.landing("check", "shop", "--record", "--only=records")
        assert done.code == 0, done.text
    assert "pass-phrase-1" not in traffic(kit)
    replayed = kit.landing("check", "shop", "--replay", "--only=records")
    assert replayed.code == 0, replayed.text


def test_requests_of_several_threads_are_recorded(
    kit: Kit, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.add_source("shop", IN_FLIGHT, FOUNDING_CLIENT)
    with serve_api(seed_orders(300)) as api:
        use(api)
        assert kit.landing("check", "shop", "--record").code == 0
    assert kit.landing("check", "shop", "--replay").code == 0


def test_a_replay_keeps_no_pace(kit: Kit, use: Use) -> None:
    paced = IN_FLIGHT.replace(
        "    api = MyAPI()\n",
        "    api = MyAPI()\n"
        "    key = {'Authorization': api.session.headers['Authorization']}\n"
        "    api.session = Session(headers=key, pace=Pace(per_day=200, burst=200))\n",
    ).replace("JsonPage, in_flight", "JsonPage, Pace, Session, in_flight")
    kit.add_source("shop", paced, FOUNDING_CLIENT)
    with serve_api(seed_orders(60)) as api:
        use(api)
        assert kit.landing("check", "shop", "--record").code == 0
        asked = len(api.requests)
    for _ in range(200 // asked + 1):
        done = kit.landing("check", "shop", "--replay")
        assert done.code == 0, done.text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--replay"], "has no recording: make one with `landing check shop --record`"),
        (["--replay", "--record"], "not allowed with argument"),
    ],
)
def test_wrong_usage(kit: Kit, arguments: list[str], told: str) -> None:
    kit.add_founding_source("shop")
    done = kit.landing("check", "shop", *arguments)
    assert done.code == 2
    assert told in done.err


def test_a_stream_that_was_not_recorded(recorded: Kit) -> None:
    done = recorded.landing("check", "shop", "order", "--replay")
    assert done.code == 2
    assert "has no traffic of stream 'order'; did you mean 'orders'?" in done.err


def test_without_vcrpy_the_extra_is_named(recorded: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vcr", None)
    done = recorded.landing("check", "shop", "--replay")
    assert done.code == 2
    assert "pip install 'dlt-landing[dev]'" in done.err


SECRETIVE_CLIENT = """\
import os
import requests


class Vault:
    def __init__(self):
        self.url = os.environ["VAULT_URL"]
        self.session = requests.Session()
        form = {
            "grant_type": "client_credentials",
            "client_id": "me",
            "client_secret": os.environ["VAULT_SECRET"],
        }
        answer = self.session.post(f"{self.url}/token", data=form).json()
        self.session.headers["Authorization"] = f"Bearer {answer['access_token']}"
        self.session.headers["X-Vault-Key"] = os.environ["VAULT_KEY"]
        self.session.params = {"api_key": os.environ["VAULT_KEY"]}

    def page(self, after):
        response = self.session.get(f"{self.url}/items", params={"after": after})
        response.raise_for_status()
        return response.json()
"""
KIT_CLIENT = """\
import os
from landing.http import Api, OAuth2ClientCredentials


class Vault:
    def __init__(self):
        url = os.environ["VAULT_URL"]
        secret = os.environ["VAULT_SECRET"]
        auth = OAuth2ClientCredentials(f"{url}/token", "me", secret, client_auth="body")
        self.api = Api(url, auth=auth, headers={"X-Vault-Key": os.environ["VAULT_KEY"]})

    def page(self, after):
        query = {"after": after, "api_key": os.environ["VAULT_KEY"]}
        return self.api.get("items", params=query).json()
"""
SECRETIVE_STREAMS = """\
import dlt
from .client import Vault


@dlt.resource(primary_key="id")
def items():
    vault, after = Vault(), 0
    while after is not None:
        page = vault.page(after)
        yield page["items"]
        after = page["next_page_token"]
"""


@contextmanager
def vault(secrets: dict[str, str]) -> Iterator[str]:
    """An API that gives out a token and a cookie, and repeats what it was given where it can."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            assert parse_qs(body)["client_secret"] == [secrets["secret"]]
            self.answer({"access_token": secrets["token"], "token_type": "bearer"})

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            assert query["api_key"] == [secrets["key"]] == [self.headers["X-Vault-Key"]]
            assert self.headers["Authorization"] == f"Bearer {secrets['token']}"
            after = int(query["after"][0])
            items = [{"id": n} for n in range(after, after + 10)]
            following = after + 10 if after < 40 else None
            link = f"https://{secrets['token']}@example.com?api_key={secrets['key']}"
            more = {"next_page_token": following, "next": link if following else None}
            self.answer({"items": items, **more})

        def answer(self, document: Any) -> None:
            body = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Set-Cookie", f"session={secrets['cookie']}; HttpOnly; Path=/")
            self.send_header("X-Vault-Echo", secrets["key"])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with served(Handler) as url:
        yield url


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("client", [SECRETIVE_CLIENT, KIT_CLIENT], ids=["requests", "kit"])
def test_no_secret_of_any_kind_is_kept(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, client: str
) -> None:
    kit.add_source("vault", SECRETIVE_STREAMS, client)
    secrets = {name: f"{name}+/very=private" for name in ("secret", "key", "token", "cookie")}
    with vault(secrets) as url:
        monkeypatch.setenv("VAULT_URL", url)
        monkeypatch.setenv("VAULT_SECRET", secrets["secret"])
        monkeypatch.setenv("VAULT_KEY", secrets["key"])
        done = kit.landing("check", "vault", "--record")
        assert done.code == 0, done.text
    kept = traffic(kit, "vault")
    assert "very" not in kept
    assert "next_page_token" in kept
    for name in ("VAULT_URL", "VAULT_SECRET", "VAULT_KEY"):
        monkeypatch.delenv(name)
    done = kit.landing("check", "vault", "--replay")
    assert done.code == 0, done.text
    assert "50 records in 5 pages" in done.out


def test_an_address_whose_name_has_token_in_it_is_no_secret(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = KIT_CLIENT.replace('f"{url}/token"', 'os.environ["VAULT_TOKEN_URL"]')
    kit.add_source("vault", SECRETIVE_STREAMS, client)
    secrets = {name: f"{name}-very-private" for name in ("secret", "key", "token", "cookie")}
    with vault(secrets) as url:
        monkeypatch.setenv("VAULT_URL", url)
        monkeypatch.setenv("VAULT_TOKEN_URL", f"{url}/token")
        monkeypatch.setenv("VAULT_SECRET", secrets["secret"])
        monkeypatch.setenv("VAULT_KEY", secrets["key"])
        done = kit.landing("check", "vault", "--record")
        assert done.code == 0, done.text
    assert "VAULT_TOKEN_URL" not in done.out
    done = kit.landing("check", "vault", "--replay")
    assert done.code == 0, done.text
    assert "very-private" not in traffic(kit, "vault")


SHORT_STREAMS = """\
import dlt, os, requests


@dlt.resource(primary_key="id")
def items():
    call = {"args": ["me", os.environ["RPC_PASSWORD"]], "method": "read"}
    answer = requests.post(os.environ["RPC_URL"] + "/rpc?by=" + os.environ["RPC_PASSWORD"],
                           data=__import__("json").dumps(call, separators=(",", ":")))
    yield answer.json()["result"]
"""


@contextmanager
def rpc() -> Iterator[str]:
    """Answers any POST with two rows, whoever asks."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = b'{"result": [{"id": 1}, {"id": 2}]}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with served(Handler) as url:
        yield url


def test_a_token_that_the_api_shows_in_its_records_is_a_leak(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = KIT_CLIENT.replace(
        "return self.api",
        "token = self.api.session.auth.obtain(None).token\n        page = self.api",
    )
    kit.add_source("vault", SECRETIVE_STREAMS, f"{shown}TOKEN")
    client = kit.root / "dlt" / "sources" / "vault" / "client.py"
    ending = '        return {**page, "items": [{**i, "seen": token} for i in page["items"]]}\n'
    client.write_text(client.read_text().replace("TOKEN", ending))
    secrets = {name: f"{name}-very-private" for name in ("secret", "key", "token", "cookie")}
    with vault(secrets) as url:
        monkeypatch.setenv("VAULT_URL", url)
        monkeypatch.setenv("VAULT_SECRET", secrets["secret"])
        monkeypatch.setenv("VAULT_KEY", secrets["key"])
        done = kit.landing("check", "vault", "--only=secrets")
    assert done.code == 1, done.text
    assert "is in its records" in done.out
    assert "very-private" not in done.text


def test_a_password_too_short_to_look_for_in_texts(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.add_source("rpc", SHORT_STREAMS)
    monkeypatch.setenv("RPC_PASSWORD", "adm1n")
    with rpc() as url:
        monkeypatch.setenv("RPC_URL", url)
        done = kit.landing("check", "rpc", "--record")
        assert done.code == 0, done.text
    assert "adm1n" not in traffic(kit, "rpc")
    monkeypatch.delenv("RPC_PASSWORD")
    assert kit.landing("check", "rpc", "--replay").code == 0


START = '"2020-01-01 00:00:00"'
TEST_FILE = """\
from landing.testing import source_checks

test_shop = source_checks("shop")
"""


LOGIN = """\
import os
import dlt
import requests

@dlt.resource(primary_key="id")
def items():
    url = os.environ["SHOP_URL"]
    login = {"data": {"user": "bob", "password": "of-the-login-body"}}
    answer = requests.post(f"{url}/login", json=login)
    answer.raise_for_status()
    token = answer.json()["result"]["token"]
    yield requests.get(f"{url}/items", headers={"X-Session": token}).json()["items"]
"""


@contextmanager
def login_server() -> Iterator[str]:
    """Gives secrets under the names that APIs have for them, in bodies and in headers."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            given = {
                "accessToken": "secret-access",
                "refreshToken": "secret-refresh",
                "Session-Token": "secret-session",
                "result": {"token": "secret-of-login"},
            }
            self.answer(given)

        def do_GET(self) -> None:
            is_in = self.headers.get("X-Session") in ("secret-of-login", "scrubbed")
            items = [{"id": 1}] if is_in else []
            self.answer({"items": items, "nextPageToken": "page-of-two", "hasMore": False})

        def answer(self, document: Any) -> None:
            body = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Refresh-Token", "secret-in-header")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with served(Handler) as url:
        yield url


def test_no_secret_of_a_login_or_of_an_address_is_kept(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.add_source("shop", LOGIN, "")
    with login_server() as url:
        monkeypatch.setenv("SHOP_URL", url.replace("://", "://bob:pw-of-the-address@"))
        done = kit.landing("check", "shop", "--record")
        assert done.code == 0, done.text
    kept = traffic(kit)
    assert "secret-" not in kept
    assert "of-the-login-body" not in kept
    assert "pw-of-the-address" not in kept
    assert "bob:" not in kept
    assert "page-of-two" in kept, "what leads to the next page is needed"
    monkeypatch.delenv("SHOP_URL")
    replayed = kit.landing("check", "shop", "--replay")
    assert replayed.code == 0, replayed.text


def pytest_of(kit: Kit) -> Outcome:
    file = kit.root / "dlt" / "tests" / "test_shop.py"
    file.parent.mkdir()
    file.write_text(TEST_FILE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", "-v", str(file)],
        cwd=kit.root / "dlt",
        env={
            **os.environ,
            "PYTHONPATH": str(REPOSITORY / "src"),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # they take longer to load than all else
        },
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def test_one_line_gives_pytest_the_same_checks(recorded: Kit) -> None:
    done = pytest_of(recorded)
    assert done.code == 0, done.text
    assert "test_shop[orders-connects] PASSED" in done.out
    assert "test_shop[orders-resume] PASSED" in done.out
    assert "11 passed, 1 skipped" in done.out


def test_what_fails_fails_in_pytest(recorded: Kit) -> None:
    streams = recorded.root / "dlt" / "sources" / "shop" / "streams.py"
    streams.write_text(streams.read_text().replace("updated_at.last_value", START))
    done = pytest_of(recorded)
    assert done.code == 1, done.text
    assert "test_shop[orders-incremental] FAILED" in done.out
    assert "Traceback" not in done.text


def test_a_variable_that_the_recording_lacks_fails_in_pytest(recorded: Kit) -> None:
    client = recorded.root / "dlt" / "sources" / "shop" / "client.py"
    old, new = "os.environ[", "os.environ['SHOP_REGION'] and os.environ["
    client.write_text(client.read_text().replace(old, new, 1))
    done = pytest_of(recorded)
    assert done.code == 1, done.text
    assert "SHOP_REGION" in done.out
    assert "record again with --record" in done.out
    assert "nothing is recorded" not in done.out


def test_without_recording_pytest_asks_the_api(kit: Kit, api: Api, use: Use) -> None:
    kit.add_founding_source("shop")
    api.set_rows("orders", seed_orders(120))
    use(api)
    done = pytest_of(kit)
    assert done.code == 0, done.text
    assert api.requests


def test_without_recording_and_variables_pytest_skips(kit: Kit) -> None:
    kit.add_founding_source("shop")
    done = pytest_of(kit)
    assert done.code == 0, done.text
    assert "12 skipped" in done.out
    assert "is not set, but source 'shop' needs it" in done.out
    assert "nothing is recorded in orchestration/dlt/sources/shop/recordings" in done.out
