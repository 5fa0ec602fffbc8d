"""A renewal of a lease that arrives after its process has given it up."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from demo.servers import S3Server
from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.errors import BucketError, LeaseHeld
from landing.zone import lease as lease_module
from landing.zone import object_store as stores
from landing.zone.bucket import Bucket
from landing.zone.lease import Lease
from tests.kit import Kit, Zone
from tests.servers.proxy import Exchange, Request, passed_on, serve_proxy


def is_put(request: Request) -> bool:
    return request.method == "PUT"


@pytest.mark.parametrize("is_taken", [False, True])
def test_a_late_renewal_of_one_s_own_is_no_other_run(
    kit: Kit, zone: Zone, s3: S3Server, monkeypatch: pytest.MonkeyPatch, is_taken: bool
) -> None:
    monkeypatch.setattr(stores, "SMALL_WITHIN", timedelta(seconds=0.5))
    monkeypatch.setattr(lease_module, "RENEWED_EVERY", timedelta(hours=1))
    held: list[Request] = []

    def hangs(exchange: Exchange) -> None:
        held.append(exchange.request)
        exchange.await_patience(60)

    def after_it(exchange: Exchange) -> None:
        request, exchange.request = exchange.request, held.pop()
        exchange.forward()
        exchange.request = request
        passed_on(exchange)

    with serve_proxy(s3.endpoint) as proxy:
        monkeypatch.setenv("S3_ENDPOINT", proxy.endpoint)
        bucket = Bucket(bucket_settings(Workspace(kit.root)))
        with Lease(bucket, "_dlt/a/b/lease.json", "a/b") as own:
            proxy.spoil(hangs, when=is_put)
            with pytest.raises(BucketError):
                own.confirm()
            if is_taken:
                bucket.put("_dlt/a/b/lease.json", b'{"token": "somebody else"}')
            late = proxy.spoil(after_it, when=is_put)
            if is_taken:
                with pytest.raises(LeaseHeld, match="lost its lease"):
                    own.confirm()
            else:
                own.confirm()
                time.sleep(0.1)
                own.confirm()
            assert late.hits == 1
