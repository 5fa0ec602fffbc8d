"""The tap of the Singer SDK, piped into a target that writes parquet to S3, as Meltano does it.

The target pins another version of the SDK, so it has an environment of its own, named by
BENCH_TARGET. This program only joins the two.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit


def config() -> dict[str, object]:
    url = urlsplit(os.environ["BENCH_OUTPUT"])
    return {
        "format": {
            "format_type": "parquet",
            # With the schema it can't write numbers in nested fields.
            "format_parquet": {"get_schema_from_tap": False},
        },
        "cloud_provider": {
            "cloud_provider_type": "aws",
            "aws": {
                "aws_access_key_id": os.environ["S3_ACCESS_KEY_ID"],
                "aws_secret_access_key": os.environ["S3_SECRET_ACCESS_KEY"],
                "aws_endpoint_override": f"http://{os.environ['S3_ENDPOINT']}",
                "aws_region": "us-east-1",
                "aws_bucket": url.netloc,
            },
        },
        "prefix": url.path.strip("/"),
        "append_date_to_filename": False,
        "max_batch_size": 100_000,
    }


def main() -> None:
    file = Path(os.environ["BENCH_SCRATCH"]) / "target.json"
    file.write_text(json.dumps(config()))
    tap = [sys.executable, "-m", "benchmarks.programs.singer_tap"]
    target = [os.environ["BENCH_TARGET"], "--config", str(file)]
    # The import report is the tap's: the target imports while the tap does, and is not timed.
    with subprocess.Popen(tap, stdout=subprocess.PIPE) as source:
        subprocess.run(target, stdin=source.stdout, check=True)
    if source.returncode:
        raise SystemExit(source.returncode)


if __name__ == "__main__":
    main()
