"""OpenLineage events, as a collector gets them."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pyarrow.parquet as pq
import pytest
from openlineage.client import event_v2, facet_v2
from openlineage.client.facet_v2 import (
    column_lineage_dataset,
    datasource_dataset,
    documentation_job,
    error_message_run,
    job_type_job,
    nominal_time_run,
    output_statistics_output_dataset,
    parent_run,
    processing_engine_run,
    schema_dataset,
    source_code_location_job,
    storage_dataset,
    tags_run,
)

from landing import events
from landing.catalog.workspace import Workspace
from landing.errors import LandingError
from landing.observe import observers
from landing.observe.parent_run import ParentRun
from tests.kit import Kit, Zone
from tests.servers.api import Api
from tests.test_observability import STREAMS, Received, receiving

FIELDS: dict[str, Any] = {
    "id": {"type": "integer", "description": "of the order"},
    "updated_at": {"type": "string", "format": "date-time"},
    "name": {"type": "string", "privacy": "hash"},
    "note": {"type": "string", "privacy": "drop"},
}
FACETS = {
    "columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet,
    "dataSource": datasource_dataset.DatasourceDatasetFacet,
    "documentation": documentation_job.DocumentationJobFacet,
    "errorMessage": error_message_run.ErrorMessageRunFacet,
    "jobType": job_type_job.JobTypeJobFacet,
    "nominalTime": nominal_time_run.NominalTimeRunFacet,
    "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
    "parent": parent_run.ParentRunFacet,
    "processing_engine": processing_engine_run.ProcessingEngineRunFacet,
    "schema": schema_dataset.SchemaDatasetFacet,
    "sourceCodeLocation": source_code_location_job.SourceCodeLocationJobFacet,
    "storage": storage_dataset.StorageDatasetFacet,
    "tags": tags_run.TagsRunFacet,
}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Any:
    with receiving() as received:
        received.answer = 201
        monkeypatch.setenv("OPENLINEAGE_URL", received.url)
        monkeypatch.setenv("OPENLINEAGE_API_KEY", "key-of-the-collector")
        yield received


@pytest.fixture
def shop(kit: Kit, api: Api, use: Callable[[Api], None], monkeypatch: pytest.MonkeyPatch) -> Kit:
    use(api)
    monkeypatch.setenv("LANDING_PRIVACY_KEY", "k" * 40)
    kit.add_source("shop", STREAMS)
    kit.configure(
        "shop",
        "orders",
        description="All orders",
        fields=FIELDS,
        cursor_field=["updated_at"],
        schedule="0 * * * *",
    )
    kit.configure("shop", "broken", fields={"id": {"type": "integer"}})
    return kit


def received(collector: Received) -> list[dict[str, Any]]:
    """Each is valid by the client's own classes, which refuse unknown keys and wrong values."""
    found = [json.loads(body) for body in collector.at("/api/v1/lineage")]
    for event in found:
        run, job = event["run"], event["job"]
        event_v2.RunEvent(
            eventTime=event["eventTime"],
            producer=event["producer"],
            eventType=event_v2.RunState(event["eventType"]),
            run=event_v2.Run(run["runId"]),
            job=event_v2.Job(job["namespace"], job["name"]),
        )
        assert urlsplit(event["producer"]).scheme
        of_datasets = [
            facets
            for dataset in (*event["inputs"], *event["outputs"])
            for facets in (dataset["facets"], dataset.get("outputFacets", {}))
        ]
        for facets in (run["facets"], job["facets"], *of_datasets):
            for name, facet in facets.items():
                own = {key: value for key, value in facet.items() if not key.startswith("_")}
                made = FACETS[name](**own)
                assert isinstance(made, facet_v2.BaseFacet)
                assert facet["_schemaURL"] == FACETS[name]._get_schema()
    return found


def of_job(found: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event for event in found if event["job"]["name"] == name]


def test_a_run_of_a_source_is_the_parent_of_those_of_its_streams(
    shop: Kit, api: Api, zone: Zone, collector: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "nightly")
    outer = f"airflow://prod/nightly.land/{UUID(int=7)}"
    monkeypatch.setenv("OPENLINEAGE_PARENT_ID", outer)
    before = dict(os.environ)
    done = shop.run("shop", "--all")
    assert done.code == 1
    assert dict(os.environ) == before
    assert {head["Authorization"] for head in collector.headers} == {"Bearer key-of-the-collector"}
    found = received(collector)
    assert {event["job"]["namespace"] for event in found} == {"nightly"}
    whole = of_job(found, "shop")
    assert [event["eventType"] for event in whole] == ["START", "FAIL"]
    assert whole[0]["run"]["facets"]["parent"]["job"] == {
        "namespace": "airflow://prod",
        "name": "nightly.land",
        "facets": {},
    }
    for name, ended in (("shop.orders", "COMPLETE"), ("shop.broken", "FAIL")):
        of = of_job(found, name)
        assert [event["eventType"] for event in of] == ["START", ended]
        assert len({event["run"]["runId"] for event in of}) == 1
        for event in of:
            parent = event["run"]["facets"]["parent"]
            assert parent["run"]["runId"] == whole[0]["run"]["runId"]
            assert parent["root"]["run"]["runId"] == str(UUID(int=7))

    failed = of_job(found, "shop.broken")[1]["run"]["facets"]["errorMessage"]
    assert failed["message"].startswith("StreamError: stream 'shop/broken'")
    told = json.dumps(found)
    assert not [one for one in (api.token, "pass-word", "key-of-the-collector") if one in told]


def test_a_run_that_landed_names_its_data_and_columns(
    shop: Kit, api: Api, zone: Zone, collector: Received
) -> None:
    assert shop.run("shop", "orders").code == 0
    start, complete = of_job(received(collector), "shop.orders")
    assert start["outputs"][0]["name"] == complete["outputs"][0]["name"]
    assert complete["job"]["facets"]["documentation"]["description"] == "All orders"
    nominal = complete["run"]["facets"]["nominalTime"]
    assert nominal["nominalStartTime"] < complete["eventTime"] < nominal["nominalEndTime"]

    (read,), (landed,) = complete["inputs"], complete["outputs"]
    assert (read["namespace"], read["name"]) == (api.url, "orders")
    bucket, _, prefix = os.environ["DLT_BUCKET_URL"].removeprefix("s3://").partition("/")
    assert (landed["namespace"], landed["name"]) == (f"s3://{bucket}", f"{prefix}/shop/orders")
    parts = zone.parts("shop", "orders")
    assert (
        landed["outputFacets"]["outputStatistics"].items()
        >= {
            "rowCount": len(api.rows()),
            "fileCount": len(parts),
            "size": sum(len(zone.read(path)) for path in parts),
        }.items()
    )
    columns = {one["name"]: one["type"] for one in landed["facets"]["schema"]["fields"]}
    schema = pq.read_schema(io.BytesIO(zone.read(parts[0])))
    assert columns == {field.name: str(field.type) for field in schema}
    lineage = landed["facets"]["columnLineage"]
    assert set(lineage["fields"]) == {"id", "updated_at", "name"}, "a dropped field has no column"
    how = {
        name: of["inputFields"][0]["transformations"][0] for name, of in lineage["fields"].items()
    }
    assert how["id"] == {"type": "DIRECT", "subtype": "IDENTITY", "masking": False}
    assert (how["name"]["subtype"], how["name"]["masking"]) == ("TRANSFORMATION", True)
    assert (
        lineage["fields"]["id"]["inputFields"][0].items()
        >= {
            "namespace": api.url,
            "name": "orders",
            "field": "id",
        }.items()
    )
    (filtered,) = lineage["dataset"]
    assert (filtered["field"], filtered["transformations"][0]["subtype"]) == (
        "updated_at",
        "FILTER",
    )


def test_the_source_code_is_named_without_the_password_of_its_remote(
    shop: Kit, folder_zone: Zone, collector: Received
) -> None:
    for words in (
        ("init", "--quiet", "--initial-branch", "main"),
        ("remote", "add", "origin", "https://me:t0k3n-of-git@example.com/lake.git"),
    ):
        subprocess.run(["git", "-C", str(shop.repository), *words], check=True)
    assert shop.run("shop", "orders").code == 0
    facet = received(collector)[-1]["job"]["facets"]["sourceCodeLocation"]
    assert facet["url"] == "https://example.com/lake.git"
    assert facet["path"] == "orchestration/dlt/sources/shop"
    assert facet["branch"] == "main"


def test_an_interrupted_run_and_one_within_dagster(
    shop: Kit, folder_zone: Zone, collector: Received
) -> None:
    for parent in (None, ParentRun("every_night", str(UUID(int=9)))):
        collector.bodies.clear()
        emit = events.FanOut(
            observers(Workspace(shop.root), "shop", None, late=None, parent=parent)
        )
        emit(events.StreamStarted("orders", "shop", "incremental", None, None))
        emit(events.LoadPublished("orders", 12, None))
        emit(events.RunEnded())
        found = received(collector)
        aborted = of_job(found, "shop.orders")[-1]
        assert aborted["eventType"] == "ABORT"
        assert aborted["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 12
        of = aborted["run"]["facets"]["parent"]
        assert of["job"]["name"] == ("shop" if parent is None else "every_night")
        whole = [event["eventType"] for event in of_job(found, "shop")]
        assert whole == (["START", "ABORT"] if parent is None else [])


def test_a_run_that_could_not_begin_fails(
    shop: Kit, folder_zone: Zone, collector: Received
) -> None:
    shop.configure("shop", "orders", "{")
    assert shop.run("shop", "orders").code == 2
    start, fail = received(collector)
    assert (start["eventType"], fail["eventType"]) == ("START", "FAIL")
    assert "orders.json" in fail["run"]["facets"]["errorMessage"]["message"]


@pytest.mark.parametrize("has_failed", [False, True])
def test_a_silent_collector_delays_the_end_of_a_run_by_less_than_a_second(
    shop: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, has_failed: bool
) -> None:
    warnings: list[str] = []

    def person(event: events.Event) -> None:
        if isinstance(event, events.RunWarning):
            warnings.append(event.text)

    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("OPENLINEAGE_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        emit = events.FanOut([*observers(Workspace(shop.root), "shop", None, late=None), person])
        if has_failed:
            emit(events.StreamFailed("orders", LandingError("no luck")))
        begun = time.monotonic()
        emit(events.RunEnded())
        assert time.monotonic() - begun < 5
    assert warnings == ["OpenLineage: gave up after 0.9 s"]


def test_the_clients_own_file_configures_it_and_its_absence_is_named_only_if_a_url_is_set(
    shop: Kit, folder_zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, file = tmp_path / "lineage.jsonl", tmp_path / "openlineage.yml"
    file.write_text(f"transport: {{type: file, log_file_path: {log}, append: true}}")
    monkeypatch.setenv("OPENLINEAGE_CONFIG", str(file))
    assert shop.run("shop", "orders").code == 0
    states = [json.loads(line)["eventType"] for line in log.read_text().splitlines()]
    assert states == ["START", "START", "COMPLETE", "COMPLETE"]
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    assert shop.run("shop", "orders").code == 0
    assert len(log.read_text().splitlines()) == 4

    monkeypatch.delenv("OPENLINEAGE_DISABLED")
    file.write_text("transport: {type: http, url: nowhere}")
    wrong = shop.run("shop", "orders")
    assert wrong.code == 2
    assert "OpenLineage: the client can't be set up (ValueError: Need valid url" in wrong.err
    monkeypatch.setattr("landing.observe.parent_run.find_spec", lambda name: None)
    assert shop.run("shop", "orders").code == 0, "the file may be another program's"
    monkeypatch.delitem(sys.modules, "landing.observe.lineage", raising=False)
    monkeypatch.setitem(sys.modules, "openlineage.client", None)
    monkeypatch.setenv("OPENLINEAGE_URL", "http://127.0.0.1:9")
    missing = shop.run("shop", "orders")
    assert missing.code == 2
    assert "OPENLINEAGE_URL needs openlineage.client, which " in missing.err
    assert "pip install 'dlt-landing[lineage]'" in missing.err


def test_a_parent_that_is_none_is_named(
    shop: Kit, collector: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE_PARENT_ID", "airflow/nightly/7")
    wrong = shop.run("shop", "orders")
    assert wrong.code == 2
    assert "OPENLINEAGE_PARENT_ID is 'airflow/nightly/7': it has to be namespace/job/" in wrong.err


@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("s3://lake/raw/shop/orders", ("s3://lake", "raw/shop/orders")),
        ("gs://lake/shop/orders", ("gs://lake", "shop/orders")),
        ("az://lake/raw/a", ("abfss://lake@acme.dfs.core.windows.net", "raw/a")),
        (
            "abfss://lake@acme.dfs.core.windows.net/raw/a",
            ("abfss://lake@acme.dfs.core.windows.net", "raw/a"),
        ),
        ("file:///srv/the%20lake/shop/orders", ("file", "/srv/the lake/shop/orders")),
    ],
)
def test_data_sets_are_named_as_the_specification_says(
    location: str, named: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from landing.observe.lineage_facets import _names

    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "acme")
    assert _names(location) == named
