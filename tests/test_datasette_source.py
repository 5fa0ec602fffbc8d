"""The source `datasette`, against real Datasette instances."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import dlt
import pytest
from dlt.extract.exceptions import ResourceExtractionError
from dlt.extract.resource import DltResource

from demo.servers import DatasetteServer, datasette
from tests.servers.api import serve_api

sys.path.insert(0, str(Path(__file__).parents[1] / "orchestration" / "dlt"))

from sources.datasette import datasette as datasette_source
from sources.datasette.client import DatasetteError, database_url, tilde_encoded

PAGE = 100
NOTES = 730

SCHEMA = """
create table notes (
    id integer primary key, title text, size real, body text, changed_at text
);
create index notes_changed_at on notes (changed_at);
create table by_code (code text primary key, changed_at text);
create index by_code_changed_at on by_code (changed_at);
create table keyless (name text, number integer);
create table pairs (left text, right integer, primary key (left, right));
create table "odd name/v1.2 ü" (id integer primary key);
create table untyped (id integer primary key, version);
create table zero_padded (id integer primary key, number text);
create view recent as select * from notes;
create virtual table notes_fts using fts5 (title, content=notes);
"""

AUTH_PLUGIN = """
from datasette import hookimpl

@hookimpl
def actor_from_request(request):
    if request.headers.get("authorization") == "Bearer right-token":
        return {"id": "reader"}
"""


def fill(connection: sqlite3.Connection) -> None:
    connection.executescript(SCHEMA)
    connection.executemany(
        "insert into notes values (?, ?, ?, ?, ?)",
        [(n, f"Note {n}", n / 4, "…" * (n % 9), changed_at(n)) for n in range(1, NOTES + 1)],
    )
    # Codes descend while rowids ascend: the order of the index is not that of the key.
    connection.executemany(
        "insert into by_code values (?, '2024-01-01')", [(f"c{n:04}",) for n in range(900, 0, -1)]
    )
    connection.executemany(
        "insert into keyless values (?, ?)", [(f"name {n}", n) for n in range(350)]
    )
    connection.executemany(
        "insert into pairs values (?, ?)", [(side, n) for side in "ab" for n in range(180)]
    )
    connection.executemany(
        'insert into "odd name/v1.2 ü" values (?)', [(n,) for n in range(1, 251)]
    )
    connection.executemany("insert into untyped values (?, ?)", [(n, n) for n in range(250)])
    connection.executemany(
        "insert into zero_padded values (?, ?)", [(n, f"{n:05}") for n in range(350)]
    )


def changed_at(number: int) -> str | None:
    """Seven notes a minute; every fiftieth has none."""
    if number % 50 == 0:
        return None
    return f"2024-01-01 {number // 7 // 60:02}:{number // 7 % 60:02}:00"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("datasette") / "library.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        fill(connection)
    return path


@pytest.fixture(scope="module")
def server(database: Path) -> Iterator[DatasetteServer]:
    with datasette(database, settings={"max_returned_rows": PAGE}) as running:
        yield running


@pytest.fixture
def streams(server: DatasetteServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, DltResource]:
    monkeypatch.setenv("DATASETTE_URL", server.database("library"))
    monkeypatch.delenv("DATASETTE_TOKEN", raising=False)
    return dict(datasette_source().resources)


def since(stream: DltResource, cursor: str, start: Any, missing: Any = "include") -> DltResource:
    incremental: dlt.sources.incremental[Any] = dlt.sources.incremental(
        cursor, initial_value=start, on_cursor_value_missing=missing
    )
    stream.apply_hints(incremental=incremental)
    return stream


def queries(server: DatasetteServer, table: str, before: int) -> list[dict[str, list[str]]]:
    """What was asked of `table` since the server had seen `before` requests."""
    asked = [urlsplit(target) for target in server.requested()[before:]]
    return [parse_qs(each.query) for each in asked if each.path == f"/library/{table}.json"]


def ids(rows: Any) -> list[int]:
    return [row["id"] for row in rows]


def test_each_table_is_a_stream_but_not_views_and_index_tables(
    streams: dict[str, DltResource],
) -> None:
    assert set(streams) == {
        "notes",
        "by_code",
        "keyless",
        "pairs",
        "odd name/v1.2 ü",
        "untyped",
        "zero_padded",
    }


def test_keys_and_number_types_are_the_tables_own(streams: dict[str, DltResource]) -> None:
    def keys(name: str) -> list[str]:
        columns = streams[name].compute_table_schema()["columns"]
        return [column for column, hints in columns.items() if hints.get("primary_key")]

    assert keys("notes") == ["id"]
    assert keys("by_code") == ["code"]
    assert keys("pairs") == ["left", "right"]
    assert keys("keyless") == ["rowid"]
    columns = streams["notes"].compute_table_schema()["columns"]
    types = {name: hints.get("data_type") for name, hints in columns.items()}
    assert types["id"] == "bigint"
    assert types["size"] == "double"
    assert types.get("changed_at") is None, "dates are text to SQLite, so text is not declared"


def test_all_rows_come_page_by_page(streams: dict[str, DltResource]) -> None:
    rows = list(streams["notes"])
    assert ids(rows) == list(range(1, NOTES + 1))
    assert rows[2] == {
        "id": 3,
        "title": "Note 3",
        "size": 0.75,
        "body": "………",
        "changed_at": "2024-01-01 00:00:00",
    }


def test_every_kind_of_key_can_be_paged_by(streams: dict[str, DltResource]) -> None:
    assert len({row["code"] for row in streams["by_code"]}) == 900
    assert sorted(row["number"] for row in streams["keyless"]) == list(range(350))
    assert len({(row["left"], row["right"]) for row in streams["pairs"]}) == 360
    assert ids(streams["odd name/v1.2 ü"]) == list(range(1, 251))


def test_a_table_without_key_brings_its_rowid(streams: dict[str, DltResource]) -> None:
    rows = list(streams["keyless"])
    assert [row["rowid"] for row in rows] == list(range(1, 351))
    only_name = list(streams["keyless"].bind(fields=["name"]))
    assert only_name[0] == {"rowid": 1, "name": "name 0"}


def test_only_selected_fields_are_asked_for(
    streams: dict[str, DltResource], server: DatasetteServer
) -> None:
    before = len(server.requested())
    rows = list(streams["notes"].bind(fields=["id", "title", "no longer there"]))
    assert rows[0] == {"id": 1, "title": "Note 1"}
    assert all(query["_col"] == ["title"] for query in queries(server, "notes", before))


def test_no_more_rows_are_asked_for_than_the_limit(
    streams: dict[str, DltResource], server: DatasetteServer
) -> None:
    before = len(server.requested())
    first = next(iter(streams["notes"].bind(limit=5)))
    assert first["id"] == 1
    assert queries(server, "notes", before)[0]["_size"] == ["5"]


def test_a_cursor_is_filtered_by_the_server(
    streams: dict[str, DltResource], server: DatasetteServer
) -> None:
    start = changed_at(601) or ""
    before = len(server.requested())
    rows = list(since(streams["notes"], "changed_at", start, "exclude"))
    expected = [n for n in range(1, NOTES + 1) if (changed_at(n) or "") >= start]
    assert sorted(ids(rows)) == expected
    assert len(queries(server, "notes", before)) <= 4
    assert all(q["changed_at__gte"] == [start] for q in queries(server, "notes", before))


def test_a_window_of_a_backfill_is_filtered_by_the_server(
    streams: dict[str, DltResource], server: DatasetteServer
) -> None:
    start, end = changed_at(101) or "", changed_at(501) or ""
    window = dlt.sources.incremental("changed_at", initial_value=start, end_value=end)
    streams["notes"].apply_hints(incremental=window)
    before = len(server.requested())
    rows = list(streams["notes"])
    assert sorted(ids(rows)) == [
        n for n in range(1, NOTES + 1) if start <= (changed_at(n) or "") < end
    ]
    assert all(q["changed_at__lt"] == [end] for q in queries(server, "notes", before))


def test_rows_come_in_the_order_of_the_cursor(streams: dict[str, DltResource]) -> None:
    rows = list(since(streams["notes"], "changed_at", None, "exclude"))
    values = [row["changed_at"] for row in rows]
    assert values == sorted(values)


def test_rows_without_a_cursor_value_come_with_every_run(
    streams: dict[str, DltResource],
) -> None:
    everything = ids(since(streams["notes"], "changed_at", None))
    assert sorted(everything) == list(range(1, NOTES + 1))
    later = list(since(streams["notes"], "changed_at", changed_at(729)))
    without = [row["id"] for row in later if row["changed_at"] is None]
    assert without == [n for n in range(1, NOTES + 1) if n % 50 == 0]
    assert 1 not in ids(later)


def test_rows_that_share_a_cursor_value_come_once_each(streams: dict[str, DltResource]) -> None:
    """Sorted by a column, Datasette's own paging skips rows of a table like this."""
    codes = [row["code"] for row in since(streams["by_code"], "changed_at", None)]
    assert sorted(codes) == [f"c{n:04}" for n in range(1, 901)]


def test_the_key_and_the_rowid_can_be_cursors(streams: dict[str, DltResource]) -> None:
    assert ids(since(streams["notes"], "id", 500)) == list(range(500, NOTES + 1))
    rows = list(since(streams["keyless"], "rowid", 340))
    assert [row["rowid"] for row in rows] == list(range(340, 351))


def test_a_cursor_is_asked_for_even_if_not_selected(streams: dict[str, DltResource]) -> None:
    stream = since(streams["notes"], "changed_at", changed_at(729), "exclude")
    rows = list(stream.bind(fields=["title"]))
    assert set(rows[0]) == {"id", "title", "changed_at"}


def test_zero_padded_numbers_are_compared_as_text(streams: dict[str, DltResource]) -> None:
    numbers = {row["number"] for row in since(streams["zero_padded"], "number", "00300")}
    assert numbers >= {f"{n:05}" for n in range(300, 350)}


def test_numbers_in_an_untyped_column_are_refused(streams: dict[str, DltResource]) -> None:
    assert ids(streams["untyped"]) == list(range(250)), "without the cursor it can be read"
    with pytest.raises(ResourceExtractionError, match="'version' holds numbers") as caught:
        list(since(streams["untyped"], "version", None))
    assert isinstance(caught.value.__cause__, DatasetteError)


def test_new_rows_are_seen_while_the_server_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "growing.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table events (id integer primary key, at text)")
        connection.execute("insert into events values (1, '2024-01-01')")
        connection.commit()
        with datasette(path) as running:
            monkeypatch.setenv("DATASETTE_URL", running.database("growing") + ".json")
            events = datasette_source().resources["events"]
            assert ids(since(events, "at", None)) == [1]
            connection.execute("insert into events values (2, '2024-01-02')")
            connection.commit()
            assert ids(since(events, "at", "2024-01-02")) == [2]


def test_a_token_opens_a_closed_instance(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "auth.py").write_text(AUTH_PLUGIN)
    metadata = tmp_path / "metadata.yaml"
    metadata.write_text("allow:\n  id: reader\n")
    options = ["--plugins-dir", str(tmp_path), "--metadata", str(metadata)]
    with datasette(database, options=options) as closed:
        monkeypatch.setenv("DATASETTE_URL", closed.database("library"))
        monkeypatch.setenv("DATASETTE_TOKEN", "wrong-token")
        with pytest.raises(DatasetteError, match="DATASETTE_TOKEN") as caught:
            datasette_source()
        assert "wrong-token" not in str(caught.value)
        monkeypatch.setenv("DATASETTE_TOKEN", "right-token")
        assert len(list(datasette_source().resources["notes"])) == NOTES


def test_no_types_are_known_where_sql_is_off(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with datasette(database, settings={"default_allow_sql": "off"}) as running:
        monkeypatch.setenv("DATASETTE_URL", running.database("library"))
        notes = datasette_source().resources["notes"]
        assert "data_type" not in notes.compute_table_schema()["columns"]["id"]
        assert len(list(notes)) == NOTES


def test_a_query_that_takes_too_long_is_an_error_not_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "slow.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table numbers (id integer primary key, noise text)")
        connection.executemany(
            "insert into numbers values (?, ?)", [(n, str(n * 7919 % 10007)) for n in range(90_000)]
        )
    with datasette(path, settings={"sql_time_limit_ms": 1}) as running:
        monkeypatch.setenv("DATASETTE_URL", running.database("slow"))
        numbers = datasette_source().resources["numbers"]
        with pytest.raises(ResourceExtractionError, match="sql_time_limit_ms"):
            list(since(numbers, "noise", None))


def test_a_database_that_is_not_there_is_named(
    server: DatasetteServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATASETTE_URL", server.database("archive"))
    with pytest.raises(DatasetteError, match=r"/archive\.json does not exist"):
        datasette_source()


def test_a_sign_in_page_is_not_taken_for_data(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_api() as api:
        monkeypatch.setenv("DATASETTE_URL", f"{api.url}/library")
        api.html_next()
        with pytest.raises(DatasetteError, match="text/html instead of JSON"):
            datasette_source()


@pytest.mark.parametrize("given", ["", "127.0.0.1:8001/library", "http://127.0.0.1:8001/"])
def test_an_address_without_a_database_is_refused(given: str) -> None:
    with pytest.raises(DatasetteError, match="DATASETTE_URL"):
        database_url(given)


def test_an_address_with_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(DatasetteError, match="holds a password") as caught:
        database_url("http://reader:hunter2@127.0.0.1:8001/library")
    assert "hunter2" not in str(caught.value)


def test_table_names_are_spelled_as_datasette_spells_them() -> None:
    assert tilde_encoded("odd name/v1.2 ü") == "odd+name~2Fv1~2E2+~C3~BC"
