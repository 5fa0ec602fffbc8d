"""Who must not learn what: redirects, everything told or stored, names, configuration."""

from __future__ import annotations

import base64
import logging
import os
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from dlt.sources.helpers.requests import Client
from requests.auth import AuthBase, HTTPDigestAuth

from landing import secrets
from landing.catalog.names import check_name
from landing.catalog.workspace import find_workspace
from landing.errors import CatalogError, SettingsError
from landing.extraction.sources import load_source
from landing.http import Retries, Session
from landing.http.redirects import guard
from landing.http.retries import GaveUp
from tests.kit import REPOSITORY, Kit, Zone
from tests.servers.scripted import Exchange, Server, serve

SECRET = "s3cr3t-4f7a/9b+c=="


@pytest.fixture
def elsewhere() -> Iterator[Server]:
    """A host that credentials were never meant for; it keeps all that it is sent."""

    def answer(exchange: Exchange) -> None:
        if exchange.seen.path == "/first":
            exchange.reply(302, Location="/second")
        else:
            exchange.reply(200, b'{"data": []}')

    with serve(answer) as server:
        yield server


@pytest.fixture
def api(elsewhere: Server) -> Iterator[Server]:
    """An API that sends its callers elsewhere, with whatever status they ask for in the path."""

    def answer(exchange: Exchange) -> None:
        query = f"?api_key={exchange.seen.query['api_key']}" if exchange.seen.query else ""
        status = int(exchange.seen.path.strip("/") or 302)
        cookie = f"session={SECRET}; Path=/"
        exchange.reply(status, Location=f"{elsewhere.url}/first{query}", Set_Cookie=cookie)

    with serve(answer) as server:
        yield server


CLIENTS: dict[str, Callable[[], Any]] = {
    "kit": Session,
    "requests": requests.Session,
    "dlt": lambda: Client(request_max_attempts=1).session,
}


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> Any:
    guard()
    return CLIENTS[request.param]()


class KeyAuth(AuthBase):
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-Custom-Auth"] = SECRET
        return request


def in_header(client: Any, url: str) -> None:
    client.headers["X-API-Key"] = SECRET
    client.get(url)


def in_header_of_the_call(client: Any, url: str) -> None:
    client.get(url, headers={"X-Anything": SECRET})


def as_bearer(client: Any, url: str) -> None:
    client.headers["Authorization"] = f"Bearer {SECRET}"
    client.get(url)


def as_cookie(client: Any, url: str) -> None:
    client.cookies.set("sid", SECRET)
    client.get(url, cookies={"other": SECRET})


def as_basic(client: Any, url: str) -> None:
    client.get(url, auth=("user", SECRET))


def as_basic_in_the_address(client: Any, url: str) -> None:
    client.get(url.replace("//", f"//user:{requests.utils.quote(SECRET, safe='')}@"))


def as_auth_value(client: Any, url: str) -> None:
    client.auth = KeyAuth()
    client.get(url)


def as_parameter(client: Any, url: str) -> None:
    client.get(url, params={"api_key": SECRET})


def as_parameter_of_the_session(client: Any, url: str) -> None:
    client.params = {"api_key": SECRET}
    client.get(url)


WAYS = [
    in_header,
    in_header_of_the_call,
    as_bearer,
    as_cookie,
    as_basic,
    as_basic_in_the_address,
    as_auth_value,
    as_parameter,
    as_parameter_of_the_session,
]


def told(server: Server) -> str:
    return "\n".join(str((seen.path, seen.query, seen.headers, seen.body)) for seen in server.seen)


def spellings(secret: str) -> set[str]:
    quoted = requests.utils.quote(secret, safe="")
    packed = base64.b64encode(f"user:{secret}".encode()).decode()
    return {secret, quoted, packed, packed.rstrip("=")[4:-2]}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("way", WAYS)
def test_no_credentials_follow_a_redirect_to_another_host(
    api: Server,
    elsewhere: Server,
    client: Any,
    way: Callable[[Any, str], None],
    status: int,
) -> None:
    way(client, f"{api.url}/{status}")
    assert SECRET in told(api) or any(spelled in told(api) for spelled in spellings(SECRET))
    assert [seen.path for seen in elsewhere.seen] == ["/first", "/second"]
    for spelled in spellings(SECRET):
        assert spelled not in told(elsewhere)
    for seen in elsewhere.seen:
        assert set(seen.headers) <= {
            "Accept",
            "Accept-Encoding",
            "Connection",
            "Content-Length",
            "Content-Type",
            "Host",
            "User-Agent",
        }


@pytest.mark.parametrize("status", [307, 308])
def test_a_body_does_not_follow_to_another_host(
    api: Server, elsewhere: Server, client: Any, status: int
) -> None:
    """The form of a login, say, or of a token's request."""
    with pytest.raises(GaveUp, match="together with its body"):
        client.post(f"{api.url}/{status}", data={"client_secret": SECRET})
    assert elsewhere.seen == []


def test_what_netrc_has_is_not_added_on_the_way(
    api: Server, elsewhere: Server, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login user password {SECRET}\n")
    monkeypatch.setenv("NETRC", str(netrc))
    client.get(api.url)
    assert not any("Authorization" in seen.headers for seen in elsewhere.seen)


def test_a_challenge_of_another_host_is_not_answered(client: Any) -> None:
    """Digest answers a 401 from a hook that travels with the request."""

    def challenge(exchange: Exchange) -> None:
        exchange.reply(401, WWW_Authenticate='Digest realm="x", nonce="n", qop="auth"')

    with serve(challenge) as other:

        def send_on(exchange: Exchange) -> None:
            exchange.reply(302, Location=other.url)

        with serve(send_on) as first:
            response = Session() if isinstance(client, Session) else requests.Session()
            response.get(first.url, auth=HTTPDigestAuth("user", SECRET))
    assert len(other.seen) == 1
    assert "Authorization" not in other.seen[0].headers


def test_a_way_back_home_still_knows_its_cookies(client: Any) -> None:
    """As a single sign-on goes: there, elsewhere, and back with a code."""
    urls: dict[str, str] = {}

    def home(exchange: Exchange) -> None:
        match exchange.seen.path:
            case "/":
                exchange.reply(302, Location=f"{urls['login']}/", Set_Cookie="home=1; Path=/")
            case _:
                exchange.reply(200, b"{}")

    def login(exchange: Exchange) -> None:
        exchange.reply(302, Location=f"{urls['home']}/back?code=1", Set_Cookie="login=1; Path=/")

    with serve(home) as at_home, serve(login) as at_login:
        # Two names of this machine, since cookies don't know ports.
        urls.update(home=at_home.url, login=at_login.url.replace("127.0.0.1", "localhost"))
        client.get(at_home.url)
    assert "Cookie" not in at_login.seen[0].headers
    assert at_home.seen[1].headers["Cookie"] == "home=1"


REDIRECTED = """\
import os, dlt, requests

@dlt.resource
def rows():
    session = requests.Session()
    session.headers["X-API-Key"] = os.environ["MY_API_KEY"]
    session.cookies["sid"] = os.environ["MY_API_KEY"]
    yield session.get(os.environ["MY_API_URL"]).json()["data"]
"""


def test_a_source_on_plain_requests_is_guarded_by_the_engine(
    kit: Kit,
    folder_zone: Zone,
    api: Server,
    elsewhere: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_API_KEY", SECRET)
    monkeypatch.setenv("MY_API_URL", api.url)
    kit.add_source("shop", REDIRECTED)
    kit.configure("shop", "rows", fields={"id": {"type": "integer"}})
    done = kit.forked("pipeline.py", "shop", "rows")
    assert done.code == 0, done.text
    assert SECRET in told(api)
    assert len(elsewhere.seen) == 2
    assert SECRET not in told(elsewhere)


def reveals(text: str, secret: str) -> bool:
    """Whether the secret is in the text: as it is, quoted, or inside base64."""
    if any(spelled in text for spelled in spellings(secret)):
        return True
    for packed in re.findall(r"[A-Za-z0-9+/]{12,}", text):
        for begin in range(4):
            piece = packed[begin : begin + (len(packed) - begin) // 4 * 4]
            if secret[3:9].encode() in base64.b64decode(piece):
                return True
    return False


def fails_with(code: str) -> str:
    return f"""\
import base64, logging, os, dlt, requests
from urllib.parse import quote
from landing import secrets

@dlt.resource
def rows():
    yield [{{"id": 1}}]
    secret = os.environ["SHOP_PASSPHRASE"]
    url = os.environ["SHOP_URL"]
    {code}
"""


LEAKS = {
    "message": 'raise ValueError(f"the key {secret} is wrong")',
    "query": 'requests.get(url, params={"key": secret}).raise_for_status()',
    "userinfo": 'requests.get(url.replace("//", f"//u:{quote(secret, safe=chr(0))}@"))'
    ".raise_for_status()",
    "header": 'raise RuntimeError({"Authorization": f"Bearer {secret}"})',
    "basic": 'raise RuntimeError("Basic " + base64.b64encode(f"usr:{secret}".encode()).decode())',
    "base64": 'raise RuntimeError("x" + base64.b64encode(f"us:{secret}!".encode()).decode())',
    "echo": 'raise RuntimeError(requests.get(url, headers={"X-Key": secret}).text)',
    "chain": 'raise RuntimeError("outer") from ValueError(secret)',
    "repr": "raise KeyError(repr(secret))",
    "run time": "new = 'tok-' + secret[::-1]; secrets.register(new); raise RuntimeError(new)",
}


@pytest.mark.parametrize("leak", LEAKS)
def test_secrets_are_in_no_output_and_no_stored_object(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, leak: str
) -> None:
    def echo(exchange: Exchange) -> None:
        body = repr(exchange.seen.headers) if leak == "echo" else "{}"
        exchange.reply(200 if leak == "echo" else 500, body.encode())

    with serve(echo) as server:
        monkeypatch.setenv("SHOP_PASSPHRASE", SECRET)
        monkeypatch.setenv("SHOP_URL", server.url)
        kit.add_source("shop", fails_with(LEAKS[leak]))
        kit.configure("shop", "rows", fields={"id": {"type": "integer"}})
        metrics = kit.root / "landing.prom"
        outcomes = [
            kit.run("shop", "rows", f"--metrics-file={metrics}"),
            kit.run("shop", "rows", "--debug"),
            kit.run("shop", "rows", "--json"),
            kit.landing("status", "--json"),
            kit.landing("history", "shop", "rows"),
        ]
        if leak == "message":  # as a process of its own too, with what Python itself prints
            outcomes.append(kit.script("pipeline.py", "shop", "rows", "--debug"))
    assert not reveals(metrics.read_text(), SECRET)
    for outcome in outcomes:
        assert outcome.code in (0, 1)
        assert SECRET[::-1] not in outcome.text
        assert not reveals(outcome.text, SECRET)
    assert [outcome.code for outcome in outcomes[:3]] == [1, 1, 1]
    for path in folder_zone.paths():
        assert SECRET.encode() not in folder_zone.read(path)


def test_the_password_of_an_address_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAREHOUSE_URL", "postgres://me:p%40ss-word@db/x")
    assert secrets.redacted("p@ss-word or p%40ss-word") == "*** or ***"


def test_a_line_of_a_private_key_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nBAQEFAASCBKcwggSjAgEAAo\n"
    monkeypatch.setenv("SERVICE_ACCOUNT_KEY", key)
    assert secrets.redacted("bad line MIIEvQIBADANBgkqhkiG9w0") == "bad line ***"


def test_ordinary_text_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH_MODE", "no")
    text = "no basic right to read https://api.example/orders?page=2&since=2024-01-01"
    assert secrets.redacted(text) == text


def test_only_the_latest_registered_secrets_are_kept() -> None:
    secrets.register(*(f"token-number-{number}-" for number in range(1000)))
    assert secrets.redacted("token-number-999-") == "***"
    assert secrets.redacted("token-number-0-") == "token-number-0-"


def test_libraries_log_no_secrets(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", SECRET)
    secrets.log_no_secrets("dlt", "urllib3")
    caplog.set_level(logging.DEBUG, logger="urllib3")  # the client of Kubernetes quiets it
    with serve(lambda exchange: exchange.reply(200)) as server, caplog.at_level(logging.DEBUG):
        requests.get(server.url, params={"q": SECRET}, timeout=5)
        try:
            raise ValueError(SECRET)
        except ValueError:
            logging.getLogger("dlt").exception("failed with %s", SECRET)
    assert "GET" in caplog.text
    for spelled in spellings(SECRET):
        assert spelled not in caplog.text


@pytest.mark.parametrize(
    "name",
    [
        "..",
        ".",
        "",
        "../odoo",
        "a/b",
        "a\\b",
        "/etc/passwd",
        "..%2f",
        "a\0b",
        "a\nb",
        " a",
        "~root",
        "ａ",
        "é",
        "-rf",
        "a*",
        "x" * 201,
    ],
)
def test_names_cannot_leave_their_folder(kit: Kit, folder_zone: Zone, name: str) -> None:
    with pytest.raises(CatalogError, match="is not a stream name"):
        check_name(name, "stream")
    if "\0" in name or not name or name.startswith("-"):
        return  # a shell can't pass it, or argparse takes it for an option
    for arguments in ([name, "orders"], ["odoo", name]):
        for verb in ("run", "discover"):
            done = kit.landing(verb, *arguments)
            assert done.code == 2, done.text
            assert "Traceback" not in done.text


def test_a_server_that_names_its_tables_cannot_leave_the_folder(kit: Kit) -> None:
    kit.add_source(
        "evil",
        "import dlt\n\n"
        "@dlt.source\ndef tables():\n"
        "    return [dlt.resource([{'id': 1}], name=n) for n in ('../../../escaped', 'good')]\n",
    )
    before = set(kit.repository.parent.rglob("*"))
    done = kit.discover("evil")
    assert done.code == 2, done.text
    assert "is not a stream name" in done.err
    new = {path.name for path in set(kit.repository.parent.rglob("*")) - before}
    assert not any("escaped" in name for name in new)


def test_env_files_are_data_only(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRIED", raising=False)
    (kit.repository / ".env").write_text(
        "TRIED='$(touch pwned) `touch pwned` ${HOME}'\nNOT_TRIED=${TRIED}\n"
    )
    fails = "    raise ValueError(os.environ['TRIED'])\n"
    kit.add_source("shop", f"import dlt, os\n@dlt.resource\ndef rows():\n{fails}")
    kit.configure("shop", "rows", fields={"id": {"type": "integer"}})
    monkeypatch.setenv("DLT_BUCKET_URL", (kit.repository / "zone").as_uri())
    done = kit.forked("pipeline.py", "shop", "rows")
    assert "$(touch pwned) `touch pwned` ${HOME}" in done.err
    assert not list(kit.repository.rglob("pwned"))


def test_a_config_that_holds_code_is_text(kit: Kit, folder_zone: Zone) -> None:
    kit.add_source("shop", "import dlt\n@dlt.resource\ndef rows():\n    yield {'id': 1}\n")
    code = "__import__('os').system('touch pwned')"
    kit.configure("shop", "rows", fields={code: {"type": "string", "description": code}})
    kit.run("shop", "rows")
    assert not list(kit.repository.rglob("pwned"))


@pytest.mark.parametrize(
    ("page", "code", "said"),
    [
        ("response.json()", 1, "error: stream 'shop/rows'"),
        ("JsonPage(response.content)", 0, "went to quarantine: x: an array that is nested deeper"),
    ],
)
def test_an_endlessly_nested_response_is_reported_in_a_sentence(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, page: str, code: int, said: str
) -> None:
    deep = b'[{"id": 1, "x": ' + b"[" * 200_000 + b"]" * 200_000 + b'}, {"id": 2, "x": []}]'
    with serve(lambda exchange: exchange.reply(200, deep)) as server:
        monkeypatch.setenv("MY_API_URL", server.url)
        kit.add_source(
            "shop",
            "import os, dlt\nfrom landing.http import JsonPage, Session\n"
            "@dlt.resource\ndef rows():\n"
            f"    response = Session().get(os.environ['MY_API_URL'])\n    yield {page}\n",
        )
        fields = {"id": {"type": "integer"}, "x": {"type": "array"}}
        kit.configure("shop", "rows", fields=fields)
        done = kit.run("shop", "rows")
    assert done.code == code, done.text
    assert said in done.text
    assert "Traceback" not in done.text
    assert len(done.text) < 500


@pytest.fixture
def self_signed(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server with a certificate of a CA that nobody knows, and the file of that CA."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))

    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            if asked.count("/broken") == 1:
                self.wfile.write(b"[")
                os.write(self.connection.fileno(), b"not what TLS looks like")
            else:
                self.wfile.write(b"[]")

        def log_message(self, *_: Any) -> None:
            pass

    class Listener(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            pass

    with Listener(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}", file
        server.shutdown()
        thread.join()


def test_a_certificate_is_verified_and_a_ca_of_ones_own_can_be_named(
    self_signed: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, ca = self_signed
    session = Session(retries=Retries(base=0.01))
    with pytest.raises(requests.exceptions.SSLError) as caught:
        session.get(url)
    assert caught.value.attempts == 1
    with pytest.raises(SettingsError, match="always verifies certificates"):
        session.get(url, verify=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca))
    assert session.get(url).json() == []


def test_a_tls_connection_that_breaks_in_mid_body_is_tried_again(
    self_signed: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, ca = self_signed
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca))
    response = Session(retries=Retries(base=0.01)).get(f"{url}/broken")
    assert (response.json(), response.attempts) == ([], 2)


def test_loading_a_source_installs_the_guard(kit: Kit) -> None:
    kit.add_source("shop", "import dlt\n@dlt.resource\ndef rows():\n    yield {'id': 1}\n")
    load_source(find_workspace(kit.root), "shop")
    assert requests.Session.rebuild_auth.__module__ == "landing.http.redirects"


def test_each_promise_names_a_test_that_is_there() -> None:
    promises = (REPOSITORY / "SECURITY.md").read_text()
    tests = "".join(file.read_text() for file in (REPOSITORY / "tests").glob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", promises)
    assert len(named) > 10
    assert [name for name in named if f"def {name}(" not in tests] == []


def test_the_current_folder_and_addresses_are_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PWD", "/somewhere/orders")
    monkeypatch.setenv("KEYED_URL", "https://keyed.example.com/api")
    monkeypatch.setenv("TOKEN_URL", "https://bob:hunter22@keyed.example.com/token")
    text = "GET https://keyed.example.com/api/orders in /somewhere/orders, hunter22"
    assert secrets.redacted(text) == text.replace("hunter22", "***")
