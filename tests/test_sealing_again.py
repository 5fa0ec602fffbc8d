"""A process that dies while it seals a load leaves it to the next one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from landing.zone.bucket import Bucket
from landing.zone.sealing import seals
from tests.kit import Zone
from tests.test_sealing import COLUMNS, PATHS, bucket, expired, landed, lease_of, load_of, table_at

__all__ = ["bucket", "landed"]


class Died(BaseException):
    pass


@pytest.mark.parametrize("there", [0, 2])
@pytest.mark.parametrize("is_recorded", [False, True])
def test_a_load_is_sealed_once_also_if_that_took_two_processes(
    bucket: Bucket,
    landed: Zone,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    there: int,
    is_recorded: bool,
) -> None:
    put = bucket.put

    def dies(path: str, content: Any) -> None:
        if path.startswith(PATHS.seals):
            if is_recorded:
                put(path, content)
            raise Died
        put(path, content)

    with lease_of(bucket) as stopped:
        load = load_of(bucket, stopped, tmp_path)
        assert load.load_id is not None
        stopped.publishing(load.load_id, COLUMNS)
        for number in range(there):
            load._put_part(PATHS.part(load.load_id, number), load.parts[number])
        with expired(monkeypatch):
            with monkeypatch.context() as within:
                within.setattr(bucket, "put", dies)
                with pytest.raises(Died):
                    lease_of(bucket).__enter__()
            with lease_of(bucket):
                pass
    seal = PATHS.part(load.load_id, there)
    assert landed.parts("shop", "orders")[there:] == [seal]
    assert table_at(landed, seal).num_rows == 0
    assert [one.path for one in seals(bucket, PATHS)] == [seal]
