"""Real servers are read whole with paging right, and with any wrong one the run says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from landing.http import FileTokens, OAuth2RefreshToken
from landing.http.auth.authorization_code import begin
from tests.kit import Kit, Outcome, Zone
from tests.servers.directus import TOKEN, directus, is_installed
from tests.servers.kinto import kinto
from tests.servers.oauth import Provider
from tests.servers.oauth_app import PAGED
from tests.servers.pocketbase import pocketbase

REDIRECT = "http://127.0.0.1:8915/callback"
STREAMS = """\
import os

import dlt

from landing.http import *

api = Api(os.environ["SHOP_URL"], retries=Retries(total=1, base=0.01)AUTH)


@dlt.resource(primary_key="id")
def orders():
    yield from api.pages("", ARGUMENTS)
"""
AUTH = """, auth=OAuth2RefreshToken(
    os.environ["SHOP_TOKEN_URL"], os.environ["SHOP_CLIENT_ID"], os.environ["SHOP_CLIENT_SECRET"],
    store=FileTokens("shop", os.environ["SHOP_TOKENS"]))"""
NOWHERE = [
    "",
    'paging=NextUrlPages("nowhere.next")',
    'paging=HeaderUrlPages("X-Nowhere")',
    'paging=CursorPages("nowhere")',
    'paging=CursorPages(header="X-Nowhere")',
    'paging=LinkPages("onward")',
]


def land(kit: Kit, arguments: str, kind: str = "string", auth: str = "") -> Outcome:
    name = f"shop_{len(list((kit.root / 'dlt' / 'sources').iterdir()))}"
    kit.add_source(name, STREAMS.replace("ARGUMENTS", arguments).replace("AUTH", auth))
    kit.configure(name, "orders", fields={"id": {"type": kind}}, sync_mode="full_refresh")
    return kit.run(name, "orders")


def landed(zone: Zone) -> int:
    """Orders in the zone, of whatever source."""
    sources = {path.split("/")[0] for path in zone.paths() if not path.startswith("_")}
    found = {row for name in sources for row in zone.query(name, "orders", "SELECT id FROM landed")}
    return len(found)


def assert_refused(kit: Kit, zone: Zone, arguments: str, says: str, **named: str) -> None:
    done = land(kit, arguments, **named)
    assert done.code == 1, f"{arguments}: {done.text}"
    assert any(words in done.err for words in says.split("|")), done.err
    assert landed(zone) == 0


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with kinto(tmp_path_factory.mktemp("kinto"), orders=253) as url:
        yield url


@pytest.fixture
def kinto_url(records: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SHOP_URL", records)
    return records


MORE = "has more pages than were read"
EARLIER = "has pages before the first that was requested: 'previous' names a page before it"
SKIPPED = "the page before the first that was requested has"


def test_kinto_is_read_whole(kit: Kit, folder_zone: Zone, kinto_url: str) -> None:
    assert land(kit, 'records="data", paging=HeaderUrlPages("Next-Page")').code == 0
    assert landed(folder_zone) == 253


@pytest.mark.parametrize(
    ("paging", "says"),
    [
        *((paging, MORE) for paging in NOWHERE),
        ("paging=NumberedPages(50)", "no rows with the parameters 'page' and 'limit'"),
        ("paging=NumberedPages(50, '_page', '_limit')", "400|same rows"),
        ("paging=OffsetPages(50, '_offset', '_limit')", "400|same rows"),
        ("paging=NumberedPages(50, first=2)", "no rows with the parameters 'page' and 'limit'"),
        ("paging=NumberedPages(50, '_page', '_limit', first=2)", "400|same rows"),
        (
            "paging=KeysetPages('last_modified', '_since', limit=50, limit_param='_limit')",
            "order of 'last_modified'",
        ),
    ],
)
def test_kinto_with_the_wrong_paging(
    kit: Kit, folder_zone: Zone, kinto_url: str, paging: str, says: str
) -> None:
    assert_refused(kit, folder_zone, f'records="data", {paging}', says)


@pytest.fixture(scope="module")
def pocketbase_records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pocketbase(tmp_path_factory.mktemp("pocketbase"), orders=184) as base:
        yield base.records


@pytest.fixture
def pocketbase_url(pocketbase_records: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SHOP_URL", pocketbase_records)
    return pocketbase_records


def test_pocketbase_is_read_whole(kit: Kit, folder_zone: Zone, pocketbase_url: str) -> None:
    paging = 'NumberedPages(50, size="perPage", total="totalItems")'
    done = land(kit, f'records="items", params={{"sort": "number"}}, paging={paging}')
    assert done.code == 0, done.text
    assert landed(folder_zone) == 184


@pytest.mark.parametrize(
    ("paging", "says"),
    [
        *((paging, MORE) for paging in NOWHERE),
        ("paging=NumberedPages(50, 'p')", "same rows"),
        ("paging=NumberedPages(50, first=2, size='perPage')", MORE),
        ("paging=NumberedPages(1000, first=2, size='perPage')", f"{SKIPPED}|without"),
        ("paging=NumberedPages(100, first=2, size='perPage')", f"{SKIPPED}|{MORE}"),
        (
            "paging=NumberedPages(50, first=2, size='perPage', total='totalItems')",
            "reading all pages twice found",
        ),
        ("paging=OffsetPages(50, 'page', 'perPage')", "same rows|rows move faster"),
        ("paging=OffsetPages(50)", "same rows"),
        (
            "paging=KeysetPages('number', 'after', limit=50)",
            "no other 'number'|order of 'number'|shorter|page ends",
        ),
    ],
)
def test_pocketbase_with_the_wrong_paging(
    kit: Kit, folder_zone: Zone, pocketbase_url: str, paging: str, says: str
) -> None:
    arguments = f'records="items", params={{"sort": "number"}}, {paging}'
    assert_refused(kit, folder_zone, arguments, says)


@pytest.fixture
def rotating(provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Provider:
    """Django REST framework, for a client whose refresh tokens are good for one use."""
    client = provider.client("authorization-code", redirect_uri=REDIRECT)
    auth = OAuth2RefreshToken(
        provider.token_url,
        client.id,
        client.secret,
        store=FileTokens("shop", tmp_path / "tokens"),
        authorize_url=provider.authorize_url,
        redirect_uri=REDIRECT,
        scope="read",
    )
    login = begin(auth)
    login.finish(provider.grant(login.url))
    for name, value in {
        "SHOP_URL": f"{provider.url}/paged/orders",
        "SHOP_TOKEN_URL": provider.token_url,
        "SHOP_CLIENT_ID": client.id,
        "SHOP_CLIENT_SECRET": client.secret,
        "SHOP_TOKENS": str(tmp_path / "tokens"),
    }.items():
        monkeypatch.setenv(name, value)
    return provider


@pytest.mark.parametrize(
    "paging", ['NextUrlPages("next")', 'NumberedPages(50, total="count", past_end=404)']
)
def test_django_rest_framework_is_read_whole_while_its_tokens_rotate(
    kit: Kit, folder_zone: Zone, rotating: Provider, paging: str
) -> None:
    for after in (0, 3):
        rotating.expire_access_tokens(after_requests=after)
        done = land(kit, f'records="results", paging={paging}', "integer", AUTH)
        assert done.code == 0, done.text
    assert landed(folder_zone) == PAGED
    refreshed = [status for grant, status in rotating.granted() if grant == "refresh_token"]
    assert refreshed == [200, 200]


@pytest.mark.parametrize(
    ("paging", "says"),
    [
        *((paging, MORE) for paging in NOWHERE),
        ("paging=NumberedPages(50)", "404"),
        ("paging=NumberedPages(50, 'p')", "same rows"),
        ("paging=NumberedPages(50, first=0)", "404"),
        ("paging=NumberedPages(50, first=2)", EARLIER),
        ("paging=NumberedPages(50, first=2, past_end=404)", EARLIER),
        ("paging=NumberedPages(50, first=9, past_end=404)", EARLIER),
        ('paging=NumberedPages(50, first=2, past_end=404, total="count")', EARLIER),
        ("paging=NumberedPages(50, first=2, past_end=404, at_once=3)", EARLIER),
        (
            'paging=NumberedPages(50, first=2, past_end=404), ignore_more=["previous"]',
            SKIPPED,
        ),
        ("paging=OffsetPages(50)", "same rows"),
        ("paging=CursorPages('next', 'page')", "404"),
        ("paging=KeysetPages('id', 'after', limit=50)", "no other 'id'|order of 'id'|page ends"),
    ],
)
def test_django_rest_framework_with_the_wrong_paging(
    kit: Kit, folder_zone: Zone, rotating: Provider, paging: str, says: str
) -> None:
    arguments = f'records="results", {paging}'
    assert_refused(kit, folder_zone, arguments, says, kind="integer", auth=AUTH)


@pytest.fixture(scope="module")
def directus_orders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not is_installed():
        pytest.skip("no Directus: make directus")
    with directus(tmp_path_factory.mktemp("directus"), orders=230) as url:
        yield url


@pytest.fixture
def directus_url(directus_orders: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SHOP_URL", directus_orders)
    monkeypatch.setenv("SHOP_TOKEN", TOKEN)
    return directus_orders


BEARER = ', auth=Bearer(os.environ["SHOP_TOKEN"])'


@pytest.mark.long
@pytest.mark.parametrize(
    "paging",
    [
        'OffsetPages(50, total="meta.filter_count"), params={"meta": "filter_count"}',
        "NumberedPages(50)",
        "OffsetPages(50)",
    ],
)
def test_directus_is_read_whole(
    kit: Kit, folder_zone: Zone, directus_url: str, paging: str
) -> None:
    done = land(kit, f'records="data", paging={paging}', "integer", BEARER)
    assert done.code == 0, done.text
    assert landed(folder_zone) == 230


@pytest.mark.long
@pytest.mark.parametrize(
    ("paging", "says"),
    [
        *((paging, MORE) for paging in NOWHERE),
        ("paging=NumberedPages(50, 'p')", "same rows"),
        ("paging=OffsetPages(50, 'skip')", "same rows"),
        ("paging=KeysetPages('id', 'after', limit=50)", "no other 'id'"),
    ],
)
def test_directus_with_the_wrong_paging(
    kit: Kit, folder_zone: Zone, directus_url: str, paging: str, says: str
) -> None:
    arguments = f'records="data", params={{"meta": "filter_count"}}, {paging}'
    assert_refused(kit, folder_zone, arguments, says, kind="integer", auth=BEARER)


@pytest.mark.long
@pytest.mark.parametrize(
    ("paging", "says"),
    [
        ("paging=NumberedPages(50, first=2)", SKIPPED),
        ("paging=NumberedPages(100, first=3)", SKIPPED),
        ("paging=NumberedPages(50, 'p')", "same rows"),
        ("paging=OffsetPages(50, 'skip')", "same rows"),
        ("paging=KeysetPages('id', 'after', limit=50)", "no other 'id'"),
    ],
)
def test_directus_without_its_count_and_with_the_wrong_paging(
    kit: Kit, folder_zone: Zone, directus_url: str, paging: str, says: str
) -> None:
    assert_refused(kit, folder_zone, f'records="data", {paging}', says, kind="integer", auth=BEARER)


@pytest.mark.long
@pytest.mark.parametrize("paging", NOWHERE)
def test_directus_without_its_count_is_warned_of(
    kit: Kit, folder_zone: Zone, directus_url: str, paging: str
) -> None:
    """Nothing in its answers says whether there are more than the 100 rows of its first page."""
    done = land(kit, f'records="data", {paging}', "integer", BEARER)
    assert done.code == 0, done.text
    assert "the response has exactly 100 rows, as a full page would have" in done.text
    assert "`landing check` requests a second page" in done.text
    name = done.out.partition("/")[0].rpartition(" ")[2].strip()
    checked = kit.landing("check", name, "--only=paging")
    assert checked.code == 1, checked.text
    assert "with page=2 the API returns 100 others" in checked.text
