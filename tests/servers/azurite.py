"""Azurite, Microsoft's emulator of Azure Blob Storage, in memory.

make azurite        # once: 190 MB from npm
with azurite(folder) as azure:
    os.environ.update(azure.env())
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote

import requests

from demo.servers import HOST, free_ports
from tests.kit import REPOSITORY

_MAIN = REPOSITORY / ".azurite" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
ACCOUNT = "devstoreaccount1"
# Azurite's own, which its documentation names.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_VERSION = "2021-08-06"
_SECONDS_TO_START = 30.0


def is_installed() -> bool:
    return _MAIN.exists() and shutil.which("node") is not None


@dataclass(frozen=True)
class Azurite:
    url: str
    """With the account's name as its path, as emulators have it."""
    bucket: str = "lake"

    def env(self) -> dict[str, str]:
        credentials = "DESTINATION__FILESYSTEM__CREDENTIALS__"
        return {
            "AZURE_STORAGE_ENDPOINT": self.url,
            f"{credentials}AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            f"{credentials}AZURE_STORAGE_ACCOUNT_KEY": KEY,
        }

    @property
    def connection_string(self) -> str:
        return f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={self.url};"

    def shared_access_signature(self, rights: str) -> str:
        """Of the account, for an hour: `rl` to read and list."""
        end = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
        fields = [ACCOUNT, rights, "b", "sco", "", end, "", "", _VERSION, "", ""]
        parts = {"sv": _VERSION, "ss": "b", "srt": "sco", "sp": rights, "se": end}
        parts["sig"] = _signature("\n".join(fields))
        return "&".join(f"{name}={quote(value, safe='')}" for name, value in parts.items())

    def create_container(self) -> None:
        date = formatdate(usegmt=True)
        text = "\n".join(
            [
                *("PUT", *[""] * 11),
                f"x-ms-date:{date}",
                f"x-ms-version:{_VERSION}",
                f"/{ACCOUNT}/{ACCOUNT}/{self.bucket}",
                "restype:container",
            ]
        )
        headers = {
            "x-ms-date": date,
            "x-ms-version": _VERSION,
            "Authorization": f"SharedKey {ACCOUNT}:{_signature(text)}",
        }
        answer = requests.put(
            f"{self.url}/{self.bucket}", params={"restype": "container"}, headers=headers, timeout=9
        )
        answer.raise_for_status()


def _signature(text: str) -> str:
    digest = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


@contextmanager
def azurite(folder: Path) -> Iterator[Azurite]:
    (port,) = free_ports(1)
    options = ("--inMemoryPersistence", "--silent", "--skipApiVersionCheck", "--disableTelemetry")
    command = ["node", str(_MAIN), "--blobHost", HOST, "--blobPort", str(port), *options]
    with (folder / "azurite.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            running = Azurite(f"http://{HOST}:{port}/{ACCOUNT}")
            _wait(running, process)
            yield running
        finally:
            process.terminate()
            process.wait()


def _wait(running: Azurite, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _SECONDS_TO_START
    while True:
        assert process.poll() is None, "Azurite ended"
        try:
            return running.create_container()
        except requests.ConnectionError:
            assert time.monotonic() < end, "Azurite does not answer"
            time.sleep(0.05)
