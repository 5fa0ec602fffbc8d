"""The servers of `demo.servers`: they start, keep strangers out, and leave nothing behind."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.request import urlopen

import pytest
from obstore.exceptions import BaseError
from obstore.store import S3Store

from demo import servers
from demo.servers import Identity, S3Server, ServerDidNotStart, datasette, free_ports, seaweedfs


def store(server: S3Server, access_key: str, secret_key: str) -> S3Store:
    return S3Store(
        server.bucket,
        endpoint=server.url,
        access_key_id=access_key,
        secret_access_key=secret_key,
        region="us-east-1",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    identities = [Identity.admin(), Identity.reader()]
    with seaweedfs(tmp_path_factory.mktemp("s3"), identities=identities) as running:
        yield running


def test_the_owner_writes_and_reads(s3: S3Server) -> None:
    owner = store(s3, s3.access_key, s3.secret_key)
    owner.put("raw/hello.txt", b"hello")
    assert bytes(owner.get("raw/hello.txt").bytes()) == b"hello"


def test_a_wrong_key_is_refused(s3: S3Server) -> None:
    with pytest.raises(BaseError, match="403 Forbidden"):
        store(s3, s3.access_key, "wrong").list_with_delimiter()
    with pytest.raises(BaseError, match="403 Forbidden"):
        store(s3, "nobody", s3.secret_key).list_with_delimiter()


def test_a_reader_may_look_but_not_write(s3: S3Server) -> None:
    reader = s3.identities[1]
    own = store(s3, reader.access_key, reader.secret_key)
    own.list_with_delimiter()
    with pytest.raises(BaseError, match="403 Forbidden"):
        own.put("raw/forbidden.txt", b"no")


def test_the_environment_is_what_a_pipeline_reads(s3: S3Server) -> None:
    assert s3.env() == {
        "DLT_BUCKET_URL": "s3://landing/raw",
        "S3_ENDPOINT": s3.endpoint,
        "S3_ACCESS_KEY_ID": s3.access_key,
        "S3_SECRET_ACCESS_KEY": s3.secret_key,
    }
    reader = s3.identities[1]
    assert s3.env(reader)["S3_ACCESS_KEY_ID"] == reader.access_key


def test_files_outlive_the_server_but_no_process_or_socket_does(tmp_path: Path) -> None:
    owner = Identity.admin()
    with seaweedfs(tmp_path, identities=[owner], bucket="lake") as first:
        store(first, owner.access_key, owner.secret_key).put("kept.txt", b"kept")
    assert not is_running(first.pid)
    for port in first.ports:
        assert not list(Path("/tmp").glob(f"seaweedfs-*-{port + 10_000}.sock"))
    with seaweedfs(tmp_path, identities=[owner], bucket="lake") as second:
        kept = store(second, owner.access_key, owner.secret_key).get("kept.txt")
        assert bytes(kept.bytes()) == b"kept"
    assert not is_running(second.pid)


def test_datasette_serves_what_it_is_given_and_ends(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "tiny.db")) as connection, connection:
        connection.execute("create table words (word text)")
    with datasette(tmp_path / "tiny.db", settings={"max_returned_rows": 77}) as running:
        with urlopen(f"{running.url}/-/settings.json") as response:
            assert json.load(response)["max_returned_rows"] == 77
        with urlopen(running.database("tiny") + ".json") as response:
            assert json.load(response)["tables"][0]["name"] == "words"
        assert running.requested() == ["/-/settings.json", "/tiny.json"]
    assert not is_running(running.pid)


def test_a_server_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(ServerDidNotStart, match=r"absent\.db"), datasette(tmp_path / "absent.db"):
        pass


def test_a_taken_port_makes_a_server_start_on_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(tmp_path / "tiny.db")) as connection, connection:
        connection.execute("create table words (word text)")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        offered = iter([[taken.getsockname()[1]], free_ports(1)])
        monkeypatch.setattr(servers, "free_ports", lambda count: next(offered))
        with (
            datasette(tmp_path / "tiny.db") as running,
            urlopen(f"{running.url}/tiny.json") as response,
        ):
            assert response.status == 200


def test_free_ports_are_distinct_and_leave_room_for_grpc() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(port + 10_000 < 65_536 for port in ports)
