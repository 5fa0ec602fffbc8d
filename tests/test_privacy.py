"""Private fields: what stands in place of their values, wherever anything is written."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from dlt.common.versioned_state import decompress_state

from landing.catalog.fields import Field
from landing.columns.conversion import Columns
from landing.columns.privacy import MASK, row_protector
from landing.errors import SettingsError
from landing.http import JsonPage
from tests.kit import Kit, Zone

KEY = "0123456789abcdef0123456789abcdef"
HASHED = Field(type="string", privacy="hash")
MASKED = Field(type="string", privacy="mask")
DROPPED = Field(type="string", privacy="drop")
INTEGER = Field(type="integer")
CUSTOMER = Field(
    type="object", properties={"id": INTEGER, "email": HASHED, "name": MASKED, "note": DROPPED}
)
CUSTOMERS = Field(type="array", items=CUSTOMER)
ANN = {"id": 1, "email": "ann@example.com", "name": "Ann", "note": "rich", "unlisted": "ann"}


def keyed(text: str, key: str = KEY) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


PROTECTED = {"id": 1, "email": keyed("ann@example.com"), "name": MASK}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANDING_PRIVACY_KEY", KEY)


def native(field: Field) -> Field:
    return Field(type=field.type, encoding="native", properties=field.properties, items=field.items)


def rows_of(fields: dict[str, Field], *rows: Any) -> list[dict[str, Any]]:
    """The rows by each of the ways that they may come."""
    page = JsonPage(json.dumps(rows).encode())
    ways = [
        Columns(fields).from_rows(rows).table,
        Columns(fields).from_pages((page,)).table,
        Columns(fields).from_arrow(pa.Table.from_pylist(list(rows))).table,
    ]
    first: list[dict[str, Any]] = ways[0].to_pylist()
    assert all(way.to_pylist() == first for way in ways)
    return first


def test_a_field_is_hashed_masked_or_has_no_column_and_null_stays_null() -> None:
    fields = {"id": INTEGER, "email": HASHED, "name": MASKED, "note": DROPPED}
    empty = dict.fromkeys(ANN)
    assert rows_of(fields, ANN, empty) == [PROTECTED, {"id": None, "email": None, "name": None}]


@pytest.mark.parametrize(
    ("type_", "format_", "values", "text"),
    [
        ("integer", None, [17, 17.0, Decimal("17.00")], "17"),
        ("number", None, [17, 17.0, Decimal(17)], "17"),
        ("number", None, [0.5, Decimal("0.50")], "0.5"),
        ("number", None, [math.nan], "nan"),
        ("boolean", None, [True], "true"),
        ("string", None, ["17", 17], "17"),
        ("string", None, [""], ""),
        (
            "string",
            "date-time",
            [
                "2024-01-01T10:00:00Z",
                "2024-01-01 12:00:00+02:00",
                datetime(2024, 1, 1, 10),
                datetime(2024, 1, 1, 5, tzinfo=timezone(timedelta(hours=-5))),
            ],
            "2024-01-01T10:00:00+00:00",
        ),
        ("string", "date", ["2024-01-01", date(2024, 1, 1)], "2024-01-01"),
        ("object", None, [{"a": 1, "b": [2]}, {"b": [2], "a": 1}], '{"a":1,"b":[2]}'),
        (["integer", "string"], None, [5, "5"], "5"),
    ],
)
def test_values_that_a_type_takes_for_equal_have_one_hash(
    type_: Any, format_: str | None, values: list[Any], text: str
) -> None:
    field = Field(type=type_, format=format_, privacy="hash")
    converted = Columns({"value": field}).from_rows([{"value": value} for value in values])
    assert converted.table["value"].to_pylist() == [keyed(text)] * len(values)


def test_a_hashed_value_that_does_not_fit_its_type_is_reported() -> None:
    field = Field(type="integer", privacy="hash")
    converted = Columns({"value": field}).from_rows([{"value": "ann@example.com"}])
    assert [error.reason for error in converted.errors] == ["text where an integer is configured"]


@pytest.mark.parametrize("field", [CUSTOMER, native(CUSTOMER)], ids=["json", "native"])
def test_private_members_of_objects(field: Field) -> None:
    rows = rows_of({"customer": field}, {"customer": ANN}, {"customer": None})
    found = rows[0]["customer"]
    assert (json.loads(found) if isinstance(found, str) else found) == PROTECTED
    assert rows[1]["customer"] is None


@pytest.mark.parametrize("field", [CUSTOMERS, native(CUSTOMERS)], ids=["json", "native"])
def test_private_members_of_objects_in_arrays(field: Field) -> None:
    found = rows_of({"customers": field}, {"customers": [ANN, None]})[0]["customers"]
    assert (json.loads(found) if isinstance(found, str) else found) == [PROTECTED, None]


@pytest.mark.parametrize("encoding", ["json", "native"])
def test_private_elements_of_arrays(encoding: Any) -> None:
    field = Field(type="array", encoding=encoding, items=HASHED)
    found = rows_of({"emails": field}, {"emails": ["ann@example.com", None]})[0]["emails"]
    found = json.loads(found) if isinstance(found, str) else found
    assert found == [keyed("ann@example.com"), None]


def test_an_object_of_which_all_is_dropped() -> None:
    field = Field(type="object", encoding="native", properties={"note": DROPPED})
    assert rows_of({"customer": field}, {"customer": {"note": "rich"}}) == [{"customer": "{}"}]


@pytest.mark.parametrize("field", [CUSTOMER, native(CUSTOMER)], ids=["json", "native"])
@pytest.mark.parametrize("value", ["ann@example.com", ["ann@example.com"], [ANN]], ids=str)
def test_private_parts_in_an_unexpected_shape_never_land(field: Field, value: Any) -> None:
    row = {"customer": value}
    for converted in (
        Columns({"customer": field}).from_rows([row]),
        Columns({"customer": field}).from_pages((JsonPage(json.dumps([row]).encode()),)),
        Columns({"customer": field}).from_arrow(pa.Table.from_pylist([row])),
    ):
        assert converted.table.num_rows == 0
        assert converted.errors[0].reason.endswith("is configured")
        assert "ann" not in json.dumps(row_protector({"customer": field})(row))


def test_text_of_json_in_an_arrow_column_is_not_taken_for_protected() -> None:
    given = pa.table({"customer": [json.dumps(ANN)]})
    assert Columns({"customer": CUSTOMER}).from_arrow(given).table.num_rows == 0


def test_arrow_columns_and_frames_are_protected_whatever_type_they_have() -> None:
    fields = {"email": HASHED, "name": MASKED, "note": DROPPED}
    frame = pd.DataFrame({"email": ["ann@example.com"], "name": ["Ann"], "note": ["rich"]})
    for given in (
        pa.Table.from_pandas(frame, preserve_index=False),
        pa.table({"email": pa.array(["ann@example.com"], pa.large_string()), "name": ["Ann"]}),
        pa.table({"email": pa.array(["ann@example.com"]).dictionary_encode(), "name": ["Ann"]}),
    ):
        found = Columns(fields).from_arrow(given).table.to_pylist()
        assert found == [{"email": PROTECTED["email"], "name": MASK}]


def test_what_is_in_quarantine_is_protected_and_lands_as_it_is() -> None:
    fields = {
        "id": INTEGER,
        "email": HASHED,
        "age": Field(type="integer", privacy="hash"),
        "name": MASKED,
        "note": DROPPED,
        "customer": CUSTOMER,
    }
    row = {**ANN, "id": "x", "age": "forty", "customer": ANN}
    kept = row_protector(fields)(row)
    assert kept == {**PROTECTED, "id": "x", "age": keyed("forty"), "customer": PROTECTED}
    fixed = {**fields, "id": Field(type="string")}
    landed = Columns(fixed, is_protected=True).from_rows([kept]).table.to_pylist()[0]
    assert landed.pop("customer") == json.dumps(PROTECTED, separators=(",", ":"))
    assert landed == {**PROTECTED, "id": "x", "age": keyed("forty")}
    raw = Columns(fixed, is_protected=True).from_rows([{**ANN, "age": 40}]).table.to_pylist()[0]
    assert (raw["email"], raw["age"]) == (PROTECTED["email"], keyed("40")), "became private later"


def test_what_has_no_text_is_masked_in_quarantine() -> None:
    assert row_protector({"email": HASHED})({"email": object()}) == {"email": MASK}
    assert row_protector({"email": HASHED})({"email": "\ud800"}) == {"email": MASK}


@pytest.mark.parametrize(("key", "state"), [("", "is not set"), ("k" * 31, "is too short")])
def test_hashing_needs_a_key_that_is_long_enough(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, key: str, state: str
) -> None:
    monkeypatch.setenv("LANDING_PRIVACY_KEY", key)
    with pytest.raises(SettingsError, match=f"LANDING_PRIVACY_KEY {state}"):
        Columns({"customer": CUSTOMERS})
    assert Columns({"name": MASKED, "note": DROPPED}).schema.names == ["name"], "needs none"
    kit.add_source("crm", "import dlt\n@dlt.resource\ndef people():\n    raise SystemError\n")
    kit.configure("crm", "people", fields={"email": {"type": "string", "privacy": "hash"}})
    for arguments in ((), ("--dry-run",)):
        done = kit.run("crm", "people", *arguments)
        assert done.code == 2
        place = "orchestration/dag/streams/crm/people.json: fields.email: LANDING_PRIVACY_KEY "
        assert place + state in done.text
        assert key not in done.text or not key


def test_another_key_makes_other_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANDING_PRIVACY_KEY", "k" * 32)
    found = Columns({"email": HASHED}).from_rows([ANN]).table.to_pylist()
    assert found == [{"email": keyed("ann@example.com", "k" * 32)}]


PEOPLE = """\
import dlt
from landing.http import JsonPage

@dlt.resource(primary_key="ssn")
def people(
    at: dlt.sources.incremental[str] = dlt.sources.incremental("at"),
    fields: list[str] | None = None,
):
    assert fields is None or "note" not in fields
    person = {
        "at": "2024-01-01", "ssn": 1234567, "email": "ann-secret@example.com",
        "name": "ann-secret", "note": "ann-secret", "age": 40,
        "contact": {"phone": "ann-secret", "by": {"ann-secret": "ann-secret"}},
    }
    yield [person, {**person, "ssn": 2, "at": "2024-01-02", "age": "ann-secret"}]
    yield [{**person, "ssn": 3, "at": "2024-01-02", "contact": "ann-secret"}]
    yield [{**person, "ssn": 5, "at": None}]
"""
PERSON = {
    "at": {"type": "string", "format": "date"},
    "ssn": {"type": "integer", "privacy": "hash"},
    "email": {"type": "string", "privacy": "hash"},
    "name": {"type": "string", "privacy": "mask"},
    "note": {"type": "string", "privacy": "drop"},
    "age": {"type": "integer"},
    "contact": {
        "type": "object",
        "properties": {
            "phone": {"type": "string", "privacy": "mask"},
            "by": {"type": "object", "privacy": "mask"},
        },
    },
}


def test_nothing_private_is_written_or_shown_by_any_command(kit: Kit, folder_zone: Zone) -> None:
    kit.add_source("crm", PEOPLE)
    age = {"type": "integer", "privacy": "mask"}
    kit.configure("crm", "people", fields=PERSON, cursor_field=["at"], primary_key=[["ssn"]])
    told = [kit.discover("crm"), kit.run("crm", "people", "--dry-run")]
    told += [kit.run("crm", "people") for _ in range(2)]
    kit.configure("crm", "people", fields={**PERSON, "age": age}, cursor_field=["at"])
    told.append(kit.run("crm", "people"))
    assert [done.code for done in told] == [0] * 5, told
    rows = folder_zone.query("crm", "people", "SELECT DISTINCT ssn, email, name FROM landed")
    assert len(rows) >= 2
    assert {row[1:] for row in rows} == {(keyed("ann-secret@example.com"), MASK)}
    assert keyed("1234567") in {row[0] for row in rows}
    kept = [folder_zone.read(path).decode() for path in folder_zone.paths("_quarantine")]
    assert any('"contact":"***"' in text for text in kept)
    everything = [done.text for done in told] + [json.dumps(kit.discovered("crm", "people"))]
    # Where a value is what does not fit a field that is not private, it is in quarantine alone.
    everything += [text.replace('"age":"ann-secret"', "") for text in kept]
    everything += map(str, folder_zone.query("crm", "people", "SELECT * EXCLUDE (age) FROM landed"))
    everything += [folder_zone.read(path).decode() for path in folder_zone.paths("_dlt")]
    state = json.loads(folder_zone.read("_dlt/crm/people/state.json"))["state"]
    everything.append(json.dumps(decompress_state(state), default=str))
    for text in everything:
        assert "ann-secret" not in text
        assert "1234567" not in text


def test_discovery_keeps_what_a_person_says_of_privacy(kit: Kit) -> None:
    kit.add_source("crm", PEOPLE)
    assert kit.discover("crm").code == 0
    discovered = kit.discovered("crm", "people")
    discovered["fields"]["email"]["privacy"] = "hash"
    discovered["fields"]["contact"]["properties"]["by"] = {"type": "object", "privacy": "mask"}
    kit.discovered_file("crm", "people").write_text(json.dumps(discovered))
    assert kit.discover("crm").code == 0
    again = kit.discovered("crm", "people")["fields"]
    assert again["email"] == {"type": "string", "privacy": "hash"}
    assert again["contact"]["properties"]["by"] == {"type": "object", "privacy": "mask"}


def test_a_dry_run_says_how_fields_are_protected(kit: Kit, folder_zone: Zone) -> None:
    kit.add_source("crm", PEOPLE)
    kit.configure("crm", "people", fields=PERSON, cursor_field=["at"])
    lines = [line.split() for line in kit.run("crm", "people", "--dry-run").out.splitlines()]
    assert ["ssn", "string", "(hash)"] in lines
    assert ["name", "string", "(mask)"] in lines
    assert not any(line[:1] == ["note"] for line in lines)


def test_the_time_zone_of_utc_values_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    field = Field(type="string", format="date-time", privacy="hash")
    given = pa.table({"at": pa.array([datetime(2024, 1, 1, tzinfo=UTC)])})
    found = Columns({"at": field}).from_arrow(given).table["at"].to_pylist()
    assert found == [keyed("2024-01-01T00:00:00+00:00")]


def test_a_row_lands_from_quarantine_with_the_hash_it_would_have_had(
    kit: Kit, folder_zone: Zone
) -> None:
    kit.add_source(
        "crm",
        "import dlt\n@dlt.resource\ndef people():\n"
        "    yield [{'id': 1, 'email': 'ann', 'new': [1]}]\n"
        "    yield [{'id': 'x', 'email': 'ann', 'new': [2]}]\n",
    )
    email = {"type": "string", "privacy": "hash"}
    kit.configure(
        "crm", "people", on_drift="land", fields={"id": {"type": "integer"}, "email": email}
    )
    assert kit.run("crm", "people").code == 0
    kit.configure(
        "crm", "people", on_drift="land", fields={"id": {"type": "string"}, "email": email}
    )
    assert kit.landing("quarantine", "land", "crm", "people").code == 0
    rows = folder_zone.query(
        "crm", "people", "SELECT email, _dlt_new_fields FROM landed ORDER BY _dlt_new_fields"
    )
    assert rows == [(keyed("ann"), '{"new":[1]}'), (keyed("ann"), '{"new":[2]}')]
