"""A source between two proxies, run again and again, each time on an empty disk."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from obstore.store import S3Store

from demo.servers import S3Server
from tests.kit import Kit, Zone
from tests.servers.api import Api, Row, seed_orders, serve_api
from tests.servers.proxy import HOST, Proxy, serve_proxy
from torture.figures import Search
from torture.landed import Landed, give_lease_back, lease_is_held, search
from torture.sources import Client

FIELDS = {
    "id": {"type": "integer"},
    "name": {"type": "string"},
    "updated_at": {"type": "string", "format": "date-time"},
    "total": {"type": "number"},
    "customer": {"type": "object"},
}
LEASE_SECONDS = 61.0
RUN_SECONDS = 120.0
_SMALL_PARTS = "0.004"
_SMALL_SLICES = "0.012"
_SHORT_STALL = "0.2"
_QUIET = {"RUNTIME__DLTHUB_TELEMETRY": "false"}
PYTHON = (sys.executable,)


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


class Running:
    """A pipeline.py process and its disk, which is gone with it."""

    def __init__(
        self, command: Sequence[str], env: dict[str, str], folder: Path | None = None
    ) -> None:
        self._disk = tempfile.mkdtemp(prefix="torture-")
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**env, "TMPDIR": self._disk, "HOME": self._disk},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kill(self) -> None:
        self.process.kill()

    def end(self) -> Ended:
        """Wait for the end; a process that takes too long is killed, and its code is negative."""
        try:
            out, err = self.process.communicate(timeout=RUN_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
        shutil.rmtree(self._disk, ignore_errors=True)
        return Ended(self.process.returncode, out, err)


class Fleet:
    """Streams of one source, each with a collection of its own at one API."""

    def __init__(
        self,
        client: Client,
        streams: Sequence[str],
        s3: S3Server,
        api: Api,
        api_proxy: Proxy,
        bucket_proxy: Proxy,
        folder: Path,
        keys: Mapping[str, Any],
    ) -> None:
        self.source = client.name
        self.streams = list(streams)
        self.api, self.api_proxy, self.bucket_proxy = api, api_proxy, bucket_proxy
        self.random = random.Random(client.name)
        self.output: list[str] = []
        self.more_env: dict[str, str] = {}
        self._s3 = s3
        self._prefix = f"raw-{uuid.uuid4().hex}"
        self.zone = Zone(store_of(s3, self._prefix), folder / "copies")
        self.landed = {
            name: Landed(self.zone, self.source, name, folder / "mirror") for name in streams
        }
        self._kit = Kit(folder / "repository", None)
        self._kit.add_source(self.source, client.streams(streams), client.client)
        for name in streams:
            self._kit.configure(
                self.source,
                name,
                cursor_field=["updated_at"],
                primary_key=[["id"]],
                fields=FIELDS,
                **keys,
            )

    @property
    def secrets(self) -> list[str]:
        return [self.api.token, self._s3.access_key, self._s3.secret_key]

    def env(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            **_QUIET,
            **self._s3.env(),
            "DLT_BUCKET_URL": f"s3://{self._s3.bucket}/{self._prefix}",
            "S3_ENDPOINT": self.bucket_proxy.endpoint,
            "MY_API_URL": self.api_proxy.url,
            "MY_API_KEY": self.api.token,
            "LANDING_FILE_MB": _SMALL_PARTS,
            "LANDING_SLICE_MB": _SMALL_SLICES,
            "LANDING_STALL_MINUTES": _SHORT_STALL,
            **self.more_env,
        }

    def start(self, *streams: str, program: Sequence[str] = PYTHON, **env: str) -> Running:
        script = str(self._kit.root / "dlt" / "pipeline.py")
        command = [*program, script, self.source, *(streams or self.streams)]
        return Running(command, {**self.env(), **env})

    def start_landing(self, *words: str, program: Sequence[str] = PYTHON, **env: str) -> Running:
        """The command `landing` in the workspace."""
        command = [*program, str(Path(sys.executable).parent / "landing"), *words]
        return Running(command, {**self.env(), **env}, self._kit.root / "dlt")

    def run(self, *streams: str, program: Sequence[str] = PYTHON, **env: str) -> Ended:
        return self.ended(self.start(*streams, program=program, **env))

    def ended(self, running: Running) -> Ended:
        done = running.end()
        self.output.append(done.text)
        return done

    def verify(self, stream: str) -> Ended:
        """`landing verify`, which asks the bucket itself."""
        env = {"S3_ENDPOINT": self._s3.endpoint}
        return self.ended(self.start_landing("verify", self.source, stream, "--quick", **env))

    def change(self, stream: str, count: int) -> None:
        """Edit so many rows and add some, a few of them at the very second of the last change."""
        rows = self.api.rows(stream)
        newest = max(datetime.fromisoformat(row["updated_at"]) for row in rows)
        chosen = self.random.sample(rows, min(count, len(rows)))
        added = [{**row, "id": len(rows) + n} for n, row in enumerate(chosen[: count // 50], 1)]
        for number, row in enumerate([*chosen, *added]):
            self._edit(row, newest + timedelta(seconds=(number + 4) // 7))
        self.api.set_rows(stream, [*rows, *added])

    def _edit(self, row: Row, at: datetime) -> None:
        row["updated_at"] = str(at)
        row["total"] = round(self.random.uniform(0, 10_000), 2)
        row["name"] = f"Order {row['id']}, {self.random.randrange(10**6)}"

    def lost(self, stream: str) -> int:
        return self.landed[stream].lost(self.api.rows(stream))

    def held(self) -> list[str]:
        """The streams whose lease a dead run has left."""
        return [name for name in self.streams if lease_is_held(self.zone, self.source, name)]

    def free_leases(self, *, waits: bool) -> None:
        """Wait until the leases that dead runs left are expired, or take them away."""
        held = self.held()
        if held and waits:
            time.sleep(LEASE_SECONDS)
        elif held:
            for name in held:
                give_lease_back(self.zone, self.source, name)

    def search(self) -> Search:
        """For secrets, in all that the runs have said and in each object of the bucket."""
        said = [any(secret in text for secret in self.secrets) for text in self.output]
        return Search(len(said), sum(said)) + search(self.zone, self.secrets)


@contextmanager
def serve_fleet(
    client: Client,
    streams: Sequence[str],
    s3: S3Server,
    rows: int,
    *,
    host: str = HOST,
    **keys: Any,
) -> Iterator[Fleet]:
    """A fleet over servers of its own; each collection begins with so many rows. `keys` are more of
    the stream configs."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fleet-")))
        api = stack.enter_context(serve_api([], host))
        for stream in streams:
            api.set_rows(stream, seed_orders(rows))
        api_proxy = stack.enter_context(serve_proxy(api.url, host))
        bucket_proxy = stack.enter_context(serve_proxy(s3.endpoint, host))
        yield Fleet(client, streams, s3, api, api_proxy, bucket_proxy, folder, keys)


class Gate:
    """So many runs at once, for each processor of the machine; waiting for a lease takes none."""

    def __init__(self, of_each_processor: int = 1) -> None:
        self._places = threading.BoundedSemaphore(of_each_processor * max(2, os.cpu_count() or 2))

    def __enter__(self) -> None:
        self._places.acquire()

    def __exit__(self, *_: object) -> None:
        self._places.release()


def store_of(s3: S3Server, prefix: str) -> S3Store:
    return S3Store(
        s3.bucket,
        prefix=prefix,
        endpoint=s3.url,
        region="us-east-1",
        access_key_id=s3.access_key,
        secret_access_key=s3.secret_key,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
