"""Azure Blob Storage and Google Cloud Storage in place of S3, each on an emulator."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import deltalake
import pytest

from landing.catalog.settings import bucket_settings
from landing.catalog.store_options import store_options
from landing.catalog.workspace import Workspace
from landing.secrets import redacted
from landing.zone import lease as lease_module
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.lease import Lease
from tests.kit import Kit, Zone
from tests.servers import azurite, gcs
from tests.servers.api import Api
from tests.test_compaction import compact, hourly

DLT = "DESTINATION__FILESYSTEM__CREDENTIALS__"
FIELDS = {
    "id": {"type": "integer"},
    "name": {"type": "string"},
    "updated_at": {"type": "string", "format": "date-time"},
    "total": {"type": "number"},
}
Use = Callable[[Api], None]


@dataclass(frozen=True)
class Store:
    server: gcs.Gcs | azurite.Azurite
    scheme: str

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.server.bucket}"


@pytest.fixture(scope="module", params=["gs", "az"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    with ExitStack() as stack:
        if request.param == "gs":
            yield Store(stack.enter_context(gcs.serve_gcs()), "gs")
            return
        if not azurite.is_installed():
            pytest.skip("no Azurite: make azurite installs it, where there is npm")
        folder = tmp_path_factory.mktemp("azurite")
        yield Store(stack.enter_context(azurite.azurite(folder)), "az")


@pytest.fixture
def bucket(
    store: Store, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Bucket:
    """A prefix of its own, which the environment points to."""
    for name, value in store.server.env().items():
        monkeypatch.setenv(name, value)
    prefix = re.sub(r"\W+", "-", request.node.originalname)
    monkeypatch.setenv("DLT_BUCKET_URL", f"{store.url}/{prefix}/raw")
    return opened()


def opened() -> Bucket:
    return Bucket(bucket_settings(Workspace(Path.cwd())))


@pytest.fixture
def shop(kit: Kit, api: Api, use: Use) -> Kit:
    kit.add_founding_source()
    configure(kit)
    use(api)
    return kit


def configure(kit: Kit, **keys: Any) -> None:
    fields = {"cursor_field": ["updated_at"], "primary_key": [["id"]], "fields": FIELDS}
    kit.configure("my_source", "orders", **{**fields, **keys})


def test_a_stream_lands_is_looked_at_compacted_and_set_back(
    shop: Kit, api: Api, bucket: Bucket, tmp_path: Path
) -> None:
    configure(shop, destination_sync_mode="merge", table_format="delta")
    first = shop.run("my_source", "orders")
    assert first.code == 0, first.text
    assert "2,350 rows" in first.out
    api.update("orders", 7, total="odd")
    api.update("orders", 8, name="changed")
    second = shop.run("my_source", "orders")
    assert second.code == 0, second.text
    assert "quarantine" in second.out, second.text
    assert "quarantine" in shop.landing("status").out
    for command in (("verify", "my_source"), ("doctor",)):
        done = shop.landing(*command)
        assert done.code == 0, done.text
    seen = Zone(bucket._store, tmp_path / "copies")
    ids = "SELECT count(DISTINCT id), count(*) FROM landed"
    assert seen.query("my_source", "orders", ids) == [(2_350, 2_351)]
    hourly(seen, days=1, a_day=3)
    shop.configure("shop", "orders", fields={"id": {"type": "integer"}})
    assert "became 1 file" in compact(shop)
    assert len(seen.parts("shop", "orders")) == 1
    table = deltalake.DeltaTable(
        f"{bucket.url.removesuffix('raw')}tables/my_source/orders",
        storage_options={**store_options(bucket.settings), "allow_http": "true"},
    )
    rows = table.to_pyarrow_table().to_pylist()
    assert len(rows) == 2_350
    assert [row["name"] for row in rows if row["id"] == 8] == ["changed"]
    assert "total: text" in shop.landing("quarantine", "list", "my_source", "orders").out
    edit = ("state", "set", "my_source", "orders", "--cursor", "2025-12-31 00:00:00", "--yes")
    edited = shop.landing(*edit)
    assert edited.code == 0, edited.text
    assert "2025-12-31 00:00:00" in shop.landing("state", "my_source", "orders").out
    assert shop.landing("state", "restore", "my_source", "orders", "--yes").code == 0


def test_one_run_at_a_time(shop: Kit, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    path = StreamPaths("my_source", "orders").lease
    with Lease(bucket, path, "my_source/orders"):
        refused = shop.run("my_source", "orders")
        assert refused.code != 0
        assert "it is free when that ends" in refused.err
        left = bucket.get(path)
    assert left is not None
    bucket.put(path, left.data)  # as a process that was killed leaves it
    monkeypatch.setattr(lease_module, "EXPIRES_AFTER", timedelta(0))
    assert shop.run("my_source", "orders").code == 0


def test_of_many_writers_one_wins(bucket: Bucket) -> None:
    for turn in range(3):
        made = race(lambda own, turn=turn: bucket.create(f"a/{turn}", own))
        (winner,) = made
        replaced = race(lambda own, turn=turn, seen=winner: bucket.replace(f"a/{turn}", own, seen))
        (second,) = replaced
        stored = bucket.get(f"a/{turn}")
        assert stored is not None
        assert stored.data == second.data


def race(write: Callable[[bytes], Any]) -> list[Any]:
    """What the writes that succeeded gave; each has content of its own."""
    results: list[Any] = []
    threads = [Thread(target=lambda own=b"%d" % n: results.append(write(own))) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    return [result for result in results if result is not None]


def test_names_after_one_and_deletions_of_what_is_gone(bucket: Bucket, tmp_path: Path) -> None:
    names = [f"l/{number:02}=x/part" for number in range(12)]
    for name in names:
        bucket.put(name, b"x")
    assert sorted(bucket.list("l", names[8])) == names[9:]
    bucket.delete_all(["l/gone", *names[1:], "l/gone as well"])
    assert list(bucket.list("l")) == names[:1]
    bucket.delete_all(names)
    bucket.delete(names[0])
    assert bucket.get(names[0]) is None


def test_parts_are_written_once(bucket: Bucket, tmp_path: Path) -> None:
    part, other = tmp_path / "part", tmp_path / "other"
    part.write_bytes(b"x" * 3_000_000)
    other.write_bytes(b"y" * 3_000_000)
    assert bucket.put_new("p/1", part, lambda: None)
    assert bucket.put_new("p/1", part, lambda: None), "it is there, byte by byte"
    assert not bucket.put_new("p/1", other, lambda: None)
    assert bucket.range("p/1", 10, 13) == b"xxx"


def test_errors_say_what_to_do(
    shop: Kit, store: Store, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    azure = isinstance(store.server, azurite.Azurite)
    what = "container" if azure else "bucket"

    def failure() -> str:
        done = shop.run("my_source", "orders")
        assert done.code != 0
        assert "Traceback" not in done.err
        return done.err

    monkeypatch.setenv("DLT_BUCKET_URL", f"{store.scheme}://nolake/raw")
    assert f"{what} 'nolake' does not exist" in failure()
    monkeypatch.setenv("DLT_BUCKET_URL", bucket.url)
    key = "AZURE_STORAGE_ACCOUNT_KEY" if azure else "PRIVATE_KEY"
    monkeypatch.setenv(DLT + key, "AAAA" + azurite.KEY[4:] if azure else gcs.new_key())
    assert "the key is not known or its secret is wrong; check" in failure()
    monkeypatch.setenv(DLT + key, "no key at all!")
    assert f"can't use {bucket.url}" in failure()
    if azure:
        monkeypatch.delenv(DLT + key)
        reads_only = store.server.shared_access_signature("rl")
        monkeypatch.setenv(f"{DLT}AZURE_STORAGE_SAS_TOKEN", f"?{reads_only}")
    else:
        monkeypatch.setenv(DLT + key, store.server.private_key)
        monkeypatch.setenv(f"{DLT}CLIENT_EMAIL", gcs.READER)
    assert "the key may not write there; check" in failure()


def test_the_providers_own_variables(
    store: Store, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bucket.put("a", b"there")
    for name in store.server.env():
        monkeypatch.delenv(name)
    if isinstance(store.server, azurite.Azurite):
        container, _, prefix = bucket.url.removeprefix("az://").partition("/")
        url = f"abfss://{container}@{azurite.ACCOUNT}.dfs.core.windows.net/{prefix}"
        monkeypatch.setenv("DLT_BUCKET_URL", url)
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", store.server.connection_string)
        secret = azurite.KEY
    else:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.server.url)
        secret = store.server.private_key
        file = tmp_path / "key.json"
        key = {"client_email": gcs.OWNER, "private_key_id": "1", "private_key": secret}
        file.write_text(json.dumps({"type": "service_account", **key}))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    stored = opened().get("a")
    assert stored is not None
    assert stored.data == b"there"
    (line, *_) = (line for line in secret.splitlines() if "-----" not in line)
    assert line not in redacted(f"a message with {line} in it")


def test_settings_that_lack_something(monkeypatch: pytest.MonkeyPatch, kit: Kit) -> None:
    def failure(url: str, **variables: str) -> str:
        with monkeypatch.context() as to:
            to.setenv("DLT_BUCKET_URL", url)
            for name, value in variables.items():
                to.setenv(name, value)
            done = kit.landing("doctor")
        assert done.code != 0
        return " ".join(done.text.split())

    monkeypatch.setenv("DLT_BUCKET_URL", "az://lake/raw")
    monkeypatch.setenv(f"{DLT}AZURE_STORAGE_SAS_TOKEN", "sig=only-for-the-tests")
    listed = kit.landing("env").out
    assert re.search(rf"{DLT}AZURE_STORAGE_SAS_TOKEN +optional  set ", listed), listed
    monkeypatch.delenv(f"{DLT}AZURE_STORAGE_SAS_TOKEN")
    assert "AZURE_STORAGE_ACCOUNT_NAME is not set" in failure("az://lake/raw")
    assert "set AZURE_CLIENT_ID and AZURE_TENANT_ID, too" in failure(
        "abfss://lake@shop.dfs.core.windows.net/raw", AZURE_CLIENT_SECRET="only-for-the-tests"
    )
    assert "PRIVATE_KEY is not set" in failure("gs://lake/raw", **{f"{DLT}CLIENT_EMAIL": "a@b"})
    assert "which can't be read: No such file" in failure(
        "gs://lake/raw", GOOGLE_APPLICATION_CREDENTIALS="/no/such/file.json"
    )
    assert "it has to be s3://bucket/prefix, gs://bucket/prefix" in failure("wasb://lake/raw")


def test_tables_of_other_formats_are_refused(
    shop: Kit, monkeypatch: pytest.MonkeyPatch, store: Store, bucket: Bucket
) -> None:
    configure(shop, destination_sync_mode="merge", table_format="iceberg")
    refused = shop.run("my_source", "orders")
    assert refused.code == 2
    assert "table_format 'iceberg' can't be written to" in refused.err
    assert "use 'delta'" in refused.err
