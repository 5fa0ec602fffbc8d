"""Sling with a spec of the API: its own requests, its own parquet on S3."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import sling_linux_amd64 as sling

from benchmarks.records import KEPT, KEY, PAGE_SIZE, STREAM

# Its default is a few requests a second.
RATE = 1_000


def spec() -> dict[str, Any]:
    return {
        "name": "bench",
        "description": "an API that pages by offset",
        "endpoints": {
            STREAM: {
                "state": {"limit": PAGE_SIZE, "offset": 0},
                "request": {
                    "url": f"{os.environ['MY_API_URL']}/{STREAM}",
                    "headers": {"Authorization": f"Bearer {os.environ['MY_API_KEY']}"},
                    "parameters": {"limit": "${state.limit}", "offset": "${state.offset}"},
                    "rate": RATE,
                },
                "pagination": {
                    "next_state": {"offset": "${state.offset + state.limit}"},
                    "stop_condition": "length(response.records) < state.limit",
                },
                "response": {"records": {"jmespath": "data[]", "primary_key": [KEY]}},
            }
        },
    }


def connections(scratch: Path, bucket: str) -> dict[str, Any]:
    return {
        "connections": {
            "API": {"type": "api", "spec": (scratch / "spec.yaml").as_uri()},
            "BUCKET": {
                "type": "s3",
                "bucket": bucket,
                "access_key_id": os.environ["S3_ACCESS_KEY_ID"],
                "secret_access_key": os.environ["S3_SECRET_ACCESS_KEY"],
                "endpoint": f"http://{os.environ['S3_ENDPOINT']}",
                "region": "us-east-1",
            },
        }
    }


def replication(prefix: str) -> dict[str, Any]:
    return {
        "source": "API",
        "target": "BUCKET",
        "defaults": {
            "mode": "full-refresh",
            "object": f"{prefix}/{STREAM}.parquet",
            "target_options": {"format": "parquet"},
        },
        "streams": {STREAM: {"select": list(KEPT)}},
    }


def main() -> None:
    scratch = Path(os.environ["BENCH_SCRATCH"])
    url = urlsplit(os.environ["BENCH_OUTPUT"])
    files = {
        "spec.yaml": spec(),
        "env.yaml": connections(scratch, url.netloc),
        "replication.yaml": replication(url.path.strip("/")),
    }
    for name, content in files.items():
        (scratch / name).write_text(json.dumps(content))  # JSON is YAML
    settings = {
        "SLING_HOME_DIR": str(scratch),
        "SLING_DISABLE_TELEMETRY": "true",
        # Its other writer of parquet is DuckDB's program, which it downloads.
        "SLING_DUCKDB_COMPUTE": "false",
    }
    command = [sling.SLING_BIN, "run", "--replication", str(scratch / "replication.yaml")]
    subprocess.run(command, env={**os.environ, **settings}, check=True)


if __name__ == "__main__":
    main()
