"""What discovery finds out, what it asks the API for, and what it leaves as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kit import FOUNDING_STREAMS, Kit, Outcome, Zone
from tests.servers.api import Api

ROWS = "import dlt\n@dlt.resource{hints}\ndef things({arguments}):\n    {body}\n"


@pytest.fixture
def orders(kit: Kit, api: Api, use: Callable[[Api], None]) -> Kit:
    """The founding document's source over the test API."""
    use(api)
    kit.add_founding_source()
    return kit


def things(kit: Kit, body: str, hints: str = "", arguments: str = "") -> dict[str, Any]:
    """The schema discovered of a stream `things` with this body."""
    kit.add_source("shop", ROWS.format(body=body, hints=hints, arguments=arguments))
    done = kit.discover("shop", "things")
    assert done.code == 0, done.text
    return kit.discovered("shop", "things")


def assert_told(outcome: Outcome, *texts: str, code: int = 1) -> None:
    assert outcome.code == code, outcome.text
    assert "Traceback" not in outcome.text
    for text in texts:
        assert text in outcome.err, outcome.text


def files_of(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*.json")}


def test_the_founding_documents_source_is_discovered(orders: Kit) -> None:
    done = orders.discover("my_source")
    assert done.code == 0, done.text
    assert done.out == "orchestration/dag/sources/my_source/orders.json: 10 fields, new\n"
    found = orders.discovered("my_source", "orders")
    assert {key: value for key, value in found.items() if key != "fields"} == {
        "stream": "orders",
        "description": "Orders stream with incremental loading.",
        "options": {
            "sync_modes": ["incremental", "full_refresh"],
            "destination_sync_modes": ["append", "merge", "overwrite"],
        },
        "defaults": {"primary_key": [["id"]], "cursor_field": ["updated_at"]},
    }
    line = {
        "type": "object",
        "properties": {"sku": {"type": "string"}, "quantity": {"type": "integer"}},
    }
    customer = {
        "id": {"type": "integer"},
        "name": {"type": "string"},
        "vat": {"type": "null"},
    }
    assert found["fields"] == {
        "id": {"type": "integer"},
        "name": {"type": "string"},
        "updated_at": {"type": "string", "format": "date-time"},
        "created_on": {"type": "string", "format": "date"},
        "total": {"type": "number"},
        "paid": {"type": "boolean"},
        "note": {"type": "string"},
        "customer": {"type": "object", "properties": customer},
        "tags": {"type": "array", "items": {"type": "string"}},
        "lines": {"type": "array", "items": line},
    }
    assert list(found["fields"])[:3] == ["id", "name", "updated_at"]


def test_the_workspaces_own_script_does_the_same(orders: Kit) -> None:
    done = orders.forked("discover-source.py", "my_source", "orders", "--sample-limit=50")
    assert done.code == 0, done.text
    assert len(orders.discovered("my_source", "orders")["fields"]) == 10


@pytest.mark.parametrize(
    ("sample", "limits"),
    [(1, ["1"]), (50, ["50"]), (100, ["100"]), (250, ["100", "100", "100"])],
)
def test_the_sample_limit_bounds_what_the_api_is_asked(
    orders: Kit, api: Api, sample: int, limits: list[str]
) -> None:
    assert orders.discover("my_source", "orders", f"--sample-limit={sample}").code == 0
    assert [request.query["limit"] for request in api.requests] == limits


def test_the_default_sample_is_one_page_from_the_start(orders: Kit, api: Api) -> None:
    assert orders.discover("my_source", "orders").code == 0
    assert [dict(request.query) for request in api.requests] == [
        {"limit": "100", "offset": "0", "since": "2020-01-01 00:00:00"}
    ]


def test_a_stream_without_limit_is_read_no_further_than_the_sample(orders: Kit, api: Api) -> None:
    folder = orders.root / "dlt" / "sources" / "my_source"
    body = FOUNDING_STREAMS.replace("    limit: int = 100,\n", "").replace("limit", "100")
    (folder / "streams.py").write_text(body.replace('"100": 100', '"limit": 100'))
    assert orders.discover("my_source", "orders", "--sample-limit=150").code == 0
    assert len(api.requests) == 2


def test_only_sampled_records_are_looked_at(kit: Kit) -> None:
    body = "yield [{'n': n if n < 10 else 'x'} for n in range(100)]"
    kit.add_source("shop", ROWS.format(hints="", arguments="", body=body))
    assert kit.discover("shop", "--sample-limit=10").code == 0
    assert kit.discovered("shop", "things")["fields"] == {"n": {"type": "integer"}}


def test_a_wrong_sample_limit_is_refused(kit: Kit) -> None:
    for wrong in ("0", "-1", "many", "1.5"):
        done = kit.discover("my_source", f"--sample-limit={wrong}")
        assert done.code == 2
        assert f"'{wrong}' is not a whole number above 0" in done.err


def test_discovery_touches_neither_bucket_nor_state(orders: Kit, api: Api, zone: Zone) -> None:
    orders.discover("my_source", "orders")
    assert zone.paths() == []
    done = orders.run("my_source", "orders")
    assert done.code == 0, done.text
    before = {path: zone.read(path) for path in zone.paths()}
    api.update("orders", 7, name="changed")
    api.requests.clear()
    orders.discover("my_source", "orders")
    assert {request.query["since"] for request in api.requests} == {"2020-01-01 00:00:00"}
    assert {path: zone.read(path) for path in zone.paths()} == before
    assert orders.run("my_source", "orders").code == 0
    assert zone.count("my_source", "orders") == 2_351


def test_discovery_needs_no_bucket(orders: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLT_BUCKET_URL", "nonsense")
    assert orders.discover("my_source", "orders").code == 0


@pytest.mark.parametrize(
    ("hints", "arguments", "expected"),
    [
        ("", "", (None, None, ["full_refresh"], ["append", "overwrite"])),
        (
            "(primary_key='id')",
            "",
            ([["id"]], None, ["full_refresh"], ["append", "merge", "overwrite"]),
        ),
        (
            "(primary_key=['shop', 'id'])",
            "",
            ([["shop"], ["id"]], None, ["full_refresh"], ["append", "merge", "overwrite"]),
        ),
        (
            "(columns={'id': {'primary_key': True}})",
            "",
            ([["id"]], None, ["full_refresh"], ["append", "merge", "overwrite"]),
        ),
        (
            "",
            "at=dlt.sources.incremental('at')",
            (None, ["at"], ["incremental", "full_refresh"], ["append", "overwrite"]),
        ),
        (
            "(incremental=dlt.sources.incremental('at'))",
            "",
            (None, ["at"], ["incremental", "full_refresh"], ["append", "overwrite"]),
        ),
        (
            "",
            "at: dlt.sources.incremental[str] | None = None",
            (None, None, ["full_refresh", "incremental"], ["append", "overwrite"]),
        ),
    ],
)
def test_keys_and_modes_are_those_that_the_stream_declares(
    kit: Kit, hints: str, arguments: str, expected: tuple[Any, ...]
) -> None:
    found = things(kit, "yield [{'id': 1, 'at': 'x', 'shop': 2}]", hints, arguments)
    defaults, options = found.get("defaults", {}), found["options"]
    assert expected == (
        defaults.get("primary_key"),
        defaults.get("cursor_field"),
        options["sync_modes"],
        options["destination_sync_modes"],
    )


def test_declared_columns_win_over_the_sample_and_name_what_it_lacks(kit: Kit) -> None:
    columns = {"price": {"data_type": "double"}, "on": {"data_type": "date"}}
    found = things(kit, "yield [{'id': 1, 'price': 5}]", f"(columns={columns!r})")
    assert found["fields"] == {
        "id": {"type": "integer"},
        "price": {"type": "number"},
        "on": {"type": "string", "format": "date"},
    }


HINTED = """yield dlt.mark.with_hints({page}, dlt.mark.make_hints(columns={{
        'when': {{'data_type': 'timestamp'}}, 'id': {{'data_type': 'bigint'}},
        'tags': {{'data_type': 'json'}}}}))
    yield [{{'id': 1, 'when': False, 'tags': []}}]"""


@pytest.mark.parametrize("page", ["[]", "[{'id': 2, 'when': None}]"])
def test_types_that_come_with_the_first_page_are_taken_in_their_order(kit: Kit, page: str) -> None:
    fields = things(kit, HINTED.format(page=page))["fields"]
    assert list(fields.items()) == [
        ("when", {"type": "string", "format": "date-time"}),
        ("id", {"type": "integer"}),
        ("tags", {"type": "array", "items": {"type": "null"}}),
    ]


def test_a_stream_that_knows_its_columns_needs_no_records(kit: Kit) -> None:
    found = things(kit, "yield []", "(columns={'id': {'data_type': 'bigint'}})")
    assert found["fields"] == {"id": {"type": "integer"}}


@pytest.mark.parametrize(
    "body",
    [
        "yield pa.Table.from_pylist([{'id': 1, 'at': '2024-01-01 10:00:00', 'tags': ['a']}])",
        "yield pd.DataFrame({'id': [1], 'at': [pd.Timestamp('2024-01-01')], 'tags': [['a']]})",
        "yield {'id': 1, 'at': '2024-01-01 10:00:00', 'tags': ['a']}",
    ],
)
def test_whatever_shape_pages_have(kit: Kit, body: str) -> None:
    kit.add_source(
        "shop",
        "import pandas as pd, pyarrow as pa\n" + ROWS.format(hints="", arguments="", body=body),
    )
    done = kit.discover("shop")
    assert done.code == 0, done.text
    assert kit.discovered("shop", "things")["fields"] == {
        "id": {"type": "integer"},
        "at": {"type": "string", "format": "date-time"},
        "tags": {"type": "array", "items": {"type": "string"}},
    }


def test_only_the_first_paragraph_of_a_docstring_describes_the_stream(kit: Kit) -> None:
    body = '"""What was\n    sold.\n\n    Args: none.\n    """\n    yield {"id": 1}'
    assert things(kit, body)["description"] == "What was sold."


def test_what_an_analyst_should_look_at_is_reported(kit: Kit) -> None:
    body = "yield [{'code': 1, 'never': None}, {'code': 'x'}]"
    kit.add_source("shop", ROWS.format(hints="", arguments="", body=body))
    done = kit.discover("shop")
    assert "! code: mixed types, integer or string; lands as text" in done.out
    assert "! never: null in every sampled record; lands as text" in done.out


def test_changes_are_shown_on_the_next_discovery(orders: Kit, api: Api) -> None:
    orders.discover("my_source")
    assert "10 fields, unchanged" in orders.discover("my_source").out

    rows = api.rows()[:5]
    for row in rows:
        row.update(total="much", currency="EUR")
        del row["paid"]
        row["customer"] = {"id": "C-1", "name": "x"}
        row["lines"] = [{"sku": 1, "price": 2.5}]
    api.set_rows("orders", rows)
    done = orders.discover("my_source")
    assert done.out.splitlines() == [
        "orchestration/dag/sources/my_source/orders.json: 10 fields, changed",
        "  - paid: the source no longer has it",
        "  ~ total: number → string",
        "  - customer.vat: the source no longer has it",
        "  ~ customer.id: integer → string",
        "  - lines[].quantity: the source no longer has it",
        "  ~ lines[].sku: string → integer",
        "  + lines[].price: number",
        "  + currency: string",
    ]
    assert orders.discovered("my_source", "orders")["fields"]["total"] == {"type": "string"}
    assert "unchanged" in orders.discover("my_source").out


def test_changed_keys_are_shown(kit: Kit) -> None:
    things(kit, "yield {'id': 1, 'at': 2}", "(primary_key='id')")
    file = kit.root / "dlt" / "sources" / "shop" / "streams.py"
    arguments = "at=dlt.sources.incremental('at')"
    file.write_text(ROWS.format(hints="", arguments=arguments, body="yield {'id': 1, 'at': 2}"))
    done = kit.forked("discover-source.py", "shop")
    assert "  ~ primary_key: id → none" in done.out
    assert "  ~ cursor_field: none → at" in done.out


def test_descriptions_that_a_person_wrote_are_kept(orders: Kit) -> None:
    orders.discover("my_source")
    file = orders.discovered_file("my_source", "orders")
    document = orders.discovered("my_source", "orders")
    document["$schema"] = "../../../../schemas/discovered-schema.json"
    document["description"] = "Orders, by hand"
    fields = document["fields"]
    fields["total"]["description"] = "With tax"
    fields["customer"]["properties"]["vat"]["description"] = "Number of the tax office"
    fields["lines"]["items"]["properties"]["sku"]["description"] = "As on the shelf"
    file.write_text(json.dumps(document))
    assert "unchanged" in orders.discover("my_source").out
    assert orders.discovered("my_source", "orders") == document
    assert file.read_text().startswith('{\n  "$schema": "../../')


def test_a_field_without_values_this_time_keeps_the_type_it_had(orders: Kit, api: Api) -> None:
    orders.discover("my_source")
    before = orders.discovered("my_source", "orders")["fields"]
    rows = api.rows()[:5]
    for row in rows:
        row.update(name=None, total=5, customer={}, tags=[], lines=[{}])
    api.set_rows("orders", rows)
    done = orders.discover("my_source")
    assert "unchanged" in done.out, done.out
    assert orders.discovered("my_source", "orders")["fields"] == before


def test_check_has_an_exit_code_and_writes_nothing(orders: Kit, api: Api) -> None:
    new = orders.discover("my_source", "--check")
    assert new.code == 1
    assert "orders.json: 10 fields, new" in new.out
    assert files_of(orders.root) == {}

    orders.discover("my_source")
    before = files_of(orders.root)
    assert orders.discover("my_source", "--check").code == 0
    api.set_rows("orders", [{**row, "extra": 1} for row in api.rows()])
    changed = orders.discover("my_source", "--check")
    assert changed.code == 1
    assert "  + extra: integer" in changed.out
    assert files_of(orders.root) == before


TWO = """
import dlt

@dlt.resource
def bad():
    yield []
    raise ValueError("no luck")

@dlt.resource
def good():
    yield {"n": 1}
"""


def test_a_failing_stream_leaves_its_file_while_others_go_on(kit: Kit) -> None:
    kit.add_source("two", TWO)
    kept = kit.discovered_file("two", "bad")
    kept.parent.mkdir(parents=True)
    kept.write_text('{"as": "it was"}')
    done = kit.discover("two")
    assert_told(
        done,
        "stream 'two/bad': orchestration/dlt/sources/two/streams.py, line 7: ValueError: no luck",
        "orchestration/dag/sources/two/bad.json stays as it was",
    )
    assert kept.read_text() == '{"as": "it was"}'
    assert kit.discovered("two", "good")["fields"] == {"n": {"type": "integer"}}


def test_an_api_that_is_down_leaves_the_file(orders: Kit, api: Api) -> None:
    orders.discover("my_source")
    before = files_of(orders.root)
    api.fail_next(50, status=503)
    done = orders.discover("my_source")
    assert_told(done, "stream 'my_source/orders'", "answered 503", "stays as it was")
    assert files_of(orders.root) == before


def test_a_stream_without_records_says_so_and_leaves_the_file(orders: Kit, api: Api) -> None:
    orders.discover("my_source")
    before = files_of(orders.root)
    api.set_rows("orders", [])
    assert_told(
        orders.discover("my_source"),
        "stream 'orders' returned no records, so its fields are unknown; nothing was written",
    )
    assert files_of(orders.root) == before


FOREIGN = [
    {"options": {"sync_modes": ["incremental"], "destination_sync_modes": ["append_dedup"]}},
    {"fields": {"tags": {"type": "array", "items": {"type": "map"}}, "x": {"type": "unknown"}}},
    {"connector": "airbyte"},
]


@pytest.mark.parametrize("keys", FOREIGN)
def test_a_schema_that_another_tool_has_discovered_is_left_alone(
    orders: Kit, folder_zone: Zone, keys: dict[str, Any]
) -> None:
    """Neither overwritten nor in the way of a run or of other streams."""
    orders.configure("my_source", "orders", fields={"id": {"type": "integer"}})
    options = {"sync_modes": ["full_refresh"], "destination_sync_modes": ["append"]}
    theirs = {"stream": "orders", "options": options, "fields": {"id": {"type": "integer"}}, **keys}
    for stream in ("orders", "invoices"):
        file = orders.discovered_file("my_source", stream)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({**theirs, "stream": stream}))
    assert orders.run("my_source", "orders").code == 0
    done = orders.discover("my_source")
    assert done.code == 2
    assert "my_source/orders.json belongs to another tool and was not changed" in done.err
    assert "invoices" not in done.text
    assert json.loads(file.read_text())["stream"] == "invoices"


def test_a_broken_file_is_reported_and_left(orders: Kit) -> None:
    orders.discover("my_source")
    file = orders.discovered_file("my_source", "orders")
    file.write_text("<<<<<<< HEAD\n{}")
    done = orders.discover("my_source")
    assert_told(done, "my_source/orders.json, line 1, column 1: not valid JSON", code=2)
    assert file.read_text() == "<<<<<<< HEAD\n{}"


def test_a_missing_variable_is_named_with_the_file_that_documents_it(
    orders: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MY_API_URL")
    assert_told(
        orders.discover("my_source"),
        "MY_API_URL is not set, but source 'my_source' needs it",
        "orchestration/dlt/sources/my_source/client.py describes it",
        code=2,
    )


def test_a_wrong_key_is_reported_without_the_key(
    orders: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", "wrong-but-still-secret")
    assert_told(orders.discover("my_source"), "stream 'my_source/orders'", "answered 401")
    assert "wrong-but-still-secret" not in orders.discover("my_source", "--debug").text


def test_an_unknown_source_is_reported_with_those_that_exist(orders: Kit) -> None:
    assert_told(
        orders.discover("my_sauce"),
        "no source 'my_sauce'; did you mean 'my_source'?; in orchestration/dlt/sources there are: ",
        code=2,
    )


def test_an_unknown_stream_is_reported_before_any_request(orders: Kit, api: Api) -> None:
    assert_told(
        orders.discover("my_source", "orders", "order"),
        "source 'my_source' has no stream 'order'; did you mean 'orders'?; it has: orders",
        code=2,
    )
    assert api.requests == []
    assert files_of(orders.root) == {}


@pytest.mark.parametrize("name", ["..", "../x", "a/b", "", "_dlt"])
def test_a_name_that_can_be_no_folder_is_refused(kit: Kit, name: str) -> None:
    assert_told(kit.discover(name), f"'{name}' is not a source name", code=2)


def test_the_founding_documents_import_of_incremental_is_explained(orders: Kit) -> None:
    file = orders.root / "dlt" / "sources" / "my_source" / "streams.py"
    line = "from dlt.sources.incremental import Incremental\n"
    file.write_text(FOUNDING_STREAMS.replace("import dlt\n", f"import dlt\n{line}", 1))
    assert_told(
        orders.discover("my_source"),
        "orchestration/dlt/sources/my_source/streams.py, line 2: dlt.sources.incremental is a "
        "class, not a module; delete that import and annotate the parameter as "
        "dlt.sources.incremental[str]",
        code=2,
    )


def test_a_syntax_error_is_reported_with_file_and_line(kit: Kit) -> None:
    kit.add_source("shop", "import dlt\n\ndef things(:\n")
    told = "orchestration/dlt/sources/shop/streams.py, line 3: not valid Python: invalid syntax"
    assert_told(kit.discover("shop"), told, code=2)


def test_a_source_that_fails_while_it_is_imported_is_reported_with_its_line(kit: Kit) -> None:
    kit.add_source("shop", "import dlt\nimport no_such_library\n")
    assert_told(
        kit.discover("shop"),
        "orchestration/dlt/sources/shop/streams.py, line 2: the module "
        "'no_such_library' is not installed",
        code=2,
    )


def test_a_variable_that_is_read_while_importing_is_reported(kit: Kit) -> None:
    kit.add_source("shop", "import os\nKEY = os.environ['MY_API_KEY']\n")
    assert_told(kit.discover("shop"), "MY_API_KEY is read while source 'shop' is imported", code=2)


def test_a_source_without_streams_is_reported(kit: Kit) -> None:
    kit.add_source("shop", "", init="\n")
    told = "orchestration/dlt/sources/shop/__init__.py: exports no streams"
    assert_told(kit.discover("shop"), told, code=2)


def test_an_export_that_is_not_there_is_reported(kit: Kit) -> None:
    kit.add_source("shop", "", init="__all__ = ['things']\n")
    told = "sources/shop/__init__.py: __all__ names 'things', which is not there"
    assert_told(kit.discover("shop"), told, code=2)


def test_only_what_is_in_all_is_a_stream(kit: Kit) -> None:
    kit.add_source("two", TWO, init="from .streams import bad, good\n__all__ = ['good']\n")
    assert kit.discover("two").code == 0
    assert not kit.discovered_file("two", "bad").exists()


DYNAMIC = '''
import dlt
from .client import MyAPI

def records(endpoint, limit=100):
    """Rows of one endpoint."""
    yield MyAPI().get(endpoint, {"limit": limit})

@dlt.source
def shop(endpoints=("orders", "customers")):
    MyAPI().get("orders", {"limit": 0})
    for endpoint in endpoints:
        yield dlt.resource(records, name=endpoint, primary_key="id")(endpoint)
'''


@pytest.fixture
def dynamic(orders: Kit, api: Api) -> Kit:
    client = (orders.root / "dlt" / "sources" / "my_source" / "client.py").read_text()
    orders.add_source("shop", DYNAMIC, client, init="from .streams import shop\n")
    api.set_rows("customers", [{"id": 1, "vat": "x"}])
    return orders


def test_each_resource_of_a_source_function_is_a_stream(dynamic: Kit) -> None:
    done = dynamic.discover("shop")
    assert done.code == 0, done.text
    assert dynamic.discovered("shop", "customers")["fields"] == {
        "id": {"type": "integer"},
        "vat": {"type": "string"},
    }
    assert dynamic.discovered("shop", "orders")["defaults"]["primary_key"] == [["id"]]
    assert dynamic.discovered("shop", "orders")["description"] == "Rows of one endpoint."


def test_one_stream_of_a_source_function(dynamic: Kit) -> None:
    assert dynamic.discover("shop", "customers").code == 0
    assert [file.name for file in files_of(dynamic.root)] == ["customers.json"]
    assert_told(
        dynamic.discover("shop", "customer"),
        "source 'shop' has no stream 'customer'; did you mean 'customers'?; "
        "it has: customers, orders",
        code=2,
    )


def test_a_source_function_whose_api_fails_is_reported(
    dynamic: Kit, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.fail_next(50, status=503)
    assert_told(dynamic.discover("shop"), "source function 'shop.shop'", "/orders answered 503")
    assert_told(
        dynamic.run("shop", "orders"), "source function 'shop.shop'", "/orders answered 503"
    )
    api.clear_faults()
    monkeypatch.delenv("MY_API_KEY")
    assert_told(dynamic.discover("shop"), "MY_API_KEY is not set", "shop/client.py", code=2)


def test_a_file_whose_stream_is_gone_is_reported(orders: Kit) -> None:
    orders.discover("my_source")
    file = orders.discovered_file("my_source", "orders")
    file.with_name("returns.json").write_text(file.read_text().replace("orders", "returns"))
    told = orders.discover("my_source", "--check")
    assert told.code == 1
    assert "returns.json: the source no longer has this stream" in told.out
    assert orders.discover("my_source", "orders", "--check").code == 0


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ("primary_key='idd'", "the primary key 'idd', which none of its records has"),
        ("incremental=dlt.sources.incremental('att')", "the cursor field 'att'"),
    ],
)
def test_a_key_or_cursor_that_no_record_has_is_reported(kit: Kit, declared: str, told: str) -> None:
    kit.add_source(
        "wrong",
        f"import dlt\n@dlt.resource({declared})\ndef rows():\n    yield {{'id': 1, 'at': 2}}\n",
    )
    assert_told(kit.discover("wrong"), told, "did you mean", code=2)


def test_a_cursor_that_is_text_is_reported(kit: Kit) -> None:
    kit.add_source(
        "words",
        "import dlt\n@dlt.resource(incremental=dlt.sources.incremental('at'))\n"
        "def rows():\n    yield [{'at': 'soon'}, {'at': '2024-01-01 00:00:00'}]\n",
    )
    assert (
        "! at: the cursor is not a date-time, and is compared as text" in kit.discover("words").out
    )


def test_a_rare_field_with_a_description_stays(orders: Kit) -> None:
    orders.discover("my_source", "orders")
    file = orders.discovered_file("my_source", "orders")
    rare = '"rare": {"type": "string", "description": "seldom filled in"},\n    "id"'
    file.write_text(file.read_text().replace('"id"', rare, 2).replace(rare, '"id"', 1))
    assert orders.discover("my_source", "orders").code == 0
    assert orders.discovered("my_source", "orders")["fields"]["rare"]["description"]
