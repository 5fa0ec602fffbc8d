"""Secrets in whatever spelling a text has them, and names that only look like those of secrets."""

from __future__ import annotations

import base64
import html
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landing import secrets
from landing.dagster.metadata import _cell
from landing.page import profiles
from landing.secrets import is_in, is_secret_name, is_secret_variable, redacted, replaced
from landing.zone.bucket_messages import _brief
from tests.kit import Kit, Zone

SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in a URL": lambda s: quote(s, safe=""),
    "in a path": quote,
    "in a form": quote_plus,
    "in a URL, in lower case": lambda s: quote(s, safe="").lower() if s.islower() else quote(s),
    "in a URL within a URL": lambda s: quote(quote(s, safe=""), safe=""),
    "in JSON": lambda s: json.dumps(s)[1:-1],
    "in JSON with escaped slashes": lambda s: json.dumps(s)[1:-1].replace("/", "\\/"),
    "in JSON of a browser": lambda s: (
        json.dumps(s)[1:-1].replace("&", "\\u0026").replace("<", "\\u003C")
    ),
    "in JSON, not in ASCII": lambda s: json.dumps(s, ensure_ascii=False)[1:-1],
    "in JSON within JSON": lambda s: json.dumps(json.dumps(s)),
    "in Python": lambda s: repr(s)[1:-1],
    "as Python's bytes": lambda s: repr(s.encode())[2:-1],
    "in Python's ASCII": lambda s: ascii(s)[1:-1],
    "in HTML": html.escape,
    "in HTML by numbers": lambda s: "".join(c if c.isalnum() else f"&#{ord(c)};" for c in s),
    "in HTML by hexadecimal numbers": lambda s: "".join(
        c if c.isalnum() else f"&#x{ord(c):X};" for c in s
    ),
    "in hexadecimal": lambda s: s.encode().hex(),
    "for a shell": lambda s: f"a={shlex.quote(s)}",
    "for a shell, in Python": lambda s: repr(shlex.quote(s)),
    "for a shell, by hand": lambda s: "'" + s.replace("'", "'\\''") + "'",
    "in Basic": lambda s: base64.b64encode(f"user:{s}".encode()).decode(),
    "in Basic, in a URL": lambda s: quote(base64.b64encode(f"u:{s}".encode()).decode(), safe=""),
    "in Basic, in JSON": lambda s: base64.b64encode(f":{s}".encode()).decode().replace("/", "\\/"),
    "in a token for URLs": lambda s: base64.urlsafe_b64encode(f"{s}:x".encode()).decode(),
}
SECRETS = st.text(
    st.one_of(
        st.sampled_from("abcXYZ0189"),
        st.sampled_from("/+=&<>\"'\\%?#:@$ \t\n~`|{}[]()*.,;!^_-"),
        st.characters(exclude_categories=["Cs", "Cn"]),
    ),
    min_size=8,
    max_size=40,
).filter(lambda s: len(s.strip()) >= 8)


@settings(max_examples=500, deadline=None)
@given(SECRETS, st.text(max_size=5))
def test_no_spelling_of_a_secret_is_left(secret: str, beside: str) -> None:
    for name, spell in SPELLINGS.items():
        text = f"{beside} {spell(secret)} {beside}"
        assert is_in(text, secret), name
        masked = replaced(text, {secret: "***"})
        assert not is_in(masked, secret), name
        assert spell(secret) not in masked, name


@pytest.mark.parametrize("cut", [_cell, profiles._text, _brief])
def test_a_cut_does_not_leave_the_half_of_a_secret(
    monkeypatch: pytest.MonkeyPatch, cut: Callable[[str], str]
) -> None:
    secret = "Kq7vTz0LmX4hJd2R" * 20
    monkeypatch.setenv("SHOP_TOKEN", secret)
    assert secret[:4] not in cut(f"the token {secret} is not known")


def test_the_longer_of_two_secrets_goes_first() -> None:
    found = replaced("hunter22-and-more hunter22", {"hunter22": "A", "hunter22-and-more": r"B\1"})
    assert found == r"B\1 A"


@pytest.mark.parametrize(
    "name",
    [
        *("API_KEY", "apiKey", "X-Api-Key", "SHOP_TOKEN", "accessToken", "PGPASSWORD", "MYSQL_PWD"),
        *("client_secret", "ClientSecret", "APITOKEN", "DB_DSN", "session_cookie", "SHOP_KEYS"),
        *("AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_CONNECTION_STRING", "SHOP_PASSPHRASE", "JWT"),
        *("SOURCES__SHOP__API_KEY", "Authorization", "SHOP_CREDENTIALS", "X-Signature", "CARD_PIN"),
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)
    assert is_secret_variable(name)


@pytest.mark.parametrize(
    "name",
    [
        *("GIT_AUTHOR_NAME", "KEYBOARD_LAYOUT", "TOKENIZERS_PARALLELISM", "COMPASS", "MONKEY"),
        *("SPINNER", "AUTHOR", "PASSENGERS", "BYPASS_CACHE", "SECRETARY", "KEYSTONE", "LANG"),
    ],
)
def test_names_that_only_look_like_those_of_secrets(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize("name", ["SHOP_TOKEN_URL", "SSH_AUTH_SOCK", "PWD", "OLDPWD", "KEY_FILE"])
def test_a_variable_that_names_a_place_is_no_secret(name: str) -> None:
    assert not is_secret_variable(name)


def test_the_name_of_a_stream_is_no_secret(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SORT_KEY", "orders")
    monkeypatch.setenv("SHOP_KEY", "hunter22-orders")
    kit.add_source(
        "fails",
        "import dlt\n@dlt.resource\ndef orders():\n"
        "    raise ValueError('hunter22-orders is refused')\n    yield 1\n",
    )
    kit.configure("fails", "orders", fields={"id": {"type": "integer"}})
    done = kit.run("fails", "orders")
    assert "fails/orders" in done.text
    assert "*** is refused" in done.text


def test_a_header_is_masked_whatever_is_in_it() -> None:
    for text in (
        "{'Authorization': 'Token 9944b09199c6', 'Accept': '*/*'}",
        "authorization: AWS4-HMAC-SHA256 Credential=AKIA/2024, Signature=fe5f80a\r\nAccept: */*",
        '{"Cookie": "sid=38afes7a8; theme=dark"}',
        "send: b'X-Auth-Token: 38afes7a838afe'",
    ):
        masked = redacted(text)
        assert "***" in masked
        for piece in ("9944b09199c6", "fe5f80a", "38afes7a8"):
            assert piece not in masked
    assert redacted("authorization: none") == "authorization: none"


SECRETS_TOML = """\
[sources.shop]
base_url = "https://shop.example"
pin = "4711-0815"
nested = [{ anything = "s3cr3t/from&toml" }]
"""


def test_what_dlts_secrets_toml_has_is_masked(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = kit.root / "dlt" / ".dlt"
    folder.mkdir()
    (folder / "secrets.toml").write_text(SECRETS_TOML)
    kit.add_source(
        "shop",
        "import dlt\n@dlt.resource\ndef orders():\n"
        "    pin = dlt.secrets['sources.shop.pin']\n"
        "    found = dlt.secrets['sources.shop.nested'][0]['anything']\n"
        "    url = dlt.secrets['sources.shop.base_url']\n"
        "    raise ValueError(f'{pin} and {found} are refused by {url}')\n    yield 1\n",
    )
    kit.configure("shop", "orders", fields={"id": {"type": "integer"}})
    done = kit.script("pipeline.py", "shop", "orders", cwd=kit.root / "dlt")
    assert "*** and *** are refused by https://shop.example" in done.text
    assert "4711-0815" not in done.text


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_public", set())
