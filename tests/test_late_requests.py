"""A request of a process that had stopped arrives late, and takes nothing from the next one."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest

from demo.servers import S3Server
from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.zone import lease as lease_module
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.lease import Lease
from tests.kit import Kit, Zone
from tests.servers.proxy import Request, late, serve_proxy
from torture.any_request import CAUSES, MOMENTS, any_request
from torture.stopped_operations import OPERATIONS, stopped_operations

PATHS = StreamPaths("shop", "orders")


@pytest.fixture
def bucket(kit: Kit, zone: Zone) -> Bucket:
    return Bucket(bucket_settings(Workspace(kit.root)))


def _releases(request: Request) -> bool:
    return request.method == "PUT" and b'"released": true' in request.body


def test_a_release_that_arrives_late_leaves_the_lease_of_the_next_run(
    kit: Kit, zone: Zone, bucket: Bucket, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_arrive = threading.Event()
    with serve_proxy(s3.endpoint) as proxy:
        monkeypatch.setenv("S3_ENDPOINT", proxy.endpoint)
        slow = Bucket(bucket_settings(Workspace(kit.root)))
        stopped = Lease(slow, PATHS.lease, "shop/orders")
        stopped.__enter__()
        spoiled = proxy.spoil(late(may_arrive), when=_releases)
        releasing = threading.Thread(target=stopped.__exit__)
        releasing.start()
        while not spoiled.hits:
            releasing.join(0.01)
        monkeypatch.setattr(lease_module, "EXPIRES_AFTER", timedelta(0))
        with Lease(bucket, PATHS.lease, "shop/orders") as taken:
            may_arrive.set()
            releasing.join()
            taken.confirm()
            assert json.loads(zone.read(PATHS.lease))["token"] == taken._token
            assert not zone.is_released("shop", "orders")
    assert zone.is_released("shop", "orders")


@pytest.mark.timeout(400)
def test_a_run_may_be_stopped_at_any_request(s3: S3Server) -> None:
    section = any_request(s3, step=15)
    assert section.problems == []
    assert len(section.tallies) == len(CAUSES) * len(MOMENTS)


@pytest.mark.timeout(400)
def test_any_operation_may_lose_its_lease(s3: S3Server) -> None:
    operations = [
        one for one in OPERATIONS if "Iceberg" not in one.what and "DuckLake" not in one.what
    ]
    section = stopped_operations(s3, 1, operations)
    assert section.problems == []
    assert len(section.tallies) == sum(len(one.causes) for one in operations)
