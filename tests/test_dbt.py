"""`landing dbt`: a package whose models have the current rows, and that leaves a person's edits.

The quick tests render the models as dbt does and run them in DuckDB. `make test-long` runs them
with dbt itself, on S3.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import pytest
import yaml

from landing.catalog.schedule import parse_schedule
from tests.kit import REPOSITORY, Kit, Zone
from tests.lake import extension

DBT = REPOSITORY / ".venv-dbt" / "bin" / "python"
COMMANDS = """\
import sys
from dbt.cli.main import dbtRunner
for command in sys.argv[1:]:
    done = dbtRunner().invoke(["--no-use-colors", *command.split()])
    if done.exception:
        raise done.exception
"""
STREAMS = """\
import json
from pathlib import Path
import dlt

FILE = Path(__file__).parents[4] / "records.json"

def records(stream):
    return json.loads(FILE.read_text()).get(stream, [])

@dlt.resource
def customers():
    yield records("customers")

@dlt.resource
def countries():
    yield records("countries")

@dlt.resource(
    primary_key=["order_id", "position"],
    columns={"is_deleted": {"hard_delete": True, "data_type": "bool"}},
)
def lines(at=dlt.sources.incremental("at")):
    yield records("lines")

@dlt.resource
def events(at=dlt.sources.incremental("at")):
    yield records("events")

@dlt.resource(name="odd.names-1")
def odd():
    yield records("odd.names-1")

@dlt.resource
def never():
    yield []
"""
INTEGER, STRING, TIME = (
    {"type": "integer"},
    {"type": "string"},
    {"type": "string", "format": "date-time"},
)
REFRESH = {"sync_mode": "full_refresh"}
CONFIGS: dict[str, dict[str, Any]] = {
    "customers": {
        "description": "Who buys: {{ not rendered }}.",
        "schedule": "5 * * * *",
        **REFRESH,
        "primary_key": [["id"]],
        "deletes": "snapshot",
        "deletes_limit": 1,
        "fields": {
            "id": {**INTEGER, "description": "Number of the customer"},
            "tags": {"type": "array", "items": STRING},
            "size": INTEGER,
            "phone": {**STRING, "privacy": "mask"},
            "address": {
                "type": ["object", "null"],
                "encoding": "native",
                "properties": {"city": STRING},
            },
        },
    },
    "countries": {**REFRESH, "fields": {"code": STRING, "name": STRING}},
    "lines": {
        "sync_mode": "incremental",
        "cursor_field": ["at"],
        "primary_key": [["order_id"], ["position"]],
        "fields": {"order_id": INTEGER, "position": INTEGER, "item": STRING, "at": TIME},
    },
    "events": {
        "sync_mode": "incremental",
        "cursor_field": ["at"],
        "on_drift": "land",
        "fields": {"what": STRING, "at": TIME},
    },
    "odd.names-1": {
        **REFRESH,
        "destination_sync_mode": "append",
        "primary_key": [['say "hi"']],
        "fields": {
            'say "hi"': STRING,
            "Select": STRING,
            "year": INTEGER,
            "filename": STRING,
            "{{ jinja }}": {"type": "boolean"},
        },
    },
    "never": {**REFRESH, "fields": {"id": INTEGER, "email": {**STRING, "privacy": "hash"}}},
}
PHONE = "555-0100-7"
FIRST: dict[str, list[dict[str, Any]]] = {
    "customers": [
        {"id": 1, "tags": ["a", "b"], "size": 10, "phone": PHONE, "address": {"city": "Ulm"}},
        {"id": 2, "tags": [], "size": 20, "phone": None, "address": None},
        {"id": 3, "tags": None, "size": 30, "phone": None, "address": None},
    ],
    "countries": [{"code": "DE", "name": "Germany"}, {"code": "DD", "name": "East Germany"}],
    "lines": [
        {"order_id": 1, "position": 1, "item": "pen", "at": "2026-01-01T00:00:00Z"},
        {"order_id": 1, "position": 2, "item": "ink", "at": "2026-01-01T00:00:00Z"},
        {"order_id": 2, "position": 1, "item": "cup", "at": "2026-01-01T00:00:00Z"},
        {"order_id": 3, "position": None, "item": "lost", "at": "2026-01-01T00:00:00Z"},
    ],
    "events": [{"what": "a", "at": "2026-01-01T00:00:00Z", "who": "me"}],
    "odd.names-1": [
        {'say "hi"': "x", "Select": "old", "year": 1999, "filename": "f", "{{ jinja }}": True},
        {'say "hi"': "x", "Select": "new", "year": 2000, "filename": "e", "{{ jinja }}": False},
    ],
}
SECOND: dict[str, list[dict[str, Any]]] = {
    "customers": [
        {
            "id": 1,
            "tags": ["c"],
            "size": "L",
            "phone": PHONE,
            "address": {"city": "Bonn"},
            "vip": 1,
        },
        {"id": 3, "tags": None, "size": 30, "phone": None, "address": None},
    ],
    "countries": [{"code": "DE", "name": "Germany"}],
    "lines": [
        {"order_id": 1, "position": 1, "item": "pencil", "at": "2026-01-02T00:00:00Z"},
        {"order_id": 1, "position": 2, "is_deleted": True, "at": "2026-01-02T00:00:00Z"},
    ],
    "events": [{"what": "a", "at": "2026-01-02T00:00:00Z"}],
    "odd.names-1": FIRST["odd.names-1"][1:],
}
CUSTOMERS = "SELECT id, tags, size, phone, address FROM {} ORDER BY id"


class Shop:
    """A source with a stream of each kind, and the package of its models."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.folder = kit.repository / "dbt" / "landing"
        kit.add_source("shop", STREAMS)
        for stream, config in CONFIGS.items():
            kit.configure("shop", stream, **config)

    def lands(self, records: dict[str, list[dict[str, Any]]]) -> None:
        (self.kit.repository / "records.json").write_text(json.dumps(records))
        done = self.kit.run("shop", *records)
        assert done.code == 0, done.text

    def changes_its_fields(self) -> None:
        config = CONFIGS["customers"]
        fields = {**config["fields"], "size": STRING, "vip": INTEGER}
        self.kit.configure("shop", "customers", **{**config, "fields": fields})

    def model(self, stream: str) -> str:
        (file,) = (self.folder / "models" / "shop" / stream).glob("*.sql")
        return file.read_text()

    def yaml(self, stream: str, file: str) -> dict[str, Any]:
        text = (self.folder / "models" / "shop" / stream / f"{file}.yml").read_text()
        document: dict[str, Any] = yaml.safe_load(text)
        (entry,) = document[file]
        return dict(entry["tables"][0]) if file == "sources" else dict(entry)


@pytest.fixture
def shop(kit: Kit) -> Shop:
    return Shop(kit)


class Table:
    """What dbt gives a model for a source."""

    def __init__(self, schema: str, identifier: str, location: str) -> None:
        self.schema, self.identifier, self._location = schema, identifier, location

    def __str__(self) -> str:
        return self._location


class Values(tuple[Any, ...]):
    """A row or a column."""

    def values(self) -> tuple[Any, ...]:
        return tuple(self)


class Rows:
    """What dbt's `run_query` returns."""

    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self.rows = [Values(row) for row in rows]
        self.columns = [Values(column) for column in zip(*rows, strict=True)] or [Values()]

    def __len__(self) -> int:
        return len(self.rows)


class Rendered:
    """The package's models, as dbt renders them, in DuckDB."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self.engine = duckdb.connect()
        self.engine.execute("SET TimeZone = 'UTC'")
        self._jinja = jinja2.Environment(undefined=jinja2.StrictUndefined)
        self._jinja.globals |= {
            "execute": True,
            "env_var": os.environ.__getitem__,
            "return": lambda value: value,
            "run_query": lambda sql: Rows(self.engine.execute(sql).fetchall()),
            "source": self.source,
        }
        macros = self._jinja.from_string((shop.folder / "macros" / "landing.sql").read_text())
        self._jinja.globals |= macros.module.__dict__

    def text(self, template: str) -> str:
        return self._jinja.from_string(template).render()

    def source(self, name: str, stream: str) -> Table:
        meta = self._shop.yaml(stream, "sources")["config"]["meta"]
        return Table(name, stream, self.text(meta["external_location"]).format())

    def query(self, stream: str, sql: str) -> list[tuple[Any, ...]]:
        model = self.text(self._shop.model(stream))
        return self.engine.execute(sql.format(f"({model})")).fetchall()


def rendered(shop: Shop) -> Rendered:
    done = shop.kit.landing("dbt")
    assert done.code == 0, done.text
    return Rendered(shop)


def test_models_have_the_current_rows(shop: Shop, folder_zone: Zone) -> None:
    shop.lands(FIRST)
    before = rendered(shop)
    assert before.query("customers", CUSTOMERS) == [
        (1, '["a","b"]', 10, "***", {"city": "Ulm"}),
        (2, "[]", 20, None, None),
        (3, None, 30, None, None),
    ]
    shop.changes_its_fields()
    not_landed = rendered(shop).query("customers", "SELECT size, vip FROM {} WHERE id = 1")
    assert not_landed == [("10", None)], "a new column is null until it lands"

    shop.lands(SECOND)
    now = rendered(shop)
    assert now.query("customers", CUSTOMERS) == [
        (1, '["c"]', "L", "***", {"city": "Bonn"}),
        (3, None, "30", None, None),
    ]
    assert now.query("customers", "SELECT vip FROM {} ORDER BY id") == [(1,), (None,)]
    types = "SELECT DISTINCT typeof(tags), typeof(size), typeof(address) FROM {}"
    assert now.query("customers", types) == [("JSON", "VARCHAR", "STRUCT(city VARCHAR)")]

    lines = now.query("lines", "SELECT order_id, position, item FROM {} ORDER BY ALL")
    assert lines == [(1, 1, "pencil"), (2, 1, "cup"), (3, None, "lost")]
    assert now.query("countries", "SELECT code FROM {}") == [("DE",)]
    events = now.query("events", 'SELECT what, "at"::DATE::VARCHAR, _dlt_new_fields FROM {}')
    assert sorted(events, key=lambda row: str(row[1])) == [
        ("a", "2026-01-01", '{"who":"me"}'),
        ("a", "2026-01-02", None),
    ]
    assert now.query("odd.names-1", 'SELECT * EXCLUDE ("_dlt_load_id", "_dlt_id") FROM {}') == [
        ("x", "new", 2000, "e", False)
    ]
    assert now.query("never", "FROM {}") == []


def test_a_refresh_that_died_and_a_compaction_in_progress_change_nothing(
    shop: Shop, folder_zone: Zone
) -> None:
    shop.lands({name: FIRST[name] for name in ("countries", "events")})
    folder = Path(folder_zone.store.prefix)  # type: ignore[arg-type, union-attr]
    (part,) = folder_zone.parts("shop", "events")
    twice = folder / part.replace(".parquet", ".compacted.parquet")
    twice.write_bytes((folder / part).read_bytes())
    shop.lands({"countries": [{"code": "FR", "name": "France"}]})
    folder_zone.delete(folder_zone.paths("_dlt/shop/countries/loads")[-1])

    models = rendered(shop)
    assert models.query("countries", "SELECT code FROM {} ORDER BY 1") == [("DD",), ("DE",)]
    assert models.query("events", "SELECT count(*) FROM {}") == [(1,)]


def test_sources_and_tests_say_what_the_stream_configs_say(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {"S3_ACCESS_KEY_ID": "key-of-the-bucket", "S3_SECRET_ACCESS_KEY": "secret-of-it"}
    for name, value in {**secrets, "DLT_BUCKET_URL": "s3://elsewhere/raw"}.items():
        monkeypatch.setenv(name, value)
    assert shop.kit.landing("dbt").code == 0
    written = "".join(file.read_text() for file in shop.folder.rglob("*") if file.is_file())
    assert not [value for value in (*secrets.values(), "elsewhere") if value in written]

    table = shop.yaml("customers", "sources")
    assert (
        jinja2.Environment().from_string(table["description"]).render()
        == (CONFIGS["customers"]["description"])
    )
    columns = {column.pop("name"): column for column in table["columns"]}
    assert columns["id"] == {
        "quote": True,
        "data_type": "BIGINT",
        "description": "Number of the customer",
    }
    assert columns["phone"]["config"] == {"meta": {"privacy": "mask"}}
    assert columns["address"]["data_type"] == 'STRUCT("city" VARCHAR)'
    assert [*columns][-3:] == ["_deleted_at", "_dlt_load_id", "_dlt_id"]
    assert table["config"]["freshness"] == {
        "warn_after": {"count": 2, "period": "hour"},
        "error_after": {"count": 3, "period": "hour"},
    }
    assert "/_dlt/shop/customers/state.json" in table["config"]["loaded_at_query"]
    assert "freshness" not in shop.yaml("never", "sources")["config"]
    odd = shop.yaml("odd.names-1", "sources")["config"]["meta"]["external_location"]
    assert "hive_partitioning = false" in odd, "its field `year` is not the folder's"

    tested = {c["name"]: c.get("data_tests") for c in shop.yaml("customers", "models")["columns"]}
    assert {name for name, tests in tested.items() if tests} == {"id"}
    assert tested["id"] == ["unique", "not_null"]
    assert sorted(file.name for file in (shop.folder / "tests").iterdir()) == [
        "stg_shop__lines_key.sql",
        "stg_shop__odd_names_1_key.sql",
    ]


def test_what_a_person_changed_stays(shop: Shop) -> None:
    kit = shop.kit
    assert kit.landing("dbt", "--check").code == 1
    assert not shop.folder.exists()
    assert kit.landing("dbt").code == 0
    assert kit.landing("dbt", "--check").code == 0

    sources = shop.folder / "models" / "shop" / "customers" / "sources.yml"
    sources.write_text(mine := sources.read_text().replace("Number of", "The number of"))
    kept = kit.landing("dbt", "--check")
    assert kept.code == 0, "the generated text has not changed since"
    assert "customers/sources.yml: kept as you have changed it" in kept.out

    shop.changes_its_fields()
    document = json.loads(kit.landing("dbt", "--check", "--json").out)
    states = {file["path"]: file["state"] for file in document["files"]}
    model = "models/shop/customers/stg_shop__customers.sql"
    assert states["models/shop/customers/sources.yml"] == "outdated"
    assert states[model] == "changed"
    assert kit.landing("dbt").code == 0
    assert sources.read_text() == mine
    assert '"vip"' in (shop.folder / model).read_text()
    assert kit.landing("dbt", "--check").code == 1

    elsewhere = kit.repository / "new"
    assert kit.landing("dbt", "--output", str(elsewhere)).code == 0
    new = (elsewhere / sources.relative_to(shop.folder)).read_text()
    sources.write_text(new.partition("\n")[0] + "\n" + mine.partition("\n")[2])
    assert kit.landing("dbt", "--check").code == 0, "the person has seen the change"

    own = shop.folder / "models" / "shop" / "customers" / "vips.sql"
    own.write_text("SELECT 1")
    kit.configure("shop", "customers", **{**CONFIGS["customers"], "selected": False})
    kit.configure("shop", "never", **{**CONFIGS["never"], "selected": False})
    gone = kit.landing("dbt", "--check")
    assert gone.code == 1
    assert "customers/sources.yml: kept as you have changed it, but its stream" in gone.out
    assert kit.landing("dbt").code == 0
    assert sorted(file.name for file in own.parent.iterdir()) == ["sources.yml", "vips.sql"]
    assert not (shop.folder / "models" / "shop" / "never").exists()


def test_streams_that_dbt_can_not_read_are_named_and_left_out(kit: Kit) -> None:
    kit.add_source("shop", STREAMS)
    nothing = kit.landing("dbt")
    assert nothing.code == 2
    assert "no stream to write a model of: in orchestration/dag/streams" in nothing.err
    kit.configure("shop", "countries", **REFRESH, fields={"Name": STRING, "name": STRING})
    kit.configure("shop", "events", fields={"what": STRING})
    kit.configure("shop", "a-b", **REFRESH, fields={"id": INTEGER})
    kit.configure("shop", "a_b", **REFRESH, fields={"id": INTEGER})
    done = kit.landing("dbt")
    assert "shop/countries: left out: DuckDB can't tell the fields Name and name apart" in done.out
    assert "shop/events: left out: its config does not say how it is synced" in done.out
    models = (kit.repository / "dbt" / "landing" / "models" / "shop").rglob("*.sql")
    assert [file.stem.rpartition("_")[0] for file in models] == ["stg_shop__a_b"] * 2

    kit.configure("shop", "a-b", **REFRESH, schedule="never", fields={"id": INTEGER})
    wrong = kit.landing("dbt", "--check")
    assert wrong.code == 2
    assert "schedule: 'never' is not a cron expression" in wrong.err


@pytest.mark.parametrize(
    ("cron", "gap"),
    [
        ("5 * * * *", timedelta(hours=1)),
        ("0 0 * * *", timedelta(days=1)),
        ("0 6 * * 1-5", timedelta(days=3)),
        ("*/5 8-18 * * 1-5", timedelta(days=2, hours=13, minutes=5)),
        ("* * * 1 *", timedelta(days=335, minutes=1)),
        ("0 0 29 2 *", timedelta(days=1461)),
    ],
)
def test_the_longest_time_between_two_runs(cron: str, gap: timedelta) -> None:
    assert parse_schedule(cron).longest_gap == gap


class Project:
    """A dbt project that has the package as a dependency and builds its models as tables."""

    def __init__(self, shop: Shop, folder: Path) -> None:
        self._folder = folder
        self._database = folder / "shop.duckdb"
        files = {
            "dbt_project.yml": "name: reports\nversion: 1.0.0\nprofile: landing\n"
            "models:\n  landing:\n    +materialized: table\n",
            "packages.yml": f"packages:\n- local: {shop.folder}\n",
            "models/big.sql": "SELECT id FROM {{ ref('stg_shop__customers') }} WHERE id > 1",
        }
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        home = folder / "home"
        with duckdb.connect() as connection:
            connection.execute(f"SET extension_directory = '{home}/.duckdb/extensions'")
            connection.execute(f"INSTALL '{extension('httpfs')}'")
        self._environment = {
            **os.environ,
            "HOME": str(home),
            "DBT_PROFILES_DIR": str(shop.folder),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "LANDING_DBT_DATABASE": str(self._database),
        }

    def runs(self, *commands: str) -> str:
        """Their output; in one process, because importing dbt takes seconds."""
        done = subprocess.run(
            [DBT, "-c", COMMANDS, *commands],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "deprecat" not in done.stdout.lower()
        return done.stdout

    def has_written(self, secret: str) -> bool:
        files = (file for file in self._folder.rglob("*") if file.is_file())
        return any(secret.encode() in file.read_bytes() for file in files)

    @contextmanager
    def database(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with duckdb.connect(self._database, read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection


@pytest.mark.long
def test_dbt_builds_the_models_of_a_zone_on_s3(shop: Shop, zone: Zone, tmp_path: Path) -> None:
    assert DBT.exists(), "make test-long installs dbt"
    assert shop.kit.landing("dbt").code == 0
    project = Project(shop, tmp_path / "reports")
    assert "ERROR=0 " in project.runs("deps", "build"), "of a zone without a file"
    with project.database() as database:
        assert database.execute("SELECT count(*) FROM stg_shop__customers").fetchone() == (0,)

    shop.lands(FIRST)
    shop.changes_its_fields()
    shop.lands({**SECOND, "customers": [{**SECOND["customers"][0], "id": 4}, *SECOND["customers"]]})
    shop.lands({"customers": SECOND["customers"]})
    assert shop.kit.landing("dbt").code == 0
    said = project.runs("build", "source freshness")
    assert "FAIL 1 stg_shop__lines_key" in said, "a line has no position"
    assert "ERROR=1 " in said, "and all other tests pass"
    assert "PASS freshness of shop.customers" in said
    assert not project.has_written(os.environ["S3_SECRET_ACCESS_KEY"])
    with project.database() as database:
        found = database.execute(CUSTOMERS.format("stg_shop__customers")).fetchall()
        assert found == [
            (1, '["c"]', "L", "***", {"city": "Bonn"}),
            (3, None, "30", None, None),
        ]
        lines = "SELECT order_id, position, item FROM stg_shop__lines ORDER BY ALL"
        assert database.execute(lines).fetchall() == [
            (1, 1, "pencil"),
            (2, 1, "cup"),
            (3, None, "lost"),
        ]
        assert database.execute("SELECT code FROM stg_shop__countries").fetchall() == [("DE",)]
        odd = 'SELECT "say ""hi""", year FROM stg_shop__odd_names_1'
        assert database.execute(odd).fetchall() == [("x", 2000)]
        assert database.execute("FROM big").fetchall() == [(3,)]
