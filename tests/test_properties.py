"""Whatever rows and configs come: rows land or stand in quarantine, configs are read or refused.

`PROPERTY_EXAMPLES=20000 pytest tests/test_properties.py -o timeout=0 -o junit_family=xunit1
--junitxml=figures.xml` looks at so many of each, or more; that file has the figures as properties
of the test cases.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landing.catalog.fields import FORMATS, Field
from landing.catalog.files import read_config
from landing.catalog.stream_config import StreamConfig
from landing.catalog.workspace import Workspace
from landing.columns.conversion import NEW_FIELDS, Batch, Columns, Converted, columns_of
from landing.columns.privacy import MASK
from landing.errors import CatalogError, StreamError
from landing.extraction.drift import Drift
from landing.extraction.quarantine import Quarantine
from landing.http import JsonPage
from tests.test_catalog import FIELD_MODELS, JSON, SCHEMAS, founding, nested_field, places
from tests.test_columns import FIELDS, LIKELY, VALUES, means, read_back

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "150"))
LEAST_ROWS = 3
THOROUGH = settings(max_examples=EXAMPLES, deadline=None)
OF_ROWS = settings(THOROUGH, max_examples=-(-EXAMPLES // LEAST_ROWS))
KEY = "0123456789abcdef0123456789abcdef"
# Private values alone are made of these, so that either tells where one came through.
WORD, NUMBER = "private-value", 987654321012345

MEMBERS = {
    "a": Field(type="string", privacy="hash"),
    "b": Field(type="integer", privacy="mask"),
    "c": Field(type=["string", "array"], privacy="drop"),
}
PRIVATE = {
    "hashed": Field(type="string", privacy="hash"),
    "hashed_integer": Field(type="integer", privacy="hash"),
    "hashed_number": Field(type="number", privacy="hash"),
    "hashed_time": Field(type="string", format="date-time", privacy="hash"),
    "hashed_object": Field(type="object", properties={"a": Field(type="string")}, privacy="hash"),
    "hashed_mixed": Field(type=["integer", "string", "array"], privacy="hash"),
    "masked": Field(type="number", privacy="mask"),
    "dropped": Field(type="object", privacy="drop"),
    "object": Field(type="object", properties=MEMBERS),
    "struct": Field(type="object", properties=MEMBERS, encoding="native"),
    "array": Field(type="array", items=Field(type="object", properties=MEMBERS)),
    "list": Field(type="array", items=Field(type="string", privacy="hash"), encoding="native"),
    "mixed": Field(type=["array", "object", "string"], properties=MEMBERS),
}
PRIVATE_VALUES = st.recursive(
    st.none() | st.booleans() | st.sampled_from([WORD, f" {WORD}", NUMBER, NUMBER + 0.5]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*MEMBERS, WORD]), inner, max_size=3)
    ),
    max_leaves=5,
)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANDING_PRIVACY_KEY", KEY)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("properties")


@st.composite
def open_rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows that fit mostly, now and then with anything in place of a value."""
    likely = {name: values | st.none() for name, values in LIKELY.items()}
    anything = {name: VALUES | values for name, values in likely.items()}
    shapes = [st.fixed_dictionaries({}, optional=values) for values in (likely, anything)]
    return draw(st.lists(st.one_of(*shapes), min_size=LEAST_ROWS, max_size=6))


def private_rows() -> st.SearchStrategy[list[dict[str, Any]]]:
    values = dict.fromkeys(PRIVATE, PRIVATE_VALUES)
    return st.lists(st.fixed_dictionaries({}, optional=values), min_size=LEAST_ROWS, max_size=6)


def in_quarantine(folder: Path, config: StreamConfig, converted: Converted) -> list[bytes]:
    """The lines of a quarantine file with the misfits of a batch."""
    file = folder / "quarantine.jsonl"
    file.unlink(missing_ok=True)
    quarantine = Quarantine(file, config, Columns(config.fields), ())
    new, later = quarantine.new(converted)
    load_id = "1769000000.123456"
    quarantine.add([(rejected, load_id) for rejected in [*new, *later]], load_id)
    return file.read_bytes().splitlines() if file.is_file() else []


def config_of(fields: dict[str, Field]) -> StreamConfig:
    return StreamConfig(
        source="any",
        stream="rows",
        origin="rows.json",
        sync_mode="full_refresh",
        destination_sync_mode="append",
        primary_key=(),
        cursor_field=None,
        initial_value=None,
        lookback=None,
        selected=True,
        fields=fields,
        on_drift="report",
        discovered={},
    )


def test_every_row_reads_back_equal_or_stands_in_quarantine(
    folder: Path, record_property: Callable[[str, object], None]
) -> None:
    seen: Counter[str] = Counter()

    @OF_ROWS
    @given(rows=open_rows())
    def look(rows: list[dict[str, Any]]) -> None:
        converted = Columns(FIELDS).from_rows(rows)
        landed = read_back(folder, converted.table)
        kept = range(len(rows)) if converted.kept is None else converted.kept
        lines = in_quarantine(folder, config_of(FIELDS), converted)
        seen.update(rows=len(rows), landed=len(landed), quarantined=len(lines))
        assert len(landed) + len(lines) == len(rows)
        for index, found in zip(kept, landed, strict=True):
            assert all(means(FIELDS[name], found[name], rows[index].get(name)) for name in FIELDS)
            assert is_exact(found["number"], rows[index].get("number"))
        out = sorted(index for index in range(len(rows)) if index not in kept)
        assert sorted(len(rows[index]) for index in out) == sorted(
            len(error.row) for error in converted.errors
        )
        for line in map(json.loads, lines):
            assert line["row"]
            assert line["reason"]
            assert line["field"] in FIELDS

    look()
    told(record_property, seen)


def is_exact(found: float | None, given: Any) -> bool:
    return not isinstance(given, int) or found == given


def test_nothing_private_comes_through(
    folder: Path, record_property: Callable[[str, object], None]
) -> None:
    seen: Counter[str] = Counter()

    @OF_ROWS
    @given(rows=private_rows(), is_page=st.booleans())
    def look(rows: list[dict[str, Any]], is_page: bool) -> None:
        batch: Batch = (JsonPage(json.dumps(rows).encode()),) if is_page else rows  # type: ignore[assignment]
        converted = Columns(PRIVATE).convert(batch)
        landed = read_back(folder, converted.table)
        lines = in_quarantine(folder, config_of(PRIVATE), converted)
        seen.update(rows=len(rows), landed=len(landed), quarantined=len(lines))
        assert len(landed) + len(lines) == len(rows)
        kept = range(len(rows)) if converted.kept is None else converted.kept
        for index, found in zip(kept, landed, strict=True):
            assert_protected(found, rows[index])
        again = [json.loads(line)["row"] for line in lines]
        assert all(isinstance(row, dict) for row in again)
        landed_again = Columns(PRIVATE, is_protected=True).from_rows(again)
        for written in (landed, lines, landed_again.table.to_pylist(), notes(converted)):
            assert WORD not in str(written)
            assert str(NUMBER) not in str(written)

    look()
    told(record_property, seen)


def notes(converted: Converted) -> list[str]:
    return [f"{error.field}: {error.reason}" for error in converted.errors]


def assert_protected(found: dict[str, Any], row: dict[str, Any]) -> None:
    for name in ("hashed", "masked", "object"):
        assert (found[name] is None) == (row.get(name) is None)
    assert found["masked"] in (None, MASK)
    if isinstance(row.get("hashed"), str):
        expected = hmac.new(KEY.encode(), row["hashed"].encode(), hashlib.sha256).hexdigest()
        assert found["hashed"] == expected
    if row.get("object"):
        assert json.loads(found["object"]).keys() == row["object"].keys() & {"a", "b"}


@st.composite
def mutated_configs(draw: st.DrawFn) -> Any:
    """A config with every key there is, of which some are replaced, taken away or added."""
    document = copy.deepcopy(founding(on_drift=draw(st.sampled_from(["report", "fail", "land"]))))
    document["fields"] |= {"lines": nested_field(3), "email": {"type": "string"}}
    private = draw(st.sampled_from(["email", "email", "lines", "name", "id", "write_date"]))
    document["fields"][private]["privacy"] = draw(st.sampled_from(["drop", "mask", "hash"]))
    words = st.sampled_from([*WORDS, *FORMATS])
    for name, field in draw(st.dictionaries(NAMES, FIELD_MODELS, max_size=2)).items():
        document["fields"].setdefault(name, msgspec.to_builtins(field))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2, 3]))):
        holder, key = draw(st.sampled_from(list(places(document))))
        change = draw(st.sampled_from(["replace", "remove", "add"]))
        if change == "replace":
            holder[key] = draw(words | JSON)
        elif change == "remove":
            del holder[key]
        elif isinstance(holder, dict):
            holder[draw(words | st.text(max_size=8))] = draw(words | JSON)
    return document


NAMES = st.sampled_from(["more", "a", 'odd "name"', "ünï", "year"]) | st.text(max_size=6)
SEEN = {"sync_modes": ["incremental"], "destination_sync_modes": ["append"]}
WORDS = ["type", "string", "integer", "object", "array", "null", "native", "encoding", "privacy"]
WORDS += ["drop", "mask", "hash", "properties", "items", "fields", "on_drift", "fail", "land"]
CONFIGS = st.builds(json.dumps, mutated_configs())
CUT = st.builds(
    lambda text, at, junk: text[:at] + junk, CONFIGS, st.integers(0, 600), st.text(max_size=5)
)
TEXTS = st.one_of(CONFIGS, CONFIGS, CONFIGS, CUT, st.builds(json.dumps, JSON))
KNOWN = st.just(json.dumps({"options": SEEN, **{k: founding()[k] for k in ("stream", "fields")}}))


def test_no_config_causes_a_traceback(
    folder: Path, record_property: Callable[[str, object], None]
) -> None:
    """What is read makes columns, too, and takes whatever rows come."""
    seen: Counter[str] = Counter()
    workspace = Workspace(folder / "orchestration")
    files = workspace.config_file("odoo", "orders"), workspace.discovered_file("odoo", "orders")
    for file in files:
        file.parent.mkdir(parents=True)

    @THOROUGH
    @given(
        text=TEXTS,
        discovered=st.one_of(st.none(), st.none(), KNOWN, KNOWN, KNOWN, TEXTS),
        row=st.dictionaries(st.sampled_from(["id", "lines", "email", "more", "a"]), VALUES),
    )
    def look(text: str, discovered: str | None, row: dict[str, Any]) -> None:
        files[0].write_text(text, encoding="utf-8", errors="surrogatepass")
        files[1].unlink(missing_ok=True)
        if discovered is not None:
            files[1].write_text(discovered, encoding="utf-8", errors="surrogatepass")
        refusal = ""
        try:
            config = read_config(workspace, "odoo", "orders")
        except CatalogError as error:
            refusal = str(error)
        seen.update(["configs", "refused" if refusal else "read"])
        if refusal:
            assert refusal.startswith("orchestration/dag/")
        else:
            assert_runs(config, row)

    look()
    told(record_property, seen)


def assert_runs(config: StreamConfig, row: dict[str, Any]) -> None:
    columns = columns_of(config)
    drift = Drift(config)
    try:
        converted = columns.convert(drift.looked_at([row]))
        assert converted.table.num_rows + len(converted.errors) == 1
        assert (NEW_FIELDS in columns.schema.names) == (config.on_drift == "land")
        list(drift.notes(1, config.fields))
    except StreamError:
        assert config.on_drift == "fail"


def told(record_property: Callable[[str, object], None], seen: Counter[str]) -> None:
    for name, count in seen.items():
        record_property(name, count)
    assert seen["rows"] + seen["configs"] >= EXAMPLES


@THOROUGH
@given(schema=SCHEMAS)
def test_what_discovery_may_write_makes_columns(schema: Any) -> None:
    columns = Columns(schema.fields)
    assert columns.from_rows([{}, dict.fromkeys(schema.fields, 1)]).table.schema == columns.schema
