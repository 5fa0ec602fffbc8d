"""A run that fails before anything landed, and what the bucket tells of it afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import obstore
import pytest
import time_machine

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.errors import BucketUnusable
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.lease import Lease
from tests.kit import Kit, Zone
from tests.servers.api import Api
from tests.test_status import FIELDS, ORDER, STREAMS

PATHS = StreamPaths("shop", "orders")


@pytest.fixture
def shop(kit: Kit, api: Api, use: Callable[[Api], None]) -> Kit:
    use(api)
    api.set_rows("orders", api.rows()[:20])
    kit.add_source("shop", STREAMS)
    kit.configure("shop", "orders", fields=FIELDS, cursor_field=["updated_at"])
    return kit


def status(kit: Kit, code: int, stream: str = "orders") -> dict[str, Any]:
    done = kit.landing("status", "shop", "--json")
    assert done.code == code, done.text
    return next(dict(one) for one in json.loads(done.out) if one["stream"] == stream)


def records(zone: Zone, stream: str = "orders") -> list[dict[str, Any]]:
    paths = zone.paths(StreamPaths("shop", stream).failed_runs)
    return [json.loads(zone.read(path)) for path in paths]


def test_a_failing_stream_is_shown_until_a_run_of_it_lands(shop: Kit, api: Api, zone: Zone) -> None:
    assert shop.run("shop", "orders").code == 0
    assert records(zone) == []
    data = zone.parts("shop", "orders")

    for _ in range(2):
        api.fail_next(status=401)
        assert shop.run("shop", "orders").code == 1
    assert zone.parts("shop", "orders") == data, "no reader meets a record"
    found = status(shop, 1)
    assert found["status"] == "failing"
    assert found["last_failure"]["error"] == "ApiError"
    assert "answered 401" in found["last_failure"]["message"]
    told = shop.landing("status")
    assert "shop/orders: the last run failed at " in told.out
    assert "→ `landing env shop` lists the source's variables" in told.out
    assert "`landing run shop orders` tries again" in " ".join(told.out.split())

    history = shop.landing("history", "shop", "orders")
    assert history.out.count(" UTC  failed after ") == 2
    assert "    ApiError: stream 'shop/orders': GET " in history.out
    newest, second, load = json.loads(shop.landing("history", "shop", "orders", "--json").out)
    assert [one["kind"] for one in (newest, second, load)] == ["failed", "failed", "run"]
    assert newest["message"] == found["last_failure"]["message"]
    assert load["error"] is None
    one = json.loads(shop.landing("history", "shop", "orders", "--json", "--limit", "1").out)
    assert one == [newest]

    assert shop.run("shop", "orders").code == 0
    assert status(shop, 0)["status"] == "ok"
    assert status(shop, 0)["last_failure"] is None
    assert len(records(zone)) == 2


def test_a_stream_that_never_landed_is_failing_and_its_record_has_its_progress(
    shop: Kit, api: Api, folder_zone: Zone
) -> None:
    api.set_rows("orders", [{**ORDER, "id": number} for number in range(6_100)])
    api.fail_next(status=401, after=12)
    assert shop.run("shop", "orders").code == 1
    (record,) = records(folder_zone)
    assert record["read"] >= 5_000
    assert record["published"] == 0
    assert len(record["load_ids"]) == 1
    assert record["started"] < record["finished"]
    assert record["state"] is None
    assert status(shop, 1)["status"] == "failing"
    assert f", {record['read']:,} records read\n" in shop.landing("history", "shop", "orders").out


def test_the_newest_records_are_kept(
    shop: Kit, api: Api, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("landing.zone.failure_log.KEPT", 2)
    for status_code in (401, 403, 404, 410):
        api.fail_next(status=status_code)
        assert shop.run("shop", "orders").code == 1
    told = [record["message"] for record in records(zone)]
    assert len(told) == 2
    assert "answered 404" in told[0]
    assert "answered 410" in told[1]


def test_clocks_that_differ_by_hours_change_nothing(shop: Kit, api: Api, folder_zone: Zone) -> None:
    assert shop.run("shop", "orders").code == 0
    with time_machine.travel(datetime.now(UTC) - timedelta(hours=5)):
        api.fail_next(status=401)
        assert shop.run("shop", "orders").code == 1
    assert status(shop, 1)["status"] == "failing"
    assert shop.run("shop", "orders").code == 0
    assert status(shop, 0)["status"] == "ok"


def test_no_secret_is_in_a_record(
    shop: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "s3cr3t-of-the-shop")
    broken = 'raise RuntimeError("no " + os.environ["SHOP_TOKEN"])\n    api = '
    (shop.root / "dlt" / "sources" / "shop" / "streams.py").write_text(
        STREAMS.replace("api = ", broken, 1)
    )
    assert shop.run("shop", "orders").code == 1
    (path,) = folder_zone.paths(PATHS.failed_runs)
    text = folder_zone.read(path).decode()
    assert "RuntimeError: no ***" in text
    assert "s3cr3t" not in text


def test_what_keeps_all_streams_from_running_is_recorded_of_each_that_was_meant(
    shop: Kit, folder_zone: Zone
) -> None:
    shop.configure("shop", "left_out", fields=FIELDS, selected=False)
    shop.configure("shop", "returns", fields=FIELDS)
    file = shop.root / "dlt" / "sources" / "shop" / "streams.py"
    file.write_text("import nothing_of_that_name\n" + STREAMS)
    assert shop.run("shop", "--all").code == 2
    assert [len(records(folder_zone, name)) for name in ("orders", "returns", "left_out")] == [
        1,
        1,
        0,
    ]
    found = status(shop, 1)
    assert found["status"] == "failing"
    assert found["problems"][0]["remedy"].startswith("`landing doctor shop`")
    assert found["last_failure"]["error"] == "SourceError"


@pytest.mark.parametrize("words", [["order"], [], ["orders", "--all"]])
def test_a_word_that_is_wrong_is_no_failed_run(
    shop: Kit, folder_zone: Zone, words: list[str]
) -> None:
    assert shop.run("shop", *words).code == 2
    assert folder_zone.paths() == []


def test_a_run_that_another_one_keeps_out_is_no_failed_run(shop: Kit, folder_zone: Zone) -> None:
    with Lease(Bucket(bucket_settings(Workspace(shop.root))), PATHS.lease, "shop/orders"):
        assert shop.run("shop", "orders").code == 3
    assert records(folder_zone) == []


def test_more_rejected_rows_than_the_limit_are_reported_once(
    shop: Kit, api: Api, folder_zone: Zone
) -> None:
    shop.configure("shop", "orders", fields=FIELDS, cursor_field=["updated_at"], quarantine_limit=0)
    api.add("orders", {**ORDER, "id": "A-17"})
    assert shop.run("shop", "orders").code == 1
    assert [problem["kind"] for problem in status(shop, 1)["problems"]] == ["failed"]
    api.fail_next(status=401)
    assert shop.run("shop", "orders").code == 1
    kinds = [problem["kind"] for problem in status(shop, 1)["problems"]]
    assert kinds == ["failed", "failing"], "the API's refusal came after the misfits"


def test_a_bucket_that_takes_no_record_does_not_hide_what_failed(
    shop: Kit, api: Api, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Bucket.put

    def refused(bucket: Bucket, path: str, content: Any) -> None:
        if "/failures/" in path:
            raise BucketUnusable("the bucket refuses to write")
        put(bucket, path, content)

    monkeypatch.setattr(Bucket, "put", refused)
    api.fail_next(status=401)
    done = shop.run("shop", "orders")
    assert done.code == 1
    assert "answered 401" in done.err
    assert "the failure was not recorded in the bucket: the bucket refuses to write" in done.out
    obstore.put(zone.store, "probe", b"")
    assert zone.paths_but_released() == ["probe"]
