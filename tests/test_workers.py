"""Several streams side by side, and what ends a run of them."""

from __future__ import annotations

import json
import signal
import time

import pytest

from tests.kit import Kit, Zone

STREAMS = """\
import time
import dlt

def _make(number):
    @dlt.resource(name=f"s{number}", primary_key="id")
    def stream():
        for page in range(PAGES):
            time.sleep(0.05)
            yield [{"id": page * 100 + row, "n": number} for row in range(100)]
    return stream

streams = [_make(number) for number in range(COUNT)]
globals().update({f"s{number}": stream for number, stream in enumerate(streams)})
__all__ = [f"s{number}" for number in range(COUNT)]
"""
FIELDS = {"id": {"type": "integer"}, "n": {"type": "integer"}}


def add(kit: Kit, count: int, pages: int) -> None:
    text = STREAMS.replace("COUNT", str(count)).replace("PAGES", str(pages))
    kit.add_source("many", text)
    for number in range(count):
        kit.configure("many", f"s{number}", fields=FIELDS)


def test_each_stream_lands_its_own_rows_in_the_order_of_their_names(kit: Kit, zone: Zone) -> None:
    add(kit, count=6, pages=10)
    done = kit.run("many", "--all", "--workers", "6")
    assert done.code == 0, done.text
    names = [line.split(":")[0] for line in done.out.splitlines()]
    assert names == [f"many/s{number}" for number in range(6)]
    for number in range(6):
        found = zone.query("many", f"s{number}", "SELECT count(*), min(n), max(n) FROM landed")
        assert found == [(1_000, number, number)]


def test_streams_that_wait_for_their_api_wait_at_the_same_time(kit: Kit, folder_zone: Zone) -> None:
    streams = "import threading\nmeeting = threading.Barrier(4, timeout=60)\n" + STREAMS
    kit.add_source(
        "many",
        streams.replace("COUNT", "4")
        .replace("PAGES", "1")
        .replace("time.sleep(0.05)", "meeting.wait()"),
    )
    for number in range(4):
        kit.configure("many", f"s{number}", fields=FIELDS)
    done = kit.run("many", "--all", "--workers", "4")
    assert done.code == 0, done.text


def test_streams_with_one_parent_do_not_meet(kit: Kit, folder_zone: Zone) -> None:
    kit.add_source(
        "family",
        "import dlt\n"
        "@dlt.resource(primary_key='id')\n"
        "def orders(at: dlt.sources.incremental[int] = dlt.sources.incremental('id')):\n"
        "    for page in range(20):\n"
        "        yield [{'id': page * 10 + n} for n in range(10)]\n"
        "@dlt.transformer(data_from=orders)\n"
        "def lines(orders):\n    yield [{'id': o['id'], 'line': 1} for o in orders]\n"
        "@dlt.transformer(data_from=orders)\n"
        "def notes(orders):\n    yield [{'id': o['id'], 'line': 2} for o in orders]\n",
    )
    for stream in ("orders", "lines", "notes"):
        kit.configure("family", stream, fields={"id": {"type": "integer"}})
    done = kit.run("family", "--all", "--workers", "3")
    assert done.code == 0, done.text
    landed = [line.split(" in ")[0] for line in done.out.splitlines() if " in 1 file" in line]
    assert landed == [
        "family/lines: 200 rows",
        "family/notes: 200 rows",
        "family/orders: 200 rows",
    ]


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupted_run_gives_every_lease_back(
    kit: Kit, zone: Zone, sent: signal.Signals, code: int
) -> None:
    add(kit, count=3, pages=2_000)
    process = kit.start("pipeline.py", "many", "--all")
    leases = [f"_dlt/many/s{number}/lease.json" for number in range(3)]
    deadline = time.monotonic() + 60
    while not set(leases) <= set(zone.paths("_dlt")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(sent)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert "interrupted" in err
    assert "Traceback" not in err
    assert zone.paths_but_failures() == leases
    assert all(zone.is_released("many", f"s{number}") for number in range(3))


def test_an_api_whose_paging_does_not_move_is_no_endless_run(kit: Kit, folder_zone: Zone) -> None:
    kit.add_source(
        "loop",
        "import dlt\n"
        "@dlt.resource(primary_key='id')\n"
        "def rows():\n"
        "    page = 0\n"
        "    while True:\n"
        "        page = (page + 1) % 3\n"
        "        yield [{'id': page * 100 + n} for n in range(100)]\n",
    )
    kit.configure("loop", "rows", primary_key=[["id"]], fields={"id": {"type": "integer"}})
    done = kit.run("loop", "rows")
    assert done.code == 1
    assert "stream 'loop/rows': the API returned the same page of 100 records 100 times" in done.err
    assert folder_zone.parts("loop", "rows") == []


def test_equal_pages_of_a_stream_without_a_key_are_rows(kit: Kit, folder_zone: Zone) -> None:
    kit.add_source(
        "pings",
        "import dlt\n"
        "@dlt.resource\n"
        "def rows():\n"
        "    for _ in range(1_000):\n"
        "        yield [{'id': 1}, {'id': 2}]\n",
    )
    kit.configure("pings", "rows", fields={"id": {"type": "integer"}})
    assert "2,000 rows" in kit.run("pings", "rows").out


def test_the_number_of_workers_is_a_number(kit: Kit, folder_zone: Zone) -> None:
    done = kit.run("many", "--all", "--workers", "0")
    assert done.code == 2
    assert "--workers: '0' is not a whole number above 0" in done.err


def test_a_page_as_bytes_that_comes_for_ever(kit: Kit, folder_zone: Zone) -> None:
    body = json.dumps([{"id": n} for n in range(3)])
    kit.add_source(
        "bytes",
        "import dlt\nfrom landing.http import JsonPage\n"
        "@dlt.resource(primary_key='id')\n"
        f"def rows():\n    while True:\n        yield JsonPage({body.encode()!r})\n",
    )
    kit.configure("bytes", "rows", primary_key=[["id"]], fields={"id": {"type": "integer"}})
    assert "the same page of 3 records 100 times" in kit.run("bytes", "rows").err


def test_one_record_for_ever_is_no_endless_run_either(kit: Kit, folder_zone: Zone) -> None:
    kit.add_source(
        "last",
        "import dlt\n@dlt.resource(primary_key='id')\n"
        "def rows():\n    while True:\n        yield [{'id': 7}]\n",
    )
    kit.configure("last", "rows", primary_key=[["id"]], fields={"id": {"type": "integer"}})
    assert "the API returned the same record 10,000 times" in kit.run("last", "rows").err


def test_pages_that_differ_only_in_their_middle_are_no_loop(kit: Kit, folder_zone: Zone) -> None:
    kit.add_source(
        "wrapped",
        "import json, dlt\nfrom landing.http import JsonPage\n"
        "@dlt.resource(primary_key='id')\n"
        "def rows():\n"
        "    for page in range(150):\n"
        "        data = [{'id': page * 10 + n} for n in range(10)]\n"
        "        body = {'before': 'x' * 5000, 'data': data, 'after': 'y' * 5000}\n"
        "        yield JsonPage(json.dumps(body).encode(), 'data')\n",
    )
    kit.configure("wrapped", "rows", primary_key=[["id"]], fields={"id": {"type": "integer"}})
    assert "1,500 rows" in kit.run("wrapped", "rows").out


def test_a_termination_does_not_wait_for_requests_under_way(kit: Kit, folder_zone: Zone) -> None:
    kit.add_source(
        "stuck",
        "import time, dlt\nfrom landing.http import in_flight\n"
        "@dlt.resource\n"
        "def rows():\n"
        "    yield from in_flight(lambda n: time.sleep(60), range(8))\n",
    )
    kit.configure("stuck", "rows", fields={"id": {"type": "integer"}})
    process = kit.start("pipeline.py", "stuck", "rows")
    while not folder_zone.paths("_dlt"):
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    _, err = process.communicate(timeout=50)
    assert process.returncode == 143
    assert "interrupted" in err
    assert time.monotonic() - began < 20
    assert folder_zone.paths_but_released() == []
