"""Secrets that no variable's name gives away, or that come to be known while a run goes on."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from requests import PreparedRequest
from requests.auth import AuthBase

from landing import secrets
from landing.http import JwtBearer
from landing.http.auth import sent_credentials
from landing.observe.receivers import configured_receivers
from landing.operations.recordings.scrubbing import SCRUBBED, Scrubber, UnscrubbedSecret
from landing.secrets import masked, redacted, registry
from tests.kit import Kit, Zone
from tests.servers.scripted import Exchange, serve

KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n-----END KEY-----"
WEBHOOK = "https://hooks.example/services/T0001/B0002/x7Gq2"


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("HTTPS_PROXY", "http://me:pr0xy%2Fword@proxy:3128", "pr0xy/word"),
        ("http_proxy", "me:pr0xy-word@proxy:3128", "pr0xy-word"),
        ("SENTRY_URL", "https://0123456789abcdef0123@sentry.example/4", "0123456789abcdef0123"),
        ("PAY_URL", "https://0123456789abcdef0123:@pay.example", "0123456789abcdef0123"),
        ("COSMOS_PRIMARY_KEY", "0123456789abcdef" * 2, "0123456789abcdef" * 2),
        ("DLT_BUCKET_URL", "s3://AKIA:bucket-word@landing/raw", "bucket-word"),
        ("LANDING_PUSHGATEWAY_URL", "https://me:push-word@metrics.example", "push-word"),
        ("LANDING_DUCKLAKE_CATALOG", "postgres:host=db password=lake-word dbname=x", "lake-word"),
        ("LANDING_DUCKLAKE_CATALOG", "postgresql://me:lake%2Bword@db/x", "lake+word"),
        ("SHOP_DATABASE", "Driver=x;Server=db;Uid=me;Password='odbc word';", "odbc word"),
        ("SHOP_URL", "https://shop.example/v1?api_key=in-the-query&page=2", "in-the-query"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a,x-api-key=otel-key-1", "otel-key-1"),
        ("GCP_SERVICE_ACCOUNT", json.dumps({"private_key": KEY}), "MIIEvQIBADANBgkqhkiG9w0B"),
        ("SHOP_PRIVATE_KEY", KEY.replace("\n", "\\n"), "MIIEvQIBADANBgkqhkiG9w0B"),
        ("LANDING_ALERT_WEBHOOK", WEBHOOK, "/services/T0001/B0002/x7Gq2"),
        ("SLACK_WEBHOOK_URL", WEBHOOK, WEBHOOK),
        ("S3_ACCESS_KEY_ID", "AKIA0123", "AKIA0123"),
        ("SOURCES__SHOP__API_KEY", "dlt-word", "dlt-word"),
    ],
)
def test_a_secret_of_the_environment_is_known(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, secret: str
) -> None:
    monkeypatch.setenv(name, value)
    assert masked(f"the server says: {secret} is wrong") == "the server says: *** is wrong"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SHOP_URL", "https://shop.example/orders?sort_key=created_at&page=customers"),
        ("LS_COLORS", "rs=0:di=01;34:ln=01;36:*.key=01;31"),
        ("DATABASE_URL", "postgres://postgres@db/customers"),
        ("SHOP_OPTIONS", '{"sort_key": 1, "fields": ["customers", "created_at"]}'),
        ("SHOP_CONTACT", "me:customers@shop.example"),
    ],
)
def test_what_is_no_secret_stays(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    text = "postgres has created_at and customers, 01 and 34, at shop.example"
    assert masked(text) == text


def test_the_address_of_a_webhook_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANDING_ALERT_WEBHOOK", WEBHOOK)
    assert configured_receivers()
    monkeypatch.delenv("LANDING_ALERT_WEBHOOK")
    assert redacted("Max retries exceeded with url: /services/T0001/B0002/x7Gq2").endswith(": ***")


def test_a_private_key_from_a_file_is_known() -> None:
    JwtBearer("https://id.example/token", "me", KEY)
    assert redacted("bad line: MIIEvQIBADANBgkqhkiG9w0B") == "bad line: ***"


SENDS = {
    "a token that the source fetched": (
        "token = requests.get(url + '/token').json()['is']\n"
        "    requests.get(url, headers={'Authorization': 'Bearer ' + token}).raise_for_status()"
    ),
    "the OAuth of dlt": (
        "auth = OAuth2ClientCredentials(\n"
        "        access_token_url=url + '/token', client_id='me', client_secret='client-word')\n"
        "    try:\n        list(RESTClient(url, auth=auth).paginate('/'))\n"
        "    except requests.HTTPError as error:\n        raise ValueError(error.response.text)"
    ),
    "a password": "requests.get(url, auth=('me', 'T0ken-that-was-fetched')).raise_for_status()",
    "the cookie of a session": (
        "requests.get(url, cookies={'PHPSESSID': 'T0ken-that-was-fetched'}).raise_for_status()"
    ),
    "a token whose scheme is OAuth": (
        "requests.get(url, headers={'Authorization': 'OAuth T0ken-that-was-fetched'})"
        ".raise_for_status()"
    ),
    "a key as the user": "requests.get(url, auth=('T0ken-that-was-fetched', ''))"
    ".raise_for_status()",
    "a key": (
        "requests.get(url, headers={'X-Api-Key': 'T0ken-that-was-fetched'}).raise_for_status()"
    ),
}


@pytest.mark.parametrize("code", SENDS.values(), ids=SENDS.keys())
def test_what_a_source_sends_is_known(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    def answer(exchange: Exchange) -> None:
        if exchange.seen.path == "/token":
            token = {"is": "T0ken-that-was-fetched", "access_token": "T0ken-that-was-fetched"}
            body = json.dumps({**token, "expires_in": 3600})
            exchange.reply(200, body.encode(), Content_Type="application/json")
        else:
            exchange.reply(400, b'{"message": "nobody knows T0ken-that-was-fetched"}')

    with serve(answer) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        kit.add_source(
            "shop",
            "import os\nimport dlt, requests\n"
            "from dlt.sources.helpers.rest_client import RESTClient\n"
            "from dlt.sources.helpers.rest_client.auth import OAuth2ClientCredentials\n"
            "@dlt.resource\ndef orders():\n    url = os.environ['SHOP_URL']\n"
            f"    {code}\n    yield 1\n",
        )
        kit.configure("shop", "orders", fields={"id": {"type": "integer"}})
        done = kit.run("shop", "orders")
    assert "nobody knows ***" in done.text
    assert "T0ken" not in done.text
    for path in folder_zone.paths():
        assert b"T0ken" not in folder_zone.read(path)


class _Headers(AuthBase):
    """Headers of any name and type, as an auth class may set them."""

    def __init__(self, *headers: tuple[Any, Any]) -> None:
        self._headers = headers

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers.update(self._headers)
        return request


def test_what_is_sent_is_registered_once_and_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_sent", {})
    monkeypatch.setattr(registry, "_registered", {})
    secrets.register("a-refresh-token")
    sent_credentials.guard()
    guarded = requests.Session.send
    calls: list[str] = []

    def traced(session: requests.Session, request: PreparedRequest, **options: Any) -> Any:
        calls.append(str(request.url))
        return guarded(session, request, **options)

    monkeypatch.setattr(requests.Session, "send", traced)  # as OpenTelemetry does
    sent_credentials.guard()
    signed = 'OAuth oauth_consumer_key="the-consumer", oauth_signature="of-one-request"'
    auth = _Headers(
        *(("X-Token-Number", 1234567890), ("X-Api-Key", b"key-in-bytes")),
        *(("X-Auth-Email", "me@example.com"), ("X-Partition-Key", "production")),
        *(("X-Auth-Token", "you@example.com"), (b"X-Shop-Key", "name-in-bytes")),
        ("Authorization", signed),
    )
    with serve(lambda exchange: exchange.reply(200)) as server:
        requests.get(server.url, auth=auth, timeout=5)
    assert calls == [f"{server.url}/"]
    assert set(registry._sent) == {"1234567890", "key-in-bytes", "name-in-bytes"}
    for number in range(250):
        sent_credentials._register("Authorization", f"Bearer token-of-request-{number}")
    assert len(registry._sent) == 200
    assert redacted("a-refresh-token, token-of-request-249") == "***, ***"


BESIDES = """\
import logging, os, threading, warnings
import dlt

@dlt.resource
def orders():
    secret = os.environ["SHOP_TOKEN"]
    warnings.warn(f"warned of {secret}")
    logging.getLogger("shop").warning("logged %s \x1b[2J", secret)
    logging.getLogger("dlt").warning("dlt logged %s", secret)
    def fails():
        raise ValueError(f"a thread has {secret}")
    thread = threading.Thread(target=fails)
    thread.start()
    thread.join()
    yield {"id": 1, "note": secret}
"""


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_python_itself_prints_for_a_source_has_no_secret(
    kit: Kit, folder_zone: Zone, form: str
) -> None:
    kit.add_source("shop", BESIDES)
    kit.configure("shop", "orders", fields={"id": {"type": "integer"}})
    secret = "Kq7vTz0LmX4hJd2R"
    words = ("shop", "orders", "--log-format", form)
    done = kit.script("pipeline.py", *words, SHOP_TOKEN=secret)
    assert done.code == 0, done.text
    assert "warned of ***" in done.text
    assert "\x1b" not in done.text
    for said in ("logged *** \\u001b[2J", "a thread has ***"):
        assert said in done.text.replace("\\\\", "\\")
    assert secret not in done.text


def scrubbed(scrubber: Scrubber, **answer: object) -> str:
    pair = base64.b64encode(b"me:the-basic-password").decode()
    headers = {"Authorization": f"Basic {pair}", "Accept": "text/the-basic-password"}
    request = SimpleNamespace(uri="http://api/x", method="GET", headers=headers, body=None)
    whole = {
        "status": {"code": 200, "message": "OK"},
        "headers": {},
        "body": {"string": b""},
        **answer,
    }
    scrubber.learn(request, whole)
    sent, response = scrubber.request(request), scrubber.response(request, whole)
    scrubber.refuse_secrets(sent, response)
    return f"{sent.headers} {response}"


@pytest.mark.parametrize(
    "answer",
    [
        {"status": {"code": 400, "message": "No the-basic-password"}},
        {"body": {"string": json.dumps({"a": json.dumps(["the\\u002dbasic-password"])}).encode()}},
        {"headers": {"X-Note": ["%74he-basic-password"]}},
    ],
)
def test_a_recording_has_no_part_of_a_credential(answer: dict[str, object]) -> None:
    kept = scrubbed(Scrubber({}), **answer)
    assert "basic-password" not in kept
    assert SCRUBBED in kept


@pytest.mark.parametrize(
    "body",
    [
        "caf\xe9 the-basic-password".encode("latin-1"),
        "the-basic-password \udcff".encode("utf-16-le", "surrogatepass"),
    ],
)
def test_a_recording_with_a_secret_in_other_bytes_is_refused(body: bytes) -> None:
    with pytest.raises(UnscrubbedSecret):
        scrubbed(Scrubber({}), body={"string": body})
