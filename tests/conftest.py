from __future__ import annotations

import gc
import multiprocessing.util
import os
import pickle
import re
import shutil
import signal
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from obstore.store import LocalStore, S3Store
from playwright.sync_api import Browser, sync_playwright

from demo.servers import S3Server, seaweedfs
from landing.secrets import registry
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
_OF_THE_MACHINE = re.compile(
    r"(AWS|AZURE|GOOGLE|OTEL|OPENLINEAGE|LANDING)_(?!CA_BUNDLE)|(FORCE|NO)_COLOR$"
)
"""What a person or a CI has set, such as another account or a collector, is not for tests."""
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
_S3 = pytest.StashKey[tuple[ExitStack, S3Server]]()


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
def s3(request: pytest.FixtureRequest) -> Iterator[S3Server]:
    """One for all workers, or one of this process when there are no workers."""
    if given := getattr(request.config, "workerinput", {}).get("s3"):
        yield pickle.loads(given)
        return
    with tempfile.TemporaryDirectory(prefix="seaweedfs-") as folder, seaweedfs(Path(folder)) as own:
        yield own


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Before pytest-xdist starts a worker, it is given the address of the workers' server."""
    stash = node.config.stash
    if _S3 not in stash:
        stack = ExitStack()
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="seaweedfs-"))
        stash[_S3] = (stack, stack.enter_context(seaweedfs(Path(folder))))
    node.workerinput["s3"] = pickle.dumps(stash[_S3][1])


def pytest_unconfigure(config: pytest.Config) -> None:
    if _S3 in config.stash:
        config.stash[_S3][0].close()


def pytest_configure() -> None:
    """A shell's background job ignores Ctrl-C, and so would the programs that tests interrupt.
    A variable of the machine's must not reach tests or the servers of the whole session."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in filter(_OF_THE_MACHINE.match, list(os.environ)):
        del os.environ[name]
    if any(name.lower() in ("http_proxy", "all_proxy") for name in os.environ):
        os.environ["no_proxy"] = "127.0.0.1,localhost"  # the servers of tests


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {name: rank for rank, name in enumerate(_LONG)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(_LONG)))


@pytest.fixture(autouse=True)
def let_go_of_garbage() -> Iterator[None]:
    """A command ends with `gc.freeze`. The tests run many in one process, whose sockets would stay
    open, up to the limit of 1,024 that many machines have."""
    yield
    if len(list(Path("/dev/fd").iterdir())) > 300:
        gc.unfreeze()
        gc.collect()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tests say what is set, whoever runs them; what others obtained is no secret of theirs."""
    for kind in ("_registered", "_sent", "_lasting"):
        monkeypatch.setattr(registry, kind, {})
    before = dict(os.environ)
    for name in _SETTINGS:
        os.environ.pop(name, None)
    yield
    # A command that read a workspace's .env left it there.
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session", autouse=True)
def own_temporary_folder() -> Iterator[Path]:
    """What a machine's processes share, as the state of a pace, is shared by a worker's tests."""
    multiprocessing.util.get_temp_dir()  # in the machine's: it is removed after this one
    with tempfile.TemporaryDirectory(prefix="tests-") as folder, pytest.MonkeyPatch.context() as to:
        Path(folder).chmod(0o711)  # PostgreSQL runs as another user
        to.setenv("TMPDIR", folder)
        to.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture(autouse=True)
def nothing_is_left_in_the_process(own_temporary_folder: Path) -> Iterator[None]:
    """The port of a test's server is soon another's, whose limits and tokens are its own."""
    yield
    # Only what a test has imported: an import here would cost each worker a second.
    if pace := sys.modules.get("landing.http.pacing.pace"):
        with pace._limiters_lock:
            pace._limiters.clear()
    if renewed := sys.modules.get("landing.http.auth.renewed"):
        with renewed._slots_lock:
            renewed._slots.clear()
    if shared := sys.modules.get("landing.http.shared_objects"):
        shared._open = None
    if interruption := sys.modules.get("landing.extraction.interruption"):
        interruption._requested.clear()
        interruption._received.clear()
    shutil.rmtree(own_temporary_folder / f"landing-pace-{os.getuid()}", ignore_errors=True)


@pytest.fixture(autouse=True)
def no_state_is_left_in_dlt() -> Iterator[None]:
    """A run that leaves its state bound to the thread has the next one read another stream's."""
    yield
    if "dlt.common.pipeline" in sys.modules:
        from dlt.common.configuration.container import Container
        from dlt.common.pipeline import StateInjectableContext

        assert StateInjectableContext not in Container()


@pytest.fixture
def kit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Kit]:
    """A workspace that is the current folder, with the repository's own sources."""
    made = Kit(tmp_path / "repository", capsys)
    monkeypatch.chdir(made.root / "dlt")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with own_sources():
        yield made


@pytest.fixture
def zone(s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Zone:
    """A prefix of its own on the S3 server, which the environment points to."""
    # The torture's fleets and the other workers land in the same bucket.
    name = uuid.uuid4().hex
    prefix = f"raw-{name}"
    places = {
        "DLT_BUCKET_URL": f"s3://{s3.bucket}/{prefix}",
        "LANDING_TABLES_URL": f"s3://{s3.bucket}/tables-{name}",
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
