"""A source function that can't be called does not keep the streams of the others from running."""

from __future__ import annotations

import pytest

from tests.kit import Kit, Zone

STREAMS = """\
import dlt

def made(name):
    return dlt.resource([{"id": 1}], name=name, primary_key="id")

@dlt.source
def whole():
    return made("whole_rows")

@dlt.source
def tenants(tenant):
    return made("others")

@dlt.source
def keyed(api_key: str = dlt.secrets.value):
    return made("others")

@dlt.resource(primary_key="id")
def direct():
    yield [{"id": 1}]
"""
BROKEN = {
    "tenants": ("streams", "missing 1 required positional argument: 'tenant'"),
    "keyed": ("streams", "`api_key`"),
    "elsewhere": ("library", "missing 1 required positional argument: 'address'"),
}
LIBRARY = """\
import dlt

@dlt.source
def elsewhere(address):
    return dlt.resource([{"id": 1}], name="others")
"""


def shop(kit: Kit, broken: str, *streams: str) -> str:
    """The error of the function that can't be called."""
    module, missing = BROKEN[broken]
    init = f"from .streams import direct, whole\nfrom .{module} import {broken}\n"
    folder = kit.add_source("shop", STREAMS, init=init)
    (folder / "library.py").write_text(LIBRARY)
    for stream in streams:
        kit.configure("shop", stream, fields={"id": {"type": "integer"}})
    return missing


def assert_named(text: str, broken: str, missing: str) -> None:
    assert f"source function 'shop.{broken}'" in text
    assert missing in text
    assert f"leave '{broken}' out of __all__ in orchestration/dlt/sources/shop/__init__.py" in text


@pytest.mark.parametrize("broken", BROKEN)
def test_streams_of_the_other_functions_run(kit: Kit, folder_zone: Zone, broken: str) -> None:
    missing = shop(kit, broken, "whole_rows", "direct", "others")
    done = kit.run("shop", "--all")
    assert done.code != 0
    assert_named(done.err, broken, missing)
    assert folder_zone.count("shop", "whole_rows") == folder_zone.count("shop", "direct") == 1
    alone = kit.run("shop", "whole_rows")
    assert alone.code == 0, alone.text


def test_a_stream_of_the_function_names_it(kit: Kit, folder_zone: Zone) -> None:
    missing = shop(kit, "tenants", "others")
    done = kit.run("shop", "others")
    assert done.code == 1
    assert_named(done.err, "tenants", missing)


def test_discovery_writes_the_others_and_fails(kit: Kit) -> None:
    missing = shop(kit, "keyed")
    known = kit.discovered_file("shop", "others")
    known.parent.mkdir(parents=True)
    known.write_text('{"stream": "others", "fields": {"id": {"type": "integer"}}}')
    done = kit.discover("shop")
    assert done.code == 1
    assert_named(done.err, "keyed", missing)
    assert kit.discovered_file("shop", "whole_rows").is_file()
    assert "gone" not in done.text, "the function that failed may have it"


def test_check_tests_the_others_and_fails(kit: Kit, folder_zone: Zone) -> None:
    missing = shop(kit, "tenants", "whole_rows")
    done = kit.landing("check", "shop")
    assert done.code == 1
    assert_named(done.out, "tenants", missing)
    assert "shop/whole_rows" in done.out


def test_what_all_leaves_out_is_not_called(kit: Kit, folder_zone: Zone) -> None:
    shop(kit, "tenants", "whole_rows")
    init = kit.root / "dlt" / "sources" / "shop" / "__init__.py"
    init.write_text(init.read_text() + "\n__all__ = ['direct', 'whole']\n")
    done = kit.landing("check", "shop")
    assert done.code == 0, done.text
