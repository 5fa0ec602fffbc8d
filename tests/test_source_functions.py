"""Packages with several `@dlt.source` functions, of which some can't be called."""

from __future__ import annotations

import pytest

from tests.kit import Kit, Zone

STREAMS = """
import dlt

@dlt.source
def shop():
    return dlt.resource([{"id": 1}], name="orders", primary_key="id")

@dlt.source
def warehouse(key: str = dlt.secrets.value):
    return dlt.resource([{"id": key}], name="items", primary_key="id")

@dlt.source
def office(base):
    return dlt.resource([{"id": base}], name="people", primary_key="id")
"""
FIELDS = {"id": {"type": "integer"}}


@pytest.mark.parametrize(
    ("names", "function", "lacks"),
    [
        (["shop", "warehouse"], "warehouse", "`key`"),
        (["office", "shop"], "office", "missing 1 required positional argument: 'base'"),
    ],
)
def test_a_function_that_fails_keeps_no_stream_of_another_out(
    kit: Kit, folder_zone: Zone, names: list[str], function: str, lacks: str
) -> None:
    kit.add_source("shop", STREAMS, init=f"from .streams import *\n__all__ = {names}\n")
    kit.configure("shop", "orders", fields=FIELDS)
    done = kit.run("shop", "orders")
    assert done.code == 0, done.text
    assert folder_zone.count("shop", "orders") == 1
    all_of_them = kit.discover("shop")
    assert all_of_them.code != 0
    for part in (f"source function 'shop.{function}'", lacks, "__all__", "__init__.py"):
        assert part in all_of_them.err, all_of_them.err
    assert kit.discover("shop", "orders").code == 0


def test_a_function_imported_from_elsewhere_keeps_none_out(kit: Kit, folder_zone: Zone) -> None:
    init = "from dlt.sources.rest_api import rest_api\nfrom .streams import shop\n"
    kit.add_source("shop", STREAMS, init=init)
    kit.configure("shop", "orders", fields=FIELDS)
    assert kit.run("shop", "orders").code == 0
    done = kit.discover("shop")
    assert "'shop.rest_api'" in done.err
    assert "__all__" in done.err
