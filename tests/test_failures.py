"""What goes wrong, and what a person is told: one sentence, no traceback, nothing lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import obstore
import pytest

from demo.servers import Identity, S3Server, datasette, free_ports, seaweedfs
from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.zone.bucket import Bucket
from tests.kit import Kit, Outcome, Zone
from tests.servers.api import Api

FIELDS = {"id": {"type": "integer"}, "updated_at": {"type": "string", "format": "date-time"}}


@pytest.fixture
def orders(kit: Kit, api: Api, use: Callable[[Api], None]) -> Kit:
    use(api)
    kit.add_founding_source()
    kit.configure("my_source", "orders", cursor_field=["updated_at"], fields=FIELDS)
    return kit


def assert_told(outcome: Outcome, *texts: str, code: int = 1) -> None:
    assert outcome.code == code, outcome.text
    assert "Traceback" not in outcome.text
    for text in texts:
        assert text in outcome.err, outcome.text


def test_a_missing_variable_is_named_with_the_file_that_documents_it(
    orders: Kit, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MY_API_KEY")
    assert_told(
        orders.run("my_source", "orders"),
        "MY_API_KEY is not set",
        "orchestration/dlt/sources/my_source/client.py",
        code=2,
    )


@pytest.mark.parametrize("name", ["S3_ENDPOINT", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"])
def test_a_blank_bucket_with_a_server_is_no_reason_to_land_in_a_folder(
    orders: Kit, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("DLT_BUCKET_URL", " ")
    monkeypatch.setenv(name, "localhost:8333")
    assert_told(
        orders.run("my_source", "orders"), f"DLT_BUCKET_URL is not set, but {name} is", code=2
    )
    assert not (orders.repository / "landing-zone").exists()


def test_what_the_paging_finds_wrong_names_the_stream(kit: Kit, folder_zone: Zone) -> None:
    error = "from landing.errors import ApiError\nimport dlt\n"
    for stream in ("orders", "items"):
        error += f"\n@dlt.resource\ndef {stream}():\n    yield [{{'id': 1}}]\n"
        error += "    raise ApiError('two pages hold the same rows')\n"
        kit.configure("shop", stream, fields={"id": {"type": "integer"}})
    kit.add_source("shop", error)
    told = kit.run("shop", "--all")
    assert_told(told, "stream 'shop/items': two pages hold the same rows", "the same for orders")
    told = kit.discover("shop")
    assert_told(told, "stream 'shop/orders': two pages hold the same rows", "the same for items")


KIT_SOURCE = """\
import os
import dlt
from landing.http import Api, Bearer

@dlt.resource
def orders():
    api = Api(os.environ["SHOP_URL"], auth=Bearer(os.environ["SHOP_TOKEN"]))
    yield from api.pages("orders")
"""


@pytest.mark.parametrize(
    ("url", "token", "told"),
    [
        ("", "secret-token", "SHOP_URL is set but empty"),
        (" ", "secret-token", "SHOP_URL is set but empty"),
        ("http://127.0.0.1:9", "", "SHOP_TOKEN is set but empty"),
        ("", "", "SHOP_TOKEN, SHOP_URL are set but empty"),
    ],
)
def test_a_variable_that_is_set_to_nothing_is_named(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, url: str, token: str, told: str
) -> None:
    folder = kit.add_source("shop", KIT_SOURCE)
    (folder / "scratch.py").write_text("not Python")  # which nothing imports
    monkeypatch.setenv("SHOP_URL", url)
    monkeypatch.setenv("SHOP_TOKEN", token)
    for verb in ("discover", "check"):
        assert_told(kit.landing(verb, "shop"), told, code=2)


def test_an_address_without_a_scheme_is_reported_with_its_variable(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.add_source("shop", KIT_SOURCE)
    monkeypatch.setenv("SHOP_URL", "me:hidden@shop.example.com/api")
    monkeypatch.setenv("SHOP_TOKEN", "secret-token")
    done = kit.landing("discover", "shop")
    assert_told(done, "'shop.example.com/api' (SHOP_URL) has to begin with https://", code=2)
    assert "hidden" not in done.text


def test_an_empty_key_of_a_plain_client_is_named(
    orders: Kit, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", "")
    done = orders.run("my_source", "orders")
    assert_told(done, "answered 401", "; MY_API_KEY is set but empty")
    monkeypatch.setenv("MY_API_URL", "")
    done = orders.run("my_source", "orders")
    assert_told(done, "MY_API_KEY, MY_API_URL are set but empty", code=2)


def test_a_wrong_key_names_stream_and_status_and_not_the_key(
    orders: Kit, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", "wrong-but-still-secret")
    done = orders.run("my_source", "orders")
    assert_told(done, "stream 'my_source/orders'", "/orders answered 401", "credentials")
    assert "wrong-but-still-secret" not in orders.run("my_source", "orders", "--debug").text


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (lambda api: api.fail_next(50, status=500, after=3), "answered 500"),
        (lambda api: api.fail_next(50, status=404, after=3), "no such endpoint"),
        (lambda api: api.fail_next(50, status=403, after=3), "lack the right"),
        (lambda api: api.rate_limit_next(50, after=3), "rate limit"),
        (lambda api: api.html_next(50, after=3), "not JSON"),
        (lambda api: api.truncate_next(50, after=3), "cut off"),
        (lambda api: api.reset_next(50, after=3), "no connection"),
    ],
)
def test_an_api_that_fails_in_mid_run_fails_the_stream_and_the_next_run_completes(
    orders: Kit, api: Api, zone: Zone, fault: Callable[[Api], None], told: str
) -> None:
    fault(api)
    assert_told(orders.run("my_source", "orders"), "stream 'my_source/orders'", told)
    assert zone.parts("my_source", "orders") == []
    api.clear_faults()
    assert orders.run("my_source", "orders").code == 0
    assert zone.count("my_source", "orders") == 2_350


def test_an_api_that_is_down(orders: Kit, zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_URL", f"http://127.0.0.1:{free_ports(1)[0]}")
    assert_told(orders.run("my_source", "orders"), "stream 'my_source/orders'", "no connection")


def test_unknown_words_are_answered_with_what_exists(orders: Kit, zone: Zone) -> None:
    assert_told(
        orders.run("my_sorce", "orders"),
        "no source 'my_sorce'",
        "did you mean 'my_source'?",
        "datasette, my_source, odoo",
        code=2,
    )
    assert_told(orders.run("my_source", "ordes"), "no stream 'ordes'", "it has: orders", code=2)
    assert_told(orders.run("../x", "orders"), "not a source name", code=2)
    assert_told(orders.run("my_source"), "name the streams", "configured", "orders", code=2)
    assert_told(orders.run("my_source", "orders", "--all"), "not both", code=2)
    assert_told(orders.run("odoo", "--all"), "has no stream configs", code=2)


def test_a_stream_without_any_file_says_how_to_get_one(orders: Kit, zone: Zone) -> None:
    orders.config_file("my_source", "orders").unlink()
    assert_told(
        orders.run("my_source", "orders"),
        "discover-source.py my_source orders",
        "dag/streams/my_source/orders.json",
        code=2,
    )


def test_one_broken_config_does_not_keep_the_others_from_their_run(orders: Kit, zone: Zone) -> None:
    orders.configure("my_source", "broken", '{"stream": "broken", "selected": true, ')
    done = orders.run("my_source", "--all")
    assert_told(done, "dag/streams/my_source/broken.json, line 1", code=2)
    assert "2,350 rows" in done.out


def test_a_missing_bucket(orders: Kit, zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLT_BUCKET_URL", "s3://nowhere/raw")
    assert_told(orders.run("my_source", "orders"), "bucket 'nowhere' does not exist")


def test_a_bucket_with_another_key(
    orders: Kit, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_SECRET_ACCESS_KEY", "not-the-secret")
    done = orders.run("my_source", "orders")
    assert_told(done, "the bucket refuses", "S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY")
    assert "not-the-secret" not in done.text


def test_a_bucket_that_may_only_be_read(
    orders: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, reader = Identity.admin(), Identity.reader()
    with seaweedfs(tmp_path / "weed", identities=[owner, reader]) as server:
        for name, value in server.env(reader).items():
            monkeypatch.setenv(name, value)
        assert_told(orders.run("my_source", "orders"), "the bucket refuses to write")


def test_a_bucket_that_does_not_answer(
    orders: Kit, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = f"127.0.0.1:{free_ports(1)[0]}"
    monkeypatch.setenv("S3_ENDPOINT", endpoint)
    assert_told(orders.run("my_source", "orders"), f"at http://{endpoint}", "could not")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("DLT_BUCKET_URL", "wasb://bucket", "has to be s3://bucket/prefix"),
        ("DLT_BUCKET_URL", "landing", "has to be s3://bucket/prefix"),
        ("DLT_BUCKET_URL", "file://relative/folder", "has to be s3://bucket/prefix"),
        ("DLT_BUCKET_URL", "s3://landing/a#b", "what follows '#' would be cut off"),
        ("DLT_BUCKET_URL", "s3://landing/raw?x=1", "what follows '?' would be cut off"),
        ("DLT_BUCKET_URL", "file:///tmp/a#b", "write it as %23"),
        ("DLT_BUCKET_URL", "file:///tmp/a?b", "write it as %3F"),
        ("DLT_BUCKET_URL", "s3://landing//raw", "an empty part"),
        ("DLT_BUCKET_URL", "s3://landing/a/../b", "an empty part, '.' or '..'"),
        ("DLT_BUCKET_URL", "s3://me:pass-phrase@landing/raw", "keys go into S3_ACCESS_KEY_ID"),
        ("DLT_BUCKET_URL", "s3://localhost:9000/raw", "a server's address into S3_ENDPOINT"),
        ("DLT_BUCKET_URL", "s3://landing/a\x1bb", "an unprintable character"),
        ("S3_ENDPOINT", "ftp://x", "S3_ENDPOINT is 'ftp://x'"),
        ("S3_SECRET_ACCESS_KEY", "", "S3_SECRET_ACCESS_KEY is not set"),
        ("LANDING_FILE_MB", "big", "LANDING_FILE_MB is 'big'"),
    ],
)
def test_settings_that_make_no_sense(
    orders: Kit, zone: Zone, monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)
    assert_told(orders.run("my_source", "orders"), told, code=2)


@pytest.mark.parametrize("spelling", ["FILE://{}", "File://{}/", "file://{}"])
def test_a_scheme_may_be_in_any_case(
    orders: Kit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, spelling: str
) -> None:
    folder = tmp_path / "a b#c"
    monkeypatch.setenv("DLT_BUCKET_URL", spelling.format(quote(str(folder))))
    assert orders.run("my_source", "orders").code == 0
    assert list(folder.glob("my_source/orders/year=*/month=*/day=*/*.parquet"))


def test_keys_with_a_line_break_at_the_end_are_taken(
    orders: Kit, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, f"{os.environ[name]}\n")
    assert orders.run("my_source", "orders").code == 0


def test_an_endpoint_may_have_a_scheme(
    orders: Kit, s3: S3Server, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_ENDPOINT", f"http://{s3.endpoint}/")
    assert orders.run("my_source", "orders").code == 0


def test_a_cursor_that_is_not_the_streams_own(orders: Kit, zone: Zone) -> None:
    orders.configure("my_source", "orders", cursor_field=["id"], fields=FIELDS)
    message = (
        "orders.json: cursor_field: the code of the stream asks its API by 'updated_at', not by "
        "'id'; write [\"updated_at\"], or change the code"
    )
    assert_told(orders.run("my_source", "orders"), message, code=2)
    assert message in orders.landing("doctor").out


def test_a_cursor_that_the_streams_code_does_not_take(kit: Kit, folder_zone: Zone) -> None:
    code = "import dlt\n@dlt.resource(primary_key='id')\ndef rows():\n    yield [{'id': 1}]\n"
    kit.add_source("shop", code)
    kit.configure("shop", "rows", cursor_field=["id"], fields={"id": {"type": "integer"}})
    done = kit.run("shop", "rows", "--dry-run")
    assert "takes no cursor, so each run reads all records and lands those" in done.out
    assert "that are new by id" in done.out


def test_an_initial_value_of_another_type(orders: Kit, zone: Zone) -> None:
    orders.configure(
        "my_source",
        "orders",
        cursor_field=["updated_at"],
        initial_value="last tuesday",
        fields=FIELDS,
    )
    assert_told(orders.run("my_source", "orders"), "'last tuesday'", "initial_value", code=2)


@pytest.mark.parametrize(
    "name",
    [
        "AWS_ENDPOINT_URL_S3",
        "AWS_SESSION_TOKEN",
        "AWS_SKIP_SIGNATURE",
        "AWS_CONDITIONAL_PUT",
        "AWS_ACCESS_KEY_ID",
    ],
)
def test_aws_variables_of_another_account_do_not_win(
    orders: Kit, zone: Zone, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    values = {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{free_ports(1)[0]}"}
    monkeypatch.setenv(name, values.get(name, "disabled" if "PUT" in name else "true"))
    done = orders.run("my_source", "orders")
    assert done.code == 0, done.text


def test_other_threads_see_all_variables_while_clients_of_the_bucket_are_created(
    kit: Kit, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of a source")
    settings = bucket_settings(Workspace(kit.root))
    before, lost = dict(os.environ), []
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            try:
                if dict(os.environ) != before:
                    lost.append("a variable")
            except KeyError as error:
                lost.append(str(error))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(1) as other:
            reading = other.submit(read)
            for _ in range(20):
                Bucket(settings).settle()
            over.set()
            reading.result()
    finally:
        sys.setswitchinterval(interval)
    assert lost == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_ends_all_streams_and_gives_the_lease_back(
    kit: Kit, zone: Zone, number: signal.Signals, code: int
) -> None:
    kit.add_source(
        "slow",
        "import time\nimport dlt\n"
        "@dlt.resource\ndef first():\n"
        "    yield {'n': 1}\n    time.sleep(60)\n    yield {'n': 2}\n"
        "@dlt.resource\ndef second():\n    yield {'n': 1}\n",
    )
    for stream in ("first", "second"):
        kit.configure("slow", stream, fields={"n": {"type": "integer"}})
    process = kit.start("pipeline.py", "slow", "--all", "--workers=1")
    deadline = time.monotonic() + 30
    while not zone.paths("_dlt/slow") and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert "interrupted" in err
    assert "Traceback" not in err
    assert zone.paths_but_released() == []


SWALLOWS = """\
import os, signal, time, dlt

class Noisy:
    def __del__(self):
        os.kill(os.getpid(), signal.{number})
        time.sleep(0.1)

@dlt.resource
def rows():
    for n in range(200):
        if n == 3:
            {swallow}
        yield [{{"n": n}}]
        time.sleep(0.05)
"""


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize(
    "swallow",
    [
        "Noisy()",
        "try:\n                Noisy().__del__()\n            except BaseException: pass",
    ],
)
def test_an_interrupt_that_is_swallowed_ends_the_run_all_the_same(
    kit: Kit, folder_zone: Zone, number: str, swallow: str
) -> None:
    swallow = swallow.format(number=number)
    kit.add_source("slow", SWALLOWS.format(number=number, swallow=swallow))
    kit.configure("slow", "rows", fields={"n": {"type": "integer"}})
    began = time.monotonic()
    done = kit.forked("pipeline.py", "slow", "rows")
    assert done.code == {"SIGTERM": 143, "SIGINT": 130}[number], done.text
    assert time.monotonic() - began < 9, "all its pages take ten seconds"
    assert "interrupted; the next run continues" in done.err
    assert folder_zone.paths_but_released() == []


def test_ctrl_c_at_any_moment_of_the_first_second_ends_in_a_line(kit: Kit) -> None:
    for delay in (0.1, 0.2, 0.3, 0.45, 0.6, 0.8):
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "import sys; print(1, flush=True); from landing.cli import main;"
                "sys.exit(main(['status']))",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert "Traceback" not in err, (delay, err)
        # Python itself ends by the signal once it has taken our handlers down, at its very end.
        assert process.returncode in (0, 1, 130, -signal.SIGINT), (delay, err)


def test_a_source_that_exits_is_a_failed_stream(kit: Kit, zone: Zone) -> None:
    kit.add_source(
        "exits", "import sys\nimport dlt\n@dlt.resource\ndef rows():\n    sys.exit(3)\n    yield\n"
    )
    kit.configure("exits", "rows", fields={"n": {"type": "integer"}})
    assert_told(kit.run("exits", "rows"), "called sys.exit(3)")
    assert_told(kit.discover("exits"), "called sys.exit(3)")


def test_a_damaged_state_is_named_and_nothing_runs(orders: Kit, zone: Zone) -> None:
    assert orders.run("my_source", "orders").code == 0
    for damage in (b"", b"{}", b'{"state": "x"}', b"[1]"):
        obstore.put(zone.store, "_dlt/my_source/orders/state.json", damage)
        for arguments in ([], ["--dry-run"]):
            told = orders.run("my_source", "orders", *arguments)
            assert_told(told, "_dlt/my_source/orders/state.json is damaged")


def test_a_server_can_not_name_a_stream_out_of_its_folder(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite3.connect(tmp_path / "evil.db") as database:
        database.execute('CREATE TABLE "../../../../escaped" (id INTEGER PRIMARY KEY)')
        database.execute("CREATE TABLE good (id INTEGER PRIMARY KEY)")
        database.execute("INSERT INTO good VALUES (1)")
    with datasette(tmp_path / "evil.db") as server:
        monkeypatch.setenv("DATASETTE_URL", server.database("evil"))
        done = kit.discover("datasette")
    assert_told(done, "'../../../../escaped' is not a stream name", code=2)
    assert [file.name for file in (kit.root / "dag").rglob("*.json")] == ["good.json"]


@pytest.mark.parametrize("kind", ["array", "object", "boolean", "null"])
def test_a_cursor_without_an_order_is_refused(orders: Kit, zone: Zone, kind: str) -> None:
    fields = {**FIELDS, "odd": {"type": kind}}
    orders.configure("my_source", "orders", cursor_field=["odd"], fields=fields)
    assert_told(orders.run("my_source", "orders"), "cursor_field: 'odd' is", code=2)


def test_two_streams_of_one_name(kit: Kit, zone: Zone) -> None:
    kit.add_source(
        "twice",
        "import dlt\n@dlt.resource\ndef rows():\n    yield {'n': 1}\n"
        "@dlt.resource(name='rows')\ndef others():\n    yield {'n': 1}\n",
    )
    kit.configure("twice", "rows", fields={"n": {"type": "integer"}})
    assert_told(kit.run("twice", "rows"), "two resources are named 'rows'", code=2)


def test_a_stream_that_yields_no_records(kit: Kit, zone: Zone) -> None:
    kit.add_source("odd", "import dlt\n@dlt.resource\ndef words():\n    yield ['a', 'b']\n")
    kit.configure("odd", "words", fields={"n": {"type": "integer"}})
    assert_told(kit.run("odd", "words"), "yielded a str", "dictionaries", code=2)


def test_keys_in_urls_and_messages_are_not_shown(
    kit: Kit, api: Api, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "t0p-s3cret/value+=")
    kit.add_source(
        "shop",
        "import os, dlt, requests\n@dlt.resource\ndef rows():\n"
        f"    url = '{api.url}/orders?token=' + os.environ['SHOP_TOKEN']\n"
        "    requests.get(url).raise_for_status()\n"
        "    yield []\n"
        "@dlt.resource\ndef others():\n"
        "    from urllib.parse import quote_plus\n"
        "    key = os.environ['SHOP_TOKEN']\n"
        "    raise ValueError(f'{key} and {quote_plus(key)} were refused')\n"
        "    yield []\n",
    )
    for stream in ("rows", "others"):
        kit.configure("shop", stream, fields={"n": {"type": "integer"}})
    done = kit.run("shop", "--all", "--debug")
    assert "answered 401" in done.err
    assert "were refused" in done.err
    assert "t0p-s3cret" not in done.text
