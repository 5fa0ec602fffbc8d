"""`landing login`: a person grants access in the browser, here a program that does the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import jsonschema
import pytest
import requests

from demo.servers import free_ports
from landing.cli.json.schemas import output_schemas
from landing.http import FileTokens
from tests.kit import REPOSITORY, Kit, Outcome, Zone
from tests.servers.oauth import Client, Provider

CLIENT_PY = '''\
"""Environment: SHOP_AUTHORIZE_URL, SHOP_TOKEN_URL, SHOP_CLIENT_ID, SHOP_REDIRECT, SHOP_TOKENS"""
import os
from landing.http import FileTokens, OAuth2RefreshToken

def auth():
    return OAuth2RefreshToken(
        os.environ["SHOP_TOKEN_URL"], os.environ["SHOP_CLIENT_ID"],
        store=FileTokens("shop", os.environ["SHOP_TOKENS"]),
        authorize_url=os.environ["SHOP_AUTHORIZE_URL"],
        redirect_uri=os.environ["SHOP_REDIRECT"], scope="read")
'''
STREAMS_PY = "import dlt\n@dlt.resource\ndef orders():\n    yield []\n"

# What $BROWSER may be: it grants access and goes where it is sent, by way of an icon.
BROWSER = """\
import sys, requests
from tests.servers.oauth import Provider
end = Provider({url!r}).grant(sys.argv[1])
assert requests.get(end.partition("callback")[0] + "favicon.ico", timeout=10).status_code == 404
assert "can be closed" in requests.get(end, timeout=10).text
"""


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def client(provider: Provider, port: int) -> Client:
    redirect = f"http://127.0.0.1:{port}/callback"
    return provider.client("authorization-code", redirect_uri=redirect, is_public=True)


@pytest.fixture
def shop(
    kit: Kit,
    provider: Provider,
    client: Client,
    port: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Kit:
    kit.add_source("shop", STREAMS_PY, CLIENT_PY)
    settings = {
        "SHOP_AUTHORIZE_URL": provider.authorize_url,
        "SHOP_TOKEN_URL": provider.token_url,
        "SHOP_CLIENT_ID": client.id,
        "SHOP_REDIRECT": f"http://127.0.0.1:{port}/callback",
        "SHOP_TOKENS": str(tmp_path / "tokens"),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return kit


def login(kit: Kit, *arguments: str, pasted: str | None = None, **env: str) -> Outcome:
    """In a process of its own, whose standard input is not a terminal."""
    program = "import sys; from landing.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, "login", *arguments],
        cwd=kit.root,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY}/src:{REPOSITORY}", **env},
        input=pasted or "",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_browser_grants_access_and_the_refresh_token_is_kept(
    shop: Kit, provider: Provider, tmp_path: Path, form: list[str]
) -> None:
    browser = tmp_path / "browser.py"
    browser.write_text(BROWSER.format(url=provider.url))
    done = login(shop, "shop", *form, BROWSER=f"{sys.executable} {browser} %s")
    assert done.code == 0, done.text
    if form:
        document = json.loads(done.out)
        jsonschema.validate(document, output_schemas()["login.json"])
        assert document["store"].startswith("FileTokens(")
    else:
        assert "shop: logged in; tokens are kept in FileTokens(" in done.out
    kept = FileTokens("shop", tmp_path / "tokens").read()
    assert kept is not None
    assert kept.refresh_token not in done.text
    bearer = {"Authorization": f"Bearer {kept.access_token}"}
    assert requests.get(provider.orders_url, headers=bearer, timeout=10).status_code == 200
    asked = parse_qs(urlsplit(printed_url(done)).query)
    assert asked["code_challenge_method"] == ["S256"]


def printed_url(done: Outcome) -> str:
    return next(line for line in done.text.splitlines() if line.startswith("http"))


class Remote:
    """`landing login --no-browser` in a terminal, and a browser elsewhere."""

    def __init__(self, kit: Kit) -> None:
        program = "import sys; from landing.cli import main; sys.exit(main(sys.argv[1:]))"
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", program, "login", "shop", "--no-browser"],
            cwd=kit.root,
            env={**os.environ, "PYTHONPATH": f"{REPOSITORY}/src"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        lines = iter(self.process.stdout.readline, "")
        self.url = next(line.strip() for line in lines if line.startswith("http"))

    def paste(self, address: str) -> Outcome:
        out, err = self.process.communicate(f"{address}\n", timeout=60)
        return Outcome(self.process.returncode, out, err)


def test_an_address_from_a_browser_elsewhere_can_be_pasted(
    shop: Kit, provider: Provider, tmp_path: Path
) -> None:
    remote = Remote(shop)
    done = remote.paste(provider.grant(remote.url))
    assert done.code == 0, done.text
    assert FileTokens("shop", tmp_path / "tokens").read() is not None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"state": "of another login"}, "is not the answer to this login: log in again"),
        ({"code": "made up"}, "does not accept the code; log in again"),
        ({"code": ""}, "has no code in it"),
        ({"error": "access_denied"}, "access was not granted: access_denied"),
    ],
)
def test_a_login_accepts_only_the_response_to_its_own_request(
    shop: Kit, provider: Provider, tmp_path: Path, change: dict[str, str], told: str
) -> None:
    remote = Remote(shop)
    state = parse_qs(urlsplit(remote.url).query)["state"][0]
    query = {"state": state, "code": "code", **change}
    done = remote.paste(f"http://127.0.0.1/callback?{urlencode(query)}")
    assert done.code == 1
    assert told in done.err
    assert "Traceback" not in done.text
    assert FileTokens("shop", tmp_path / "tokens").read() is None


def test_no_address_is_pasted(shop: Kit) -> None:
    done = login(shop, "shop", "--no-browser")
    assert (done.code, "no address was pasted" in done.err) == (2, True)


def test_a_browser_that_does_not_return(shop: Kit) -> None:
    done = login(shop, "shop", "--timeout=1", BROWSER="true")
    assert done.code == 1
    assert "the browser did not return from the provider within 1 s" in done.err


def test_the_port_is_taken_or_elsewhere(shop: Kit, provider: Provider) -> None:
    port = urlsplit(provider.url).port
    taken = login(shop, "shop", BROWSER="true", SHOP_REDIRECT=f"http://127.0.0.1:{port}/callback")
    assert taken.code == 2
    assert "can't listen on" in taken.err
    elsewhere = login(shop, "shop", BROWSER="true", SHOP_REDIRECT="https://example.com/callback")
    assert elsewhere.code == 2
    assert "use --no-browser and paste" in elsewhere.err


@pytest.mark.parametrize(
    ("client", "told"),
    [
        ("", "client.py: has no function auth() that returns an OAuth2RefreshToken"),
        (
            "from landing.http import Bearer\ndef auth():\n    return Bearer('x')\n",
            "auth() returns Bearer, which needs no login by a person",
        ),
        (
            "import os\ndef auth():\n    return os.environ['SHOP_MISSING']\n",
            "SHOP_MISSING is not set, but source 'other' needs it",
        ),
        (
            "from landing.http import *\ndef auth():\n    return OAuth2RefreshToken("
            "'http://x', 'id', store=FileTokens('other', '/nowhere'))\n",
            "names no authorize_url, the page where a person grants access",
        ),
    ],
)
def test_sources_that_there_is_no_login_to(
    kit: Kit, folder_zone: Zone, client: str, told: str
) -> None:
    kit.add_source("other", STREAMS_PY, client)
    done = kit.landing("login", "other")
    assert done.code == 2
    assert told in done.err
