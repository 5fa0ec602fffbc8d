"""Secrets in whatever spelling a text has them, and names that only look like those of secrets."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landing import secrets
from landing.dagster.metadata import _cell
from landing.page import profiles
from landing.secrets import is_in, is_secret_name, is_secret_variable, redacted, registry, replaced
from landing.zone.bucket_messages import _brief
from tests.kit import Kit, Zone
from torture.spellings import SPELLINGS

SECRETS = st.text(
    st.one_of(
        st.sampled_from("abcXYZ0189"),
        st.sampled_from("/+=&<>\"'\\%?#:@$ \t\n~`|{}[]()*.,;!^_-"),
        st.characters(exclude_categories=["Cs", "Cn"]),
    ),
    min_size=8,
    max_size=40,
).filter(lambda s: len(s.strip()) >= 8)


@settings(max_examples=200, deadline=None)
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


@pytest.mark.parametrize(
    "text",
    [
        "a%2Bb+c",
        "a%252Bb%2520c",
        "\\u0061+b c",
        "&#97;&plus;b&nbsp;c".replace("&nbsp;", "&#32;"),
        "&#37;61+b c",
        "%5Cu0061%5Cu002bb c",
        "\\141\\53b c".replace("\\53", "\\053"),
    ],
)
def test_escapes_may_be_mixed(text: str) -> None:
    assert replaced(f"x={text}-secret\\n", {"a+b c-secret": "***"}) == "x=***\\n"


def test_what_is_around_a_secret_stays_as_it_is() -> None:
    text = '{"a": "caf\\u00e9 \\"s%65cret/1\\" %41", "b": "&lt;&#x73;ecret&#47;1&gt;"}'
    masked = '{"a": "caf\\u00e9 \\"***\\" %41", "b": "&lt;***&gt;"}'
    assert replaced(text, {"secret/1": "***"}) == masked


def test_ordinary_text_is_not_taken_for_a_secret() -> None:
    text = "te+st t est T%65ST 74657374 dGVzdA== this te st"
    assert replaced(text, {"test": "***"}) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the latest test run", "the latest *** run"),
        ("test_run, protest, retest", "test_run, protest, retest"),
        ("key=test&a=%74est&b=%20test%20", "key=***&a=***&b=%20***%20"),
        ("'\\ntest\\u0026' \\u0074est", "'\\n***\\u0026' ***"),
    ],
)
def test_a_short_secret_is_masked_as_a_word(
    monkeypatch: pytest.MonkeyPatch, text: str, shown: str
) -> None:
    monkeypatch.setenv("SHOP_KEY", "test")
    assert redacted(text) == shown


def test_names_of_members_are_masked_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "supersecret1")
    monkeypatch.setenv("OTHER_KEY", "supersecret2")
    monkeypatch.setenv("SHORT_KEY", "rows")
    document = {"supersecret1": 1, "supersecret2": [{"rows": "rows"}], "a": {"supersecret1": None}}
    masked = {"***": 1, "******": [{"rows": "***"}], "a": {"***": None}}
    assert secrets.without_secrets(document) == masked


def test_a_large_text_takes_little_memory() -> None:
    text = '{"name": "caf\\u00e9", "url": "https:\\/\\/a.example"}\n' * 2_000 + "s%65cret/1"
    tracemalloc.start()
    masked = replaced(text, {"secret/1": "***"})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert masked == text.replace("s%65cret/1", "***")
    assert peak < 20 * len(text)


@pytest.mark.parametrize("text", ["x-", "?key", "cookie", "%25", "&#0", "\\u0061", "://a", "'\""])
def test_a_hostile_text_takes_no_time(text: str) -> None:
    begun = time.process_time()
    redacted(f"{text * (60_000 // len(text))}= ")
    assert time.process_time() - begun < 2


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
        *("S3_ACCESS_KEY_ID", "VAULT_SECRET_ID", "KEY", "ID_TOKEN"),
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
        *("SHOP_SORT_KEY", "primaryKey", "X-Partition-Key", "X_AUTH_METHOD", "tokenType"),
        *("X_TOKEN_EXPIRES", "token_expires_in", "LLM_MAX_TOKENS", "AUTH_CLIENT_ID"),
        *("X-Auth-Email", "X-Auth-User", "API_KEY_VERSION"),
    ],
)
def test_names_that_only_look_like_those_of_secrets(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize("name", ["SHOP_TOKEN_URL", "SSH_AUTH_SOCK", "PWD", "OLDPWD", "KEY_FILE"])
def test_a_variable_that_names_a_place_is_no_secret(name: str) -> None:
    assert not is_secret_variable(name)


def test_the_name_of_a_stream_or_field_is_no_secret(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_PIN", "orders")
    monkeypatch.setenv("OTHER_PIN", "updated_at")
    monkeypatch.setenv("SHOP_KEY", "hunter22-orders")
    kit.add_source(
        "fails",
        "import dlt\n@dlt.resource\ndef orders():\n"
        "    raise ValueError('hunter22-orders is refused for updated_at')\n    yield 1\n",
    )
    parts = {"type": "object", "properties": {"updated_at": {"type": "string"}}}
    kit.configure("fails", "orders", fields={"id": {"type": "integer"}, "part": parts})
    done = kit.run("fails", "orders")
    assert "fails/orders" in done.text
    assert "*** is refused for updated_at" in done.text


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
number = 20260711
api_key = 8914220
nested = [{ anything = "s3cr3t/from&toml" }]
database = "postgres://me:of-a-dat%40base@db.example/x"
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
        "    of = 'of-a-dat@base, 20260711 and 8914220'\n"
        "    raise ValueError(f'{pin} and {found} are refused by {url}: {of}')\n    yield 1\n",
    )
    kit.configure("shop", "orders", fields={"id": {"type": "integer"}})
    done = kit.script("pipeline.py", "shop", "orders", cwd=kit.root / "dlt")
    assert "*** and *** are refused by https://shop.example: ***, 20260711 and ***" in done.text
    assert "4711-0815" not in done.text


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_public", set())
