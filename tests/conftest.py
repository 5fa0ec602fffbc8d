from __future__ import annotations

import itertools
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from obstore.store import LocalStore, S3Store
from playwright.sync_api import Browser, sync_playwright

from demo.servers import S3Server, seaweedfs
from landing import secrets
from tests.kit import Kit, Zone, own_sources
from tests.servers.api import Api, serve_api
from tests.servers.oauth import Provider, serve_oauth

_SETTINGS = (
    "DLT_BUCKET_URL",
    "S3_ENDPOINT",
    "S3_ACCESS_KEY_ID",
    "S3_SECRET_ACCESS_KEY",
    "LANDING_TABLES_URL",
    "LANDING_DUCKLAKE_CATALOG",
    "LANDING_FILE_MB",
    "LANDING_TOKEN_KEY",
    "LANDING_PRIVACY_KEY",
    "LANDING_REPORT_MINUTES",
    "LANDING_REPORT_VALUES",
    "MY_API_URL",
    "MY_API_KEY",
)
# Files that take the longest come first, so that no process is left alone with one at the end.
_LONG = (
    "test_dagster_ui",
    "test_benchmarks",
    "test_reliability",
    "test_feeder",
    "test_backfill",
    "test_tables",
    "test_replay",
    "test_new",
    "test_demo",
    "test_report",
    "test_tutorial",
    "test_dagster",
    "test_quarantine",
    "test_docs",
    "test_shell_blocks",
    "test_site",
    "test_scaling",
    "test_compaction",
)
CHROMIUM = shutil.which("chromium")
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_numbers = itertools.count()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. Not for the whole session: a loop of asyncio runs as long as it does."""
    if CHROMIUM is None:
        pytest.skip("no chromium: apt-get install chromium (make test does, as root on Debian)")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_FLAGS))
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


def pytest_configure() -> None:
    """A shell's background job ignores Ctrl-C, and so would the programs that tests interrupt."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {name: rank for rank, name in enumerate(_LONG)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(_LONG)))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tests say what is set, whoever runs them; what others obtained is no secret of theirs."""
    monkeypatch.setattr(secrets, "_registered", {})
    monkeypatch.setattr(secrets, "_lasting", {})
    before = dict(os.environ)
    for name in _SETTINGS:
        os.environ.pop(name, None)
    yield
    # A command that read a workspace's .env left it there.
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def kit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Kit]:
    """A workspace that is the current folder, with the repository's own sources."""
    made = Kit(tmp_path / "repository", capsys)
    monkeypatch.chdir(made.root / "dlt")
    with own_sources():
        yield made


@pytest.fixture
def zone(s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Zone:
    """A prefix of its own on the S3 server, which the environment points to."""
    number = next(_numbers)
    prefix = f"raw-{number}"
    places = {
        "DLT_BUCKET_URL": f"s3://{s3.bucket}/{prefix}",
        "LANDING_TABLES_URL": f"s3://{s3.bucket}/tables-{number}",
    }
    for name, value in {**s3.env(), **places}.items():
        monkeypatch.setenv(name, value)
    store = S3Store(
        s3.bucket,
        prefix=prefix,
        endpoint=s3.url,
        region="us-east-1",
        access_key_id=s3.access_key,
        secret_access_key=s3.secret_key,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
    return Zone(store, tmp_path / "copies")


@pytest.fixture
def folder_zone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Zone:
    """A local folder as bucket, for what does not depend on the kind of bucket."""
    folder = tmp_path / "zone"
    monkeypatch.setenv("DLT_BUCKET_URL", folder.as_uri())
    return Zone(LocalStore(folder, mkdir=True), tmp_path / "copies")


@pytest.fixture
def api() -> Iterator[Api]:
    with serve_api() as running:
        yield running


@pytest.fixture(scope="session")
def oauth_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with serve_oauth(tmp_path_factory.mktemp("oauth")) as running:
        yield running


@pytest.fixture
def provider(oauth_server: Provider) -> Provider:
    """An OAuth provider that was told nothing yet; its clients and tokens are each test's own."""
    oauth_server.reset()
    return oauth_server


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Api], None]:
    """Point the founding document's client to an API."""

    def point(api: Api) -> None:
        for name, value in api.env().items():
            monkeypatch.setenv(name, value)

    return point
