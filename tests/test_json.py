"""With --json, a command prints one document, of a shape that schemas/output/ has."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import jsonschema
import pytest

from landing.cli import main as run_main
from landing.cli.json.schemas import documents, output_schemas
from landing.cli.main import VERBS
from landing.cli.parser import Parser
from landing.zone.lease import Lease
from tests.kit import REPOSITORY, Kit, Zone
from tests.servers.api import Api
from tests.test_status import ORDER, PATHS, STREAMS, bucket, configure

NUMBERS = {"id": {"type": "integer"}, "updated_at": {"type": "string"}, "name": {"type": "number"}}
TABLE = {"destination_sync_mode": "merge", "primary_key": [["id"]]}
WINDOWS = ["--from", "2024-01-01", "--to", "2024-01-03", "--by", "day"]
PAGE = (REPOSITORY / "docs" / "json.md").read_text()


@pytest.fixture
def shop(kit: Kit, api: Api, folder_zone: Zone, use: Callable[[Api], None]) -> Kit:
    use(api)
    api.set_rows("orders", api.rows()[:20])
    kit.add_source("shop", STREAMS, '"""Environment:\n    MY_API_URL  where it is\n"""\n')
    configure(kit)
    return kit


def told(kit: Kit, shape: str, *words: str, code: int = 0) -> Any:
    """The document that a command prints, which is all that it prints."""
    done = kit.landing(*words, "--json")
    assert done.code == code, done.text
    return valid(shape, done.out)


def valid(shape: str, text: str) -> Any:
    document = json.loads(text)
    jsonschema.validate(document, output_schemas()[f"{shape}.json"])
    return document


def error(kit: Kit, *words: str, code: int) -> dict[str, Any]:
    document = told(kit, "error", *words, code=code)["error"]
    assert document["exit_code"] == code
    assert document["message"]
    return dict(document)


def parsers(verb: str) -> Sequence[argparse.ArgumentParser]:
    """A verb's own, or those of its verbs."""
    parser = Parser()
    VERBS[verb].configure(parser)
    below = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return [*below[0].choices.values()] if below else [parser]


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"mcp"}))
def test_every_verb_has_it_and_a_shape(verb: str) -> None:
    for parser in parsers(verb):
        assert "--json" in parser.format_help()
    shapes = [name for name in documents() if name == verb or name.startswith(f"{verb}-")]
    assert shapes, "landing.cli.json.schemas.documents() has none"


def test_the_committed_schemas_are_those_of_the_shapes() -> None:
    files = (REPOSITORY / "schemas" / "output").iterdir()
    assert {file.name: json.loads(file.read_text()) for file in files} == output_schemas()


@pytest.mark.parametrize("shape", documents())
def test_the_docs_name_every_shape(shape: str) -> None:
    assert f"schemas/output/{shape}.json" in PAGE


def test_what_is_created_has_documents(kit: Kit, api: Api, folder_zone: Zone) -> None:
    streams = ["--streams", "orders", "--records=data", "--auth=none", "--paging=none"]
    new = told(kit, "new", "new", "shop", f"--base-url={api.url}", *streams)
    assert new["variables"] == ["SHOP_URL"]
    assert "orchestration/dlt/sources/shop/client.py" in new["files"]
    made = told(kit, "init", "init", str(kit.repository.parent / "lake"), "--no-source")
    assert made["is_of_this_machine"] is True
    assert made["source"] is None
    assert "landing" in told(kit, "completion", "completion", "bash")["script"]


def test_discovery_and_checks_have_documents(shop: Kit, api: Api) -> None:
    found = told(shop, "discover", "discover", "shop")
    assert [(one["stream"], one["state"]) for one in found["streams"]] == [("orders", "new")]
    api.update("orders", 1, colour="red")
    changed = told(shop, "discover", "discover", "shop", "--check", code=1)
    assert changed["written"] is False
    assert changed["streams"][0]["state"] == "changed"
    api.fail_next(1, status=403)
    (failed,) = told(shop, "discover", "discover", "shop", "--check", code=1)["failed"]
    assert "403" in failed["error"]["message"]
    assert failed["error"]["remedy"].startswith("`landing env shop`")
    told(shop, "select", "select", "shop", "orders", "--all-fields", "--discover")
    assert told(shop, "check", "check", "shop", "--only=limit")["source"] == "shop"
    assert told(shop, "env", "env", "shop")[0]["name"] == "MY_API_URL"
    assert told(shop, "k8s", "k8s")["jobs"][0]["streams"] == ["orders"]
    assert told(shop, "k8s", "k8s", "--check")["differences"] == []
    assert {one["check"] for one in told(shop, "doctor", "doctor", "shop")} >= {"python", "bucket"}


def test_what_has_landed_has_documents(shop: Kit, api: Api) -> None:
    configure(shop, **TABLE)
    (late,) = told(shop, "fresh", "fresh", "shop", code=1)
    assert late["last"] is None
    assert shop.run("shop", "orders").code == 0
    assert told(shop, "fresh", "fresh", "shop") == []
    assert told(shop, "status", "status", "shop")[0]["status"] == "ok"
    assert told(shop, "history", "history", "shop", "orders")[0]["rows"] == 20
    assert told(shop, "schema", "schema", "shop", "orders")[0]["version"] == 1
    (result, *_) = told(shop, "verify", "verify", "shop")
    assert result["status"] == "passed"
    rows = shop.landing("show", "shop", "orders", "--limit=2", "--json").out.splitlines()
    assert [valid("show", row)["id"] for row in rows] == [1, 2]
    assert told(shop, "compact", "compact", "shop", "orders")[0]["error"] is None
    made = told(shop, "rebuild", "rebuild", "shop", "orders", "--yes")
    assert made["table"]["upserted"] == 20


def test_states_and_their_changes_have_documents(shop: Kit) -> None:
    assert shop.run("shop", "orders").code == 0
    before = told(shop, "state", "state", "shop", "orders")
    changed = told(shop, "state-change", "state", "reset", "shop", "orders", "--yes")
    assert (changed["verb"], changed["kept"]) == ("reset", 1)
    (kept,) = told(shop, "state-history", "state", "history", "shop", "orders")
    assert kept["cursors"] == {"updated_at": before["cursor"]}


def test_backfills_have_documents(shop: Kit) -> None:
    words = ["backfill", "shop", "orders"]
    assert told(shop, "backfill-list", *words) == []
    planned = told(shop, "backfill-dry-run", *words, *WINDOWS, "--dry-run")
    assert [one["done"] for one in planned["windows"]] == [False, False]
    assert told(shop, "backfill", *words, *WINDOWS)["done"] == 2
    (listed,) = told(shop, "backfill-list", *words)
    assert (listed["windows"], listed["done"]) == (2, 2)
    configure(shop, primary_key=[["id"]])
    field = [*words, "--fields", "total"]
    assert told(shop, "backfill-dry-run", *field, "--dry-run")["fields"] == ["total"]
    assert told(shop, "backfill-fields", *field)["unfit"] == 0


def test_quarantine_has_documents(shop: Kit, api: Api) -> None:
    api.add("orders", {"id": 21, "name": None, "updated_at": "2026-01-01 00:00:00"})
    configure(shop, fields=NUMBERS)
    assert shop.run("shop", "orders").code == 0
    (listed,) = told(shop, "quarantine-list", "quarantine", "list", "shop")
    assert listed["records"] == 20
    line = shop.landing("quarantine", "show", "shop", "orders", "--limit=1", "--json").out
    assert valid("quarantine-show", line)["field"] == "name"
    land = ["quarantine", "land", "shop", "orders"]
    assert told(shop, "quarantine-land", *land, "--dry-run")["stays"][0]["records"] == 20
    configure(shop)
    assert told(shop, "quarantine-land", *land)["rows"] == 20


# errors


def test_wrong_usage_is_a_document_too(shop: Kit, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["status", "--grace", "soon"], ["show", "shop"], ["statsu"], ["quarantine"]):
        found = error(shop, *words, code=2)
        assert found["class"] == "UsageError"
        assert "--help` shows examples" in found["remedy"]
    with pytest.raises(SystemExit):
        run_main(["show", "shop"])
    told = capsys.readouterr()
    assert told.out == ""
    assert "usage: landing show" in told.err


def test_outside_a_workspace_there_is_a_document(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    found = error(kit, "status", code=2)
    assert (found["class"], found["remedy"]) == (
        "WorkspaceError",
        "`landing init FOLDER` makes one",
    )


def test_a_bug_and_an_interruption_are_documents(
    shop: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(failure: BaseException) -> Callable[..., int]:
        def call(*_: Any) -> int:
            raise failure

        return call

    monkeypatch.setenv("MY_API_KEY", "a-secret-of-this-test")
    monkeypatch.setattr(VERBS["status"], "call", raising(ValueError("a-secret-of-this-test")))
    bug = error(shop, "status", code=1)
    assert (bug["class"], bug["message"]) == ("bug", "***")
    monkeypatch.setattr(VERBS["status"], "call", raising(KeyboardInterrupt()))
    assert error(shop, "status", code=130)["class"] == "interrupted"


def test_what_strangers_wrote_does_not_steer_the_terminal(shop: Kit, api: Api) -> None:
    api.add("orders", {**ORDER, "id": 99, "name": "\x9b2J\u2028"})
    assert shop.run("shop", "orders").code == 0
    out = shop.landing("show", "shop", "orders", "--where", "id = 99", "--json").out
    assert "\x9b" not in out
    assert valid("show", out)["name"] == "\x9b2J\u2028"


# remedies


def remedy(kit: Kit, *words: str, code: int) -> str:
    """What is told to try next, whose commands are ones that there are."""
    done = kit.landing(*words)
    assert done.code == code, done.text
    assert "Traceback" not in done.text
    last = done.err.rstrip().splitlines()[-1]
    assert last.startswith("  → "), done.text
    commands = re.findall("`landing ([^`]+)`", last)
    assert commands, last
    for command in commands:
        verb, *arguments = command.split()
        parser = Parser()
        VERBS[verb].configure(parser)
        parser.parse_args(arguments)
    return last.removeprefix("  → ")


def test_mistakes_of_a_source_end_with_what_to_try(
    shop: Kit, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ["run", "shop", "orders"]
    assert "`landing discover shop`" in remedy(shop, "run", "shop", "ordres", code=2)
    assert "`landing new sohp`" in remedy(shop, "env", "sohp", code=2)
    for status in (401, 403):
        api.fail_next(1, status=status)
        assert "`landing env shop`" in remedy(shop, *run, code=1)
    api.fail_next(1, status=404)
    assert "`landing check shop`" in remedy(shop, *run, code=1)
    monkeypatch.delenv("MY_API_KEY")
    assert "`landing env shop` lists the source's variables" in remedy(shop, *run, code=2)
    shop.add_source("broken", "import no_such_package\n")
    assert "`landing doctor broken`" in remedy(shop, "discover", "broken", code=2)


def test_mistakes_of_a_stream_end_with_what_to_try(shop: Kit, api: Api) -> None:
    run = ["run", "shop", "orders"]
    configure(shop, fields={"id": {"type": "intger"}})
    assert "`landing run shop orders --dry-run` checks it" in remedy(shop, *run, code=2)
    nothing = {"nothing": {"type": "string"}}
    configure(shop, fields=nothing, sync_mode="full_refresh", cursor_field=None)
    assert "`landing discover shop orders`" in remedy(shop, *run, code=1)
    configure(shop, fields=NUMBERS, quarantine_limit=0.1)
    full = shop.landing(*run)
    assert "`landing quarantine show shop orders --failed`" in full.err
    assert "`landing run shop orders` then reads" in remedy(shop, *run, code=1)
    configure(shop)
    with Lease(bucket(shop), PATHS.lease, "shop/orders"):
        assert "`landing status`" in remedy(shop, *run, code=3)


def test_a_field_that_a_source_dropped_ends_with_what_to_try(shop: Kit, api: Api) -> None:
    api.set_rows("orders", [{**ORDER, "id": number, "total": 1.5} for number in range(200)])
    assert shop.discover("shop").code == 0
    configure(shop, on_drift="fail")
    rows = [{"id": number, "name": "x", "updated_at": ORDER["updated_at"]} for number in range(200)]
    api.set_rows("orders", rows)
    assert "`landing discover shop orders`" in remedy(shop, "run", "shop", "orders", code=1)


def test_mistakes_of_the_bucket_end_with_what_to_try(
    shop: Kit, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = ["status", "shop"]
    with monkeypatch.context() as there:
        there.setenv("S3_SECRET_ACCESS_KEY", "a-secret-that-is-wrong")
        assert "`landing doctor`" in remedy(shop, *look, code=1)
        found = error(shop, *look, code=1)
        assert found["class"] == "BucketUnusable"
        assert "a-secret-that-is-wrong" not in json.dumps(found)
    with monkeypatch.context() as there:
        there.setenv("S3_ENDPOINT", "127.0.0.1:9")
        assert "`landing doctor`" in remedy(shop, *look, code=1)
    with monkeypatch.context() as there:
        there.delenv("DLT_BUCKET_URL")
        assert "`landing doctor`" in remedy(shop, *look, code=2)
