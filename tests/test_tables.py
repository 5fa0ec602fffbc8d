"""Current-state tables beside the landing zone, read back with readers that are not ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import obstore
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from obstore.store import S3Store
from pyiceberg.table import StaticTable

from demo.servers import S3Server, free_ports
from tests.kit import Kit, Zone
from tests.lake import extension, reading
from tests.rowsfile import INCREMENTAL, add_shop, write_rows
from tests.servers.proxy import Exchange, Request, serve_proxy

FORMATS = ("delta", "iceberg", "ducklake")

FIELDS = {
    "id": {"type": "integer"},
    "at": {"type": "integer"},
    "name": {"type": "string"},
    "when": {"type": "string", "format": "date-time"},
    "tags": {"type": "array", "encoding": "native", "items": {"type": "integer"}},
}
COLUMNS = tuple(FIELDS)


def row(id: int, at: int | None, name: str = "", **more: Any) -> dict[str, Any]:
    return {
        "id": id,
        "at": at,
        "name": name or f"{id} at {at}",
        "when": "2026-01-01T00:00:00Z",
        "tags": [id, at],
        **more,
    }


@dataclass
class Shop:
    """A source whose rows a test says, and its tables as others read them."""

    kit: Kit
    s3: S3Server
    tables: str
    catalog: Path
    file: Path
    format: str = "delta"

    def gives(self, *rows: dict[str, Any]) -> None:
        write_rows(self.file, *rows)

    def configure(self, stream: str = "orders", **keys: Any) -> None:
        self.kit.configure(
            "shop",
            stream,
            **{
                "primary_key": [["id"]],
                "destination_sync_mode": "merge",
                "table_format": self.format,
                "fields": FIELDS,
                **(INCREMENTAL if stream == "orders" else {"sync_mode": "full_refresh"}),
                **keys,
            },
        )

    def run(self, stream: str = "orders") -> str:
        done = self.kit.run("shop", stream)
        assert done.code == 0, done.text
        return done.out

    def lands(self, *rows: dict[str, Any], stream: str = "orders") -> str:
        self.gives(*rows)
        return self.run(stream)

    def rebuild(self, stream: str = "orders") -> str:
        done = self.kit.landing("rebuild", "shop", stream, "--yes")
        assert done.code == 0, done.text
        return done.out

    def rows(self, stream: str = "orders") -> list[dict[str, Any]]:
        """By key, as the format's own reader gives them."""
        return sorted(self.read(stream).to_pylist(), key=lambda row: (row["id"], row["_dlt_id"]))

    def current(self, stream: str = "orders") -> dict[int, str]:
        rows = self.rows(stream)
        current = {row["id"]: row["name"] for row in rows}
        assert len(current) == len(rows), "one row per key"
        return current

    def read(self, stream: str = "orders") -> pa.Table:
        location = f"{self.tables}/shop/{stream}"
        if self.format == "delta":
            return DeltaTable(location, storage_options=self.options()).to_pyarrow_table()
        if self.format == "iceberg":
            return StaticTable.from_metadata(location, self.properties()).scan().to_arrow()
        with reading(f"sqlite:{self.catalog}") as lake:
            return lake.execute(f"SELECT * FROM lake.shop.{stream}").to_arrow_table()

    def store(self) -> S3Store:
        return S3Store(
            self.s3.bucket,
            prefix=self.tables.rpartition("/")[2],
            endpoint=self.s3.url,
            region="us-east-1",
            access_key_id=self.s3.access_key,
            secret_access_key=self.s3.secret_key,
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
        )

    def options(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.s3.url,
            "AWS_ACCESS_KEY_ID": self.s3.access_key,
            "AWS_SECRET_ACCESS_KEY": self.s3.secret_key,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }

    def properties(self) -> dict[str, str]:
        return {
            "s3.endpoint": self.s3.url,
            "s3.access-key-id": self.s3.access_key,
            "s3.secret-access-key": self.s3.secret_key,
            "s3.region": "us-east-1",
        }


@pytest.fixture
def shop(
    kit: Kit, s3: S3Server, zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Shop:
    tables = os.environ["LANDING_TABLES_URL"]
    file, catalog = tmp_path / "rows.json", tmp_path / "catalog.sqlite"
    monkeypatch.setenv("LANDING_DUCKLAKE_CATALOG", f"sqlite://{catalog}")
    add_shop(kit, file, monkeypatch)
    return Shop(kit, s3, tables, catalog, file)


@pytest.fixture(params=FORMATS)
def each(request: pytest.FixtureRequest, shop: Shop) -> Shop:
    shop.format = request.param
    return shop


def test_a_table_has_one_row_per_key_the_newest(each: Shop) -> None:
    each.configure()
    told = each.lands(row(1, 10), row(2, 20), row(2, 25), row(3, 30))
    assert (
        f"table  {each.format} at {each.tables}/shop/orders: rebuilt from all landed files" in told
    )
    assert each.current() == {1: "1 at 10", 2: "2 at 25", 3: "3 at 30"}

    told = each.lands(row(1, 40), row(4, 50), row(4, None), row(5, None))
    assert "4 rows upserted" in told or "3 rows upserted" in told, told
    assert each.current() == {
        1: "1 at 40",
        2: "2 at 25",
        3: "3 at 30",
        4: "4 at 50",
        5: "5 at None",
    }
    assert each.rows()[0]["tags"] == [1, 40]
    before = each.rows()
    each.rebuild()
    assert each.rows() == before
    assert "up to date" in each.run()


def test_aws_variables_of_another_account_do_not_count_for_a_table(
    each: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = f"http://127.0.0.1:{free_ports(1)[0]}"
    foreign = {
        "AWS_SESSION_TOKEN": "of-another-account",
        "AWS_ENDPOINT_URL_S3": other,
        "AWS_ENDPOINT_URL": other,
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_CONDITIONAL_PUT": "disabled",
        "AWS_PROFILE": "missing",
        "AWS_COPY_IF_NOT_EXISTS": "dynamo:x",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
        "AWS_SERVER_SIDE_ENCRYPTION": "aws:kms",
    }
    for name, value in foreign.items():
        monkeypatch.setenv(name, value)
    each.configure()
    each.lands(row(1, 10), row(2, 20))
    each.lands(row(1, 40))
    for name in foreign:
        monkeypatch.delenv(name)
    assert each.current() == {1: "1 at 40", 2: "2 at 20"}


def test_a_run_without_a_table_imports_nothing_for_one(shop: Shop) -> None:
    shop.configure(destination_sync_mode="append", table_format=None)
    shop.gives(row(1, 10))
    code = (
        "import sys; from landing.cli import main; assert main(['run', 'shop', 'orders']) == 0;"
        "print([name for name in ('duckdb', 'deltalake', 'pyiceberg') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_row_from_quarantine_is_no_later_version_than_it_was(each: Shop) -> None:
    each.configure(fields={**FIELDS, "name": {"type": "integer"}})
    each.lands(row(1, 10, "not a number"), row(2, 20, "no number either"), row(3, 5, name=7))
    each.lands(row(1, 30, name=8))
    each.configure(fields={**FIELDS, "name": {"type": "number"}})
    refused = each.kit.run("shop", "orders")
    assert refused.code == 2
    assert "fields.name: the table at" in refused.err
    assert "was made with int64, but the config now says double" in refused.err
    assert "`landing rebuild shop orders`" in refused.err

    each.configure()
    told = each.rebuild()
    assert each.current() == {1: "8", 3: "7"}, told
    landed = each.kit.landing("quarantine", "land", "shop", "orders")
    assert landed.code == 0, landed.text
    assert "1 row upserted" in landed.out
    assert each.current() == {1: "8", 2: "no number either", 3: "7"}


def test_fields_come_and_go(each: Shop) -> None:
    few = {name: FIELDS[name] for name in ("id", "at", "name")}
    each.configure(fields=few)
    each.lands(row(1, 10))
    each.configure()
    each.lands(row(2, 20))
    assert [r["tags"] for r in each.rows()] == [None, [2, 20]]
    each.configure(fields=few)
    each.lands(row(2, 30), row(3, 40))
    assert [r["tags"] for r in each.rows()] == [None, None, None]
    each.rebuild()
    assert each.read().column_names == [*few, "_dlt_load_id", "_dlt_id"]


def test_a_full_refresh_takes_the_place_of_the_last(each: Shop) -> None:
    each.configure("stock", destination_sync_mode="overwrite", allow_empty=True)
    each.lands(row(1, 10), row(2, 20), stream="stock")
    each.lands(row(2, 25), row(3, 30), row(3, 31), stream="stock")
    assert each.current("stock") == {2: "2 at 25", 3: "3 at 31"}
    before = each.rows("stock")
    each.rebuild("stock")
    assert each.rows("stock") == before
    each.lands(stream="stock")
    assert each.current("stock") == {}
    each.rebuild("stock")
    assert each.current("stock") == {}
    each.lands(row(4, 40), stream="stock")
    assert each.current("stock") == {4: "4 at 40"}


def test_a_table_that_is_damaged_or_gone_is_made_again(each: Shop, zone: Zone) -> None:
    each.configure()
    each.lands(row(1, 10), row(2, 20))
    each.lands(row(2, 30))
    before = each.rows()
    if each.format == "ducklake":
        with duckdb.connect() as connection:
            for name in ("httpfs", "sqlite_scanner", "ducklake"):
                connection.execute(f"LOAD '{extension(name)}'")
            connection.execute(f"ATTACH 'ducklake:sqlite:{each.catalog}' AS lake")
            connection.execute("DROP TABLE lake.shop.orders")
    else:
        store = each.store()
        paths = [entry["path"] for page in obstore.list(store) for entry in page]
        log = [path for path in paths if path.endswith(("json", "version-hint.text"))]
        obstore.put(store, sorted(log)[0], b"{")
        obstore.put(store, sorted(log)[-1], b"nonsense")
        failed = each.kit.run("shop", "orders")
        assert failed.code == 1
        assert "all that was read has landed, but the table at" in failed.err
    each.rebuild()
    assert each.rows() == before
    each.lands(row(3, 50))
    assert each.current() == {1: "1 at 10", 2: "2 at 30", 3: "3 at 50"}


def test_another_format_is_another_table(shop: Shop) -> None:
    shop.configure()
    shop.lands(row(1, 10))
    for table_format in ("iceberg", "ducklake", "delta"):
        shop.format = table_format
        shop.configure()
        assert "rebuilt from all landed files, 1 row" in shop.run()
        assert shop.current() == {1: "1 at 10"}


def test_rows_without_a_key_land_but_have_no_place_in_the_table(each: Shop) -> None:
    each.configure()
    told = each.lands(row(1, 10), {**row(1, 20), "id": None})
    assert "1 row without a value in the primary key landed, but are not in the table" in told
    told = each.lands(row(1, 30), {**row(1, 40), "id": None})
    assert "1 row without a value in the primary key" in told
    assert each.current() == {1: "1 at 30"}


def _writes(request: Request, *endings: str) -> bool:
    return request.method in ("PUT", "POST") and request.path.endswith(endings)


MOMENTS: dict[str, Callable[[Request], bool]] = {
    "state": lambda request: _writes(request, "/state.json"),
    "table": lambda request: "/tables-" in request.path and _writes(request, ".parquet"),
    "commit": lambda request: (
        ("/_delta_log/" in request.path or request.path.endswith("/version-hint.text"))
        and _writes(request, ".json", ".text")
    ),
    "marker": lambda request: _writes(request, "/table.json"),
}


@pytest.mark.parametrize(
    ("table_format", "moment"),
    [*(("delta", moment) for moment in MOMENTS), ("iceberg", "commit"), ("ducklake", "marker")],
)
def test_a_run_killed_on_the_way_is_completed_by_the_next(
    shop: Shop, table_format: str, moment: str, s3: S3Server, zone: Zone
) -> None:
    shop.format = table_format
    shop.configure()
    shop.lands(row(1, 10), row(2, 20))
    shop.gives(row(1, 30), row(3, 30))
    with serve_proxy(s3.endpoint) as proxy:
        killed: list[int] = []

        def kill(exchange: Exchange) -> None:
            os.kill(process.pid, signal.SIGKILL)
            killed.append(process.pid)
            exchange.reset()

        proxy.spoil(kill, when=MOMENTS[moment])
        process = shop.kit.start("pipeline.py", "shop", "orders", S3_ENDPOINT=proxy.endpoint)
        output, _ = process.communicate(timeout=100)
        assert killed, output
    zone.delete("_dlt/shop/orders/lease.json")
    if moment == "marker":
        assert shop.current() == {1: "1 at 30", 2: "2 at 20", 3: "3 at 30"}
    else:
        assert shop.current() == {1: "1 at 10", 2: "2 at 20"}
    if moment == "state":
        shop.run()
    else:
        shop.gives()
        assert "nothing new" in shop.run()
    assert shop.current() == {1: "1 at 30", 2: "2 at 20", 3: "3 at 30"}
    before = shop.rows()
    shop.rebuild()
    assert shop.rows() == before


def test_a_reader_has_the_old_snapshot_or_the_new_one_whole(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parts of the new one reach the table in several files."""
    monkeypatch.setenv("LANDING_FILE_MB", "0.01")
    shop.configure("stock", destination_sync_mode="overwrite")
    seen: list[tuple[int, set[int]]] = []
    over = threading.Event()

    def poll() -> None:
        while not over.is_set():
            table = shop.read("stock")
            seen.append((table.num_rows, set(table["at"].to_pylist())))

    shop.lands(*(row(id, 1) for id in range(500)), stream="stock")
    with ThreadPoolExecutor(1) as pool:
        polling = pool.submit(poll)
        for at in (2, 3):
            shop.lands(*(row(id, at) for id in range(500 * at)), stream="stock")
        over.set()
        polling.result(timeout=60)
    assert {rows for rows, _ in seen} <= {500, 1000, 1500}
    assert all(rows == 500 * at for rows, (at,) in ((n, tuple(ats)) for n, ats in seen))
    assert set(shop.read("stock")["at"].to_pylist()) == {3}


def test_streams_side_by_side_have_a_table_each(each: Shop) -> None:
    for stream in ("orders", "stock"):
        each.configure(stream)
    each.gives(row(1, 10), row(2, 20))
    for _ in range(2):
        done = each.kit.run("shop", "--all", "--workers", "2")
        assert done.code == 0, done.text
    for stream in ("orders", "stock"):
        assert each.current(stream) == {1: "1 at 10", 2: "2 at 20"}


def test_where_a_table_can_not_be_is_reported_before_anything_is_read(
    shop: Shop, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.configure()
    shop.gives(row(1, 10))
    secret = shop.s3.secret_key
    mistakes = {
        "bucket 'nowhere' does not exist": {"LANDING_TABLES_URL": "s3://nowhere/tables"},
        "fix LANDING_TABLES_URL or S3_ENDPOINT": {"LANDING_TABLES_URL": "s3://nowhere/tables"},
        "has to be outside of": {"LANDING_TABLES_URL": f"{os.environ['DLT_BUCKET_URL']}/tables"},
        "LANDING_TABLES_URL is 'tables': it has to be s3://": {"LANDING_TABLES_URL": "tables"},
        "LANDING_TABLES_URL is not set, and the landing zone s3://landing has no room": {
            "LANDING_TABLES_URL": "",
            "DLT_BUCKET_URL": f"s3://{shop.s3.bucket}",
        },
    }
    for told, environment in mistakes.items():
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            failed = shop.kit.run("shop", "orders")
        assert failed.code in (1, 2)
        assert told in failed.err
        assert secret not in failed.text
        assert zone.parts("shop", "orders") == []


def test_a_catalog_is_required_and_its_password_is_never_shown(
    shop: Shop, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.format = "ducklake"
    shop.configure()
    shop.gives(row(1, 10))
    for url, told in (
        ("", "LANDING_DUCKLAKE_CATALOG is not set"),
        ("duckdb:///lake.duckdb", "LANDING_DUCKLAKE_CATALOG has to be postgresql://"),
        (f"sqlite://{shop.catalog.parent}/none/lake", "there is no folder"),
        (f"sqlite://{shop.catalog.parent}", "is a folder; name a file in it"),
        ("sqlite:///proc/lake", "nothing can be written in /proc"),
    ):
        monkeypatch.setenv("LANDING_DUCKLAKE_CATALOG", url)
        failed = shop.kit.run("shop", "orders")
        assert failed.code == 2
        assert told in failed.err
        assert zone.parts("shop", "orders") == []
    (port,) = free_ports(1)
    url = f"postgresql://lander:sesame-{port}@127.0.0.1:{port}/lake"
    monkeypatch.setenv("LANDING_DUCKLAKE_CATALOG", url)
    failed = shop.kit.run("shop", "orders")
    assert failed.code == 1
    assert "all that was read has landed, but the table at" in failed.err
    assert f"sesame-{port}" not in failed.text


def test_a_ducklake_catalog_is_for_one_place_and_says_so_before_anything_is_read(
    shop: Shop, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.format = "ducklake"
    shop.configure()
    shop.lands(row(1, 10))
    landed = zone.parts("shop", "orders")
    monkeypatch.setenv("LANDING_TABLES_URL", f"{shop.tables}-new")
    shop.gives(row(1, 20))
    for failed in (
        shop.kit.run("shop", "orders"),
        shop.kit.landing("rebuild", "shop", "orders", "--yes"),
    ):
        assert failed.code == 2, failed.text
        assert f"has the tables of {shop.tables}/, but LANDING_TABLES_URL is now" in failed.err
        assert "LANDING_DUCKLAKE_CATALOG to a new catalog" in failed.err
        assert zone.parts("shop", "orders") == landed
    shop.catalog = shop.catalog.with_name("new.sqlite")
    monkeypatch.setenv("LANDING_DUCKLAKE_CATALOG", f"sqlite:///{shop.catalog}")
    assert "sqlite:////" in os.environ["LANDING_DUCKLAKE_CATALOG"], "as SQLAlchemy spells it"
    shop.run()
    assert shop.current() == {1: "1 at 20"}


def test_a_format_that_is_not_installed_is_reported_before_anything_is_read(
    shop: Shop, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.configure()
    shop.gives(row(1, 10))
    monkeypatch.setattr("landing.tables.place.find_spec", lambda name: None)
    failed = shop.kit.run("shop", "orders")
    assert failed.code == 2
    assert "table_format 'delta' needs deltalake, duckdb, which is not installed" in failed.err
    assert 'pip install "dlt-landing[tables]"' in failed.err
    assert zone.paths_but_failures() == []


@pytest.mark.parametrize("name", ["Name", "na`me"])
def test_names_that_no_table_can_hold_are_refused(shop: Shop, name: str) -> None:
    shop.configure(fields={**FIELDS, name: {"type": "string"}})
    failed = shop.kit.run("shop", "orders")
    assert failed.code == 2
    assert "no table can have" in failed.err


def test_rebuild_asks_first_and_only_for_streams_with_a_table(shop: Shop) -> None:
    shop.configure()
    asked = shop.kit.landing("rebuild", "shop", "orders")
    assert asked.code == 2
    assert f"rebuild the table at {shop.tables}/shop/orders?" in asked.err
    assert "confirm with --yes" in asked.err
    shop.configure(destination_sync_mode="append", table_format=None)
    none = shop.kit.landing("rebuild", "shop", "orders", "--yes")
    assert none.code == 2
    assert "'append' keeps no table" in none.err


def test_a_dry_run_shows_where_the_table_is(shop: Shop) -> None:
    shop.configure()
    told = shop.kit.run("shop", "orders", "--dry-run")
    assert f"table     delta at {shop.tables}/shop/orders" in told.out
