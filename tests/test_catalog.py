"""The two kinds of JSON files: what they may say, and what a mistake in one tells a person."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landing.catalog.fields import FORMATS, KINDS, MAX_DEPTH, Field
from landing.catalog.files import (
    configured_streams,
    encode,
    read_config,
    read_discovered,
    write_discovered,
)
from landing.catalog.stream_config import (
    Defaults,
    DiscoveredSchema,
    Options,
    StreamConfig,
    json_schemas,
)
from landing.catalog.workspace import Workspace
from landing.errors import CatalogError
from landing.observe import alert
from tests.kit import REPOSITORY

CONFIG = "orchestration/dag/streams/odoo/orders.json"
DISCOVERED = "orchestration/dag/sources/odoo/orders.json"

# Both as the founding document has them, letter by letter.
FOUNDING_SCHEMA = """\
{
  "stream": "orders",
  "options": {
    "sync_modes": ["incremental"],
    "destination_sync_modes": ["append", "merge"]
  },
  "defaults": {
    "primary_key": [["id"]],
    "cursor_field": ["write_date"]
  },
  "fields": {
    "id": {"type": "integer"},
    "name": {"type": "string"},
    "write_date": {"type": "string", "format": "date-time"}
  }
}
"""
FOUNDING_CONFIG = """\
{
  "stream": "orders",
  "sync_mode": "incremental",
  "destination_sync_mode": "append",
  "primary_key": [["id"]],
  "cursor_field": ["write_date"],
  "selected": true,
  "fields": {
    "id": {"type": "integer"},
    "name": {"type": "string"},
    "write_date": {"type": "string", "format": "date-time"}
  }
}
"""
FIELDS = {
    "id": Field(type="integer"),
    "name": Field(type="string"),
    "write_date": Field(type="string", format="date-time"),
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(tmp_path_factory.mktemp("catalog") / "orchestration")


def put(file: Path, content: str | bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)


def config_of(workspace: Workspace, content: str | bytes | dict[str, Any]) -> StreamConfig:
    text = json.dumps(content) if isinstance(content, dict) else content
    put(workspace.config_file("odoo", "orders"), text)
    workspace.discovered_file("odoo", "orders").unlink(missing_ok=True)  # another test's
    return read_config(workspace, "odoo", "orders")


def mistake(workspace: Workspace, content: str | bytes | dict[str, Any]) -> str:
    with pytest.raises(CatalogError) as caught:
        config_of(workspace, content)
    return str(caught.value)


def founding(**changes: Any) -> dict[str, Any]:
    """The founding document's stream config with other keys; None takes a key out."""
    document = {**json.loads(FOUNDING_CONFIG), **changes}
    return {key: value for key, value in document.items() if value is not None}


def test_the_founding_documents_discovered_schema_is_read(workspace: Workspace) -> None:
    put(workspace.discovered_file("odoo", "orders"), FOUNDING_SCHEMA)
    assert read_discovered(workspace, "odoo", "orders") == DiscoveredSchema(
        stream="orders",
        options=Options(["incremental"], ["append", "merge"]),
        defaults=Defaults([["id"]], ["write_date"]),
        fields=FIELDS,
    )


def test_the_founding_documents_stream_config_is_read(workspace: Workspace) -> None:
    assert config_of(workspace, FOUNDING_CONFIG) == StreamConfig(
        source="odoo",
        stream="orders",
        origin=CONFIG,
        sync_mode="incremental",
        destination_sync_mode="append",
        primary_key=("id",),
        cursor_field="write_date",
        initial_value=None,
        lookback=None,
        selected=True,
        fields=FIELDS,
        on_drift="report",
        discovered={},
    )


def test_a_bare_copy_of_a_discovered_schema_goes_by_its_defaults(workspace: Workspace) -> None:
    config = config_of(workspace, FOUNDING_SCHEMA)
    assert config.is_incremental
    assert (config.primary_key, config.cursor_field) == (("id",), "write_date")
    assert config.destination_sync_mode == "append"
    assert not config.selected


def test_what_a_config_says_wins_over_the_defaults_it_was_copied_with(
    workspace: Workspace,
) -> None:
    copied = {**json.loads(FOUNDING_SCHEMA), "cursor_field": ["id"], "primary_key": [["name"]]}
    config = config_of(workspace, copied)
    assert (config.primary_key, config.cursor_field) == (("name",), "id")


def test_a_copy_whose_source_offers_no_incremental_sync_is_a_full_refresh(
    workspace: Workspace,
) -> None:
    options = {"sync_modes": ["full_refresh"], "destination_sync_modes": ["append"]}
    assert not config_of(
        workspace, {**json.loads(FOUNDING_SCHEMA), "options": options}
    ).is_incremental


def test_without_a_config_the_discovered_schema_is_one(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "orchestration")
    put(workspace.discovered_file("odoo", "orders"), FOUNDING_SCHEMA)
    assert read_config(workspace, "odoo", "orders").origin == DISCOVERED


def test_without_either_file_the_message_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(CatalogError) as caught:
        read_config(Workspace(tmp_path / "orchestration"), "odoo", "orders")
    assert str(caught.value) == (
        f"{CONFIG}: no such file; run `python discover-source.py odoo orders`, copy {DISCOVERED} "
        "there and keep the fields you want"
    )


@pytest.mark.parametrize(
    "extra",
    [
        {"connector": "dlt"},
        {"connector": "landing"},
        {"schedule": "0 * * * *"},
        {"schedule": {"cron": "0 * * * *", "zone": "UTC"}},
        {"initial_value": "2024-01-01"},
        {"initial_value": 0},
        {"initial_value": 1.5},
        {"backfill": True},
        {"description": "Sales orders, without quotations"},
        {"$schema": "../../../../schemas/stream-config.json"},
    ],
    ids=json.dumps,
)
def test_other_things_a_config_may_say(workspace: Workspace, extra: dict[str, Any]) -> None:
    config = config_of(workspace, founding(**extra))
    assert config.initial_value == extra.get("initial_value")


def test_a_byte_order_mark_as_some_editors_write_it_is_no_mistake(workspace: Workspace) -> None:
    assert config_of(workspace, FOUNDING_CONFIG.encode("utf-8-sig")).stream == "orders"


MODES = "known are incremental, full_refresh"
TYPES = "known are integer, number, string, boolean, array, object, null"


def one_field(field: Any) -> dict[str, Any]:
    return founding(fields={**json.loads(FOUNDING_CONFIG)["fields"], "lines": field})


def private(name: str, privacy: str) -> dict[str, Any]:
    """The founding document's stream config with a private field."""
    fields = json.loads(FOUNDING_CONFIG)["fields"]
    return founding(fields={**fields, name: {**fields[name], "privacy": privacy}})


INTEGER = {"type": "integer"}
MISTAKES: dict[str, tuple[Any, str]] = {
    "a key": (founding(sync_mod="x"), ": unknown key 'sync_mod'; did you mean 'sync_mode'?"),
    "a key like no other": (founding(zzz=1), ": unknown key 'zzz'"),
    "a key of options": (
        founding(options={"sync_modes": [], "destination_sync_mods": []}),
        ": options: unknown key 'destination_sync_mods'; did you mean 'destination_sync_modes'?",
    ),
    "a key of options is missing": (
        founding(options={"sync_modes": []}),
        ": options: 'destination_sync_modes' is missing",
    ),
    "a key of defaults": (
        founding(defaults={"primary_ky": [["id"]]}),
        ": defaults: unknown key 'primary_ky'; did you mean 'primary_key'?",
    ),
    "a key of a field": (
        one_field({"type": "string", "formt": "date"}),
        ": fields.lines: unknown key 'formt'; did you mean 'format'?",
    ),
    "a key of a nested field": (
        one_field({"type": "object", "properties": {"sku": {"typ": "string"}}}),
        ": fields.lines.properties.sku: unknown key 'typ'; did you mean 'type'?",
    ),
    "a key of items": (
        one_field({"type": "array", "items": {"type": "string", "item": {}}}),
        ": fields.lines.items: unknown key 'item'; did you mean 'items'?",
    ),
    "a type": (
        one_field({"type": "intger"}),
        f": fields.lines.type: 'intger' is not known; did you mean 'integer'?; {TYPES}",
    ),
    "one of several types": (
        one_field({"type": ["null", "intger"]}),
        f": fields.lines.type[1]: 'intger' is not known; did you mean 'integer'?; {TYPES}",
    ),
    "a nested type": (
        one_field({"type": "array", "items": {"type": "strin"}}),
        f": fields.lines.items.type: 'strin' is not known; did you mean 'string'?; {TYPES}",
    ),
    "no type": (one_field({}), ": fields.lines: 'type' is missing"),
    "an empty list of types": (
        one_field({"type": []}),
        ": fields.lines.type: is empty; name at least one type",
    ),
    "a format": (
        one_field({"type": "string", "format": "datetime"}),
        ": fields.lines.format: 'datetime' is not known; did you mean 'date-time'?",
    ),
    "a format like no other": (
        one_field({"type": "string", "format": "ISO"}),
        ": fields.lines.format: 'ISO' is not known; known are " + ", ".join(FORMATS),
    ),
    "a format of another type": (
        one_field({"type": "integer", "format": "date"}),
        ": fields.lines.format: 'date' is for strings, but the type is integer; make the type "
        "string, or leave the format out",
    ),
    "a format of no type": (
        one_field({"type": "array", "items": {"type": ["null"], "format": "date"}}),
        ": fields.lines.items.format: 'date' is for strings, but the type is null; make the type "
        "string, or leave the format out",
    ),
    "a privacy": (
        one_field({"type": "string", "privacy": "hashed"}),
        ": fields.lines.privacy: 'hashed' is not known; did you mean 'hash'?; "
        "known are drop, mask, hash",
    ),
    "elements that are dropped": (
        one_field({"type": "array", "items": {"type": "string", "privacy": "drop"}}),
        ": fields.lines.items.privacy: elements can't be dropped; set it on the array",
    ),
    "nothing but dropped fields": (
        {"stream": "orders", "fields": {"a": {"type": "string", "privacy": "drop"}}},
        ": fields: all are dropped; keep at least one field to land",
    ),
    "a masked primary key": (
        private("id", "mask"),
        ": fields.id.privacy: is 'mask', but 'id' is in primary_key; hash it or leave privacy out",
    ),
    "a dropped primary key": (
        private("id", "drop"),
        ": fields.id.privacy: is 'drop', but 'id' is in primary_key; hash it or leave privacy out",
    ),
    "a hashed cursor": (
        private("write_date", "hash"),
        ": fields.write_date.privacy: is 'hash', but 'write_date' is in cursor_field; use "
        "another field or leave privacy out",
    ),
    "a way to treat drift": (
        founding(on_drift="ignore"),
        ": on_drift: 'ignore' is not known; known are report, fail, land",
    ),
    "a default key that was taken out": (
        {"stream": "orders", "defaults": {"primary_key": [["id"]]}, "fields": {"uid": INTEGER}},
        ": defaults.primary_key: 'id' is not in fields: it is the primary key; put it back into "
        "fields, or set primary_key to another field",
    ),
    "a default cursor that was taken out": (
        {"stream": "orders", "defaults": {"cursor_field": ["at"]}, "fields": {"a": INTEGER}},
        ": defaults.cursor_field: 'at' is not in fields: it is the cursor; put it back into "
        "fields, or set cursor_field to another field",
    ),
    "a key that is there twice": (
        FOUNDING_CONFIG.replace('"selected": true', '"stream": "orders"'),
        ": not valid JSON: 'stream' appears twice",
    ),
    "a field that is there twice": (
        FOUNDING_CONFIG.replace('"name": {"type"', '"id": {"type"'),
        ": not valid JSON: 'id' appears twice",
    ),
    "an encoding": (
        one_field({"type": "array", "encoding": "nativ"}),
        ": fields.lines.encoding: 'nativ' is not known; did you mean 'native'?; "
        "known are json, native",
    ),
    "a field that is a word": (
        one_field("integer"),
        ': fields.lines: has to be an object such as {"type": "string"}',
    ),
    "properties that are a list": (
        one_field({"type": "object", "properties": []}),
        ": fields.lines.properties: has to be an object",
    ),
    "a sync mode": (
        founding(sync_mode="incremntal"),
        f": sync_mode: 'incremntal' is not known; did you mean 'incremental'?; {MODES}",
    ),
    "an offered sync mode": (
        founding(options={"sync_modes": ["full-refresh"], "destination_sync_modes": []}),
        ": options.sync_modes[0]: 'full-refresh' is not known; did you mean 'full_refresh'?; "
        + MODES,
    ),
    "a destination sync mode": (
        founding(destination_sync_mode="mrge"),
        ": destination_sync_mode: 'mrge' is not known; did you mean 'merge'?; "
        "known are append, merge, overwrite",
    ),
    "a primary key not in fields": (
        founding(primary_key=[["ids"]]),
        ": primary_key: 'ids' is not in fields; did you mean 'id'?",
    ),
    "a nested primary key": (
        founding(primary_key=[["id", "number"]]),
        ": primary_key: ['id', 'number'] has to name one top-level field",
    ),
    "a primary key without brackets": (
        founding(primary_key=["id"]),
        ': primary_key[0]: expected `array`, got text; write it as [["id"]]',
    ),
    "a cursor not in fields": (
        founding(cursor_field=["write_dat"]),
        ": cursor_field: 'write_dat' is not in fields; did you mean 'write_date'?",
    ),
    "a nested cursor": (
        founding(cursor_field=["write", "date"]),
        ": cursor_field: ['write', 'date'] has to name one top-level field",
    ),
    "incremental without cursor": (
        founding(cursor_field=None),
        ": cursor_field: is missing, but sync_mode 'incremental' needs it; name a field that "
        "grows with every change, or set sync_mode to 'full_refresh'",
    ),
    "merge without primary key": (
        founding(primary_key=None, destination_sync_mode="merge"),
        ": primary_key: is missing, but destination_sync_mode 'merge' needs it",
    ),
    "a word where true or false belongs": (
        founding(selected="yes"),
        ": selected: expected a boolean, got text",
    ),
    "another stream's name": (
        founding(stream="order"),
        ": stream: is 'order' but the file is named orders.json; make them the same",
    ),
    "no stream": (founding(stream=None), ": 'stream' is missing"),
    "no fields": (
        founding(fields=None),
        ": fields: has to be an object of field names and their types",
    ),
    "fields that are a list": (
        founding(fields=["id", "name"]),
        ": fields: has to be an object of field names and their types",
    ),
    "empty fields": (
        {"stream": "orders", "fields": {}},
        ": fields: is empty; name at least one field to land",
    ),
    "a field of ours": (
        one_field({"type": "string"}) | {"fields": {"_dlt_id": {"type": "string"}}},
        ": fields._dlt_id: names that start with _dlt_, and _deleted_at, are reserved; leave the "
        "field out",
    ),
    "overwriting with changes alone": (
        founding(destination_sync_mode="overwrite"),
        ": destination_sync_mode: 'overwrite' replaces the whole table with what a run reads, but "
        "sync_mode 'incremental' reads only changes; set sync_mode to 'full_refresh', or "
        "destination_sync_mode to 'merge'",
    ),
    "a table format without a table": (
        founding(table_format="iceberg"),
        ": table_format: destination_sync_mode 'append' keeps no table; set it to "
        "'merge' or 'overwrite', or leave table_format out",
    ),
    "deletes among changes alone": (
        founding(deletes="snapshot"),
        ": deletes: 'snapshot' compares all of the source's keys, but sync_mode 'incremental' "
        "reads only changes; set sync_mode to 'full_refresh', or leave deletes out",
    ),
    "deletes without a key": (
        {
            "stream": "orders",
            "sync_mode": "full_refresh",
            "deletes": "snapshot",
            "fields": {"id": {"type": "integer"}},
        },
        ": primary_key: is missing, but deletes needs it",
    ),
    "a limit of deletes without deletes": (
        founding(deletes_limit=0.1),
        ": deletes_limit: has no effect without deletes",
    ),
    "not an object": ("[]", ": has to be a JSON object"),
    "broken JSON": (
        '{"stream": "orders",\n  "fields": {,}}',
        ", line 2, column 14: not valid JSON: Expecting property name enclosed in double quotes",
    ),
    "an empty file": ("", ", line 1, column 1: not valid JSON: Expecting value"),
    "not UTF-8": (FOUNDING_CONFIG.encode("utf-16"), ": not UTF-8 text: invalid start byte"),
    "NaN": (
        '{"stream": "orders", "initial_value": NaN}',
        ": not valid JSON: NaN is not a number in JSON",
    ),
    "a number of 5,000 digits": (
        f'{{"stream": "orders", "initial_value": {"9" * 5_000}}}',
        ": not valid JSON: Exceeds the limit (4300 digits) for integer string conversion: "
        "value has 5000 digits",
    ),
    "half a surrogate pair": (
        founding(description="\ud83d"),
        ": has half of a surrogate pair",
    ),
    "JSON nested too deeply": ("[" * 100_000 + "]" * 100_000, ": nested too deeply"),
}


@pytest.mark.parametrize(("content", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_message_with_file_place_and_nearest_word(
    workspace: Workspace, content: Any, told: str
) -> None:
    assert mistake(workspace, content) == CONFIG + told


def test_a_key_that_discovery_knows_was_taken_out_and_not_misspelt(workspace: Workspace) -> None:
    put(workspace.config_file("odoo", "orders"), json.dumps(founding(fields={"idx": INTEGER})))
    put(workspace.discovered_file("odoo", "orders"), FOUNDING_SCHEMA)
    with pytest.raises(CatalogError, match="'id' is not in fields: it is the primary key; put it"):
        read_config(workspace, "odoo", "orders")


def test_a_primary_key_may_be_hashed(workspace: Workspace) -> None:
    assert config_of(workspace, private("id", "hash")).fields["id"].privacy == "hash"


def test_fields_nested_too_deeply_are_named(workspace: Workspace) -> None:
    told = mistake(workspace, one_field(nested_field(MAX_DEPTH + 1)))
    assert told.startswith(f"{CONFIG}: fields.lines.properties.x.properties.x")
    assert told.endswith(f"nested deeper than {MAX_DEPTH} levels")
    assert config_of(workspace, one_field(nested_field(MAX_DEPTH)))


def nested_field(levels: int) -> dict[str, Any]:
    field: dict[str, Any] = {"type": "string"}
    for _ in range(levels - 1):
        field = {"type": "object", "properties": {"x": field}}
    return field


def test_dots_in_a_fields_name_are_no_levels(workspace: Workspace) -> None:
    fields = {"." * 100: {"type": "integer"}}
    assert (
        config_of(workspace, {"stream": "orders", "fields": fields}).fields.keys() == fields.keys()
    )


def test_a_discovered_schema_is_checked_as_well(workspace: Workspace) -> None:
    text = FOUNDING_SCHEMA.replace('"options"', '"option"')
    put(workspace.discovered_file("odoo", "orders"), text)
    with pytest.raises(CatalogError) as caught:
        read_discovered(workspace, "odoo", "orders")
    assert str(caught.value) == f"{DISCOVERED}: unknown key 'option'; did you mean 'options'?"


def test_configured_streams_are_ours_and_those_nobody_claims(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "orchestration")
    texts = {
        "plain": "{}",
        "ours": '{"connector": "dlt"}',
        "theirs": '{"connector": "airbyte"}',
        "broken": '{"connector"',
        "_notes": "",
    }
    for stream, text in texts.items():
        put(workspace.config_file("odoo", stream), text)
    assert list(configured_streams(workspace, "odoo")) == ["broken", "ours", "plain"]


def test_a_written_schema_has_the_layout_of_the_founding_document(workspace: Workspace) -> None:
    put(workspace.discovered_file("odoo", "orders"), FOUNDING_SCHEMA)
    schema = read_discovered(workspace, "odoo", "orders")
    assert schema is not None
    assert encode(schema).decode() == FOUNDING_SCHEMA
    assert write_discovered(workspace, "odoo", schema).read_text() == FOUNDING_SCHEMA
    assert [file.name for file in workspace.discovered_file("odoo", "x").parent.iterdir()] == [
        "orders.json"
    ], "no draft is left"


def test_a_field_too_long_for_a_line_is_broken_up_and_text_stays_readable() -> None:
    properties = {f"größe_{number}": Field(type="number") for number in range(4)}
    schema = DiscoveredSchema(
        stream="orders",
        options=Options(["full_refresh"], ["append"]),
        fields={"id": Field(type="integer"), "box": Field(type="object", properties=properties)},
    )
    assert encode(schema).decode().partition('"fields": ')[2] == (
        """{
    "id": {"type": "integer"},
    "box": {
      "type": "object",
      "properties": {
        "größe_0": {"type": "number"},
        "größe_1": {"type": "number"},
        "größe_2": {"type": "number"},
        "größe_3": {"type": "number"}
      }
    }
  }
}
"""
    )


def test_the_committed_json_schemas_are_those_of_the_models() -> None:
    files = {
        file.name: json.loads(file.read_text()) for file in (REPOSITORY / "schemas").glob("*.json")
    }
    assert files == json_schemas() | {"alert.json": alert.json_schema()}


KINDS_OR_LISTS = st.one_of(
    st.sampled_from(KINDS), st.lists(st.sampled_from(KINDS), min_size=1, max_size=3)
)
FIELD_MODELS = st.recursive(
    st.builds(
        Field,
        type=KINDS_OR_LISTS,
        description=st.none() | st.text(max_size=80),
        encoding=st.sampled_from(["json", "native"]),
        privacy=st.none() | st.sampled_from(["mask", "hash"]),
    )
    | st.builds(Field, type=st.just("string"), format=st.sampled_from(FORMATS)),
    lambda inner: st.builds(
        Field,
        type=st.sampled_from(["array", "object"]),
        properties=st.none() | st.dictionaries(st.text(max_size=20), inner, max_size=4),
        items=st.none() | inner,
    ),
    max_leaves=10,
)
SCHEMAS = st.builds(
    DiscoveredSchema,
    stream=st.just("orders"),
    description=st.none() | st.text(),
    options=st.builds(
        Options,
        st.lists(st.sampled_from(["incremental", "full_refresh"]), max_size=2),
        st.lists(st.sampled_from(["append", "merge", "overwrite"]), max_size=2),
    ),
    defaults=st.builds(
        Defaults,
        st.none() | st.lists(st.lists(st.text(max_size=9), max_size=2), max_size=2),
        st.none() | st.lists(st.text(max_size=9), max_size=2),
    ),
    fields=st.dictionaries(st.text(max_size=20), FIELD_MODELS, max_size=5),
)


@settings(max_examples=150, deadline=None)
@given(schema=SCHEMAS)
def test_what_is_written_reads_back_the_same(
    workspace: Workspace, schema: DiscoveredSchema
) -> None:
    write_discovered(workspace, "odoo", schema)
    assert read_discovered(workspace, "odoo", "orders") == schema
    assert json.loads(encode(schema)) == msgspec.to_builtins(schema)


WORDS = st.sampled_from(
    ["orders", "id", "name", "type", "string", "array", "date", "incremental", "merge", "native"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(), inner, max_size=3)
    ),
    max_leaves=12,
)


@st.composite
def mutated_configs(draw: st.DrawFn) -> Any:
    """A config with up to three of its keys and values replaced, taken away or added."""
    document = copy.deepcopy(founding(options=json.loads(FOUNDING_SCHEMA)["options"]))
    document["fields"]["lines"] = nested_field(3)
    for _ in range(draw(st.integers(1, 3))):
        holder, key = draw(st.sampled_from(list(places(document))))
        change = draw(st.sampled_from(["replace", "remove", "add"]))
        if change == "replace":
            holder[key] = draw(JSON)
        elif change == "remove":
            del holder[key]
        elif isinstance(holder, dict):
            holder[draw(WORDS | st.text(max_size=8))] = draw(JSON)
    return document


def places(document: Any) -> Iterator[tuple[Any, Any]]:
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in list(items):
        yield document, key
        if isinstance(value, dict | list):
            yield from places(value)


def assert_read_or_refused(workspace: Workspace, content: bytes) -> None:
    told = CONFIG
    try:
        config_of(workspace, content)
    except CatalogError as error:
        told = str(error)
    assert told.startswith(CONFIG)


@settings(max_examples=200, deadline=None)
@given(document=JSON | mutated_configs())
def test_no_document_is_anything_but_read_or_refused_by_name(
    workspace: Workspace, document: Any
) -> None:
    assert_read_or_refused(workspace, json.dumps(document).encode())


@settings(max_examples=100, deadline=None)
@given(start=st.integers(0, len(FOUNDING_CONFIG)), junk=st.binary(max_size=6) | st.just(b"\\ud800"))
def test_no_bytes_are_anything_but_read_or_refused_by_name(
    workspace: Workspace, start: int, junk: bytes
) -> None:
    text = FOUNDING_CONFIG.encode()
    assert_read_or_refused(workspace, text[:start] + junk + text[start:])
    assert_read_or_refused(workspace, text[:start] + junk)
