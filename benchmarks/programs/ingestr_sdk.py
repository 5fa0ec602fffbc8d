"""ingestr's Python SDK: rows go to its program as an Arrow stream, which writes them to the bucket.

It has no source for APIs in general, so the pages are asked for by hand.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

from benchmarks.programs.api import bodies
from benchmarks.programs.clock import framework_import
from benchmarks.records import KEPT, STREAM

with framework_import():
    import ingestr
    import pyarrow  # noqa: F401


def rows() -> Iterator[dict[str, Any]]:
    for body in bodies():
        for row in json.loads(body)["data"]:
            yield {name: row[name] for name in KEPT}


def main() -> None:
    url = urlsplit(os.environ["BENCH_OUTPUT"])
    options = {
        "access_key_id": os.environ["S3_ACCESS_KEY_ID"],
        "secret_access_key": os.environ["S3_SECRET_ACCESS_KEY"],
        "endpoint_url": f"http://{os.environ['S3_ENDPOINT']}",
        "region": "us-east-1",
    }
    os.environ["INGESTR_DISABLE_TELEMETRY"] = "true"
    ingestr.ingest(
        rows(),
        dest_uri=f"s3://?{urlencode(options)}",
        dest_table=f"{url.netloc}{url.path}/{STREAM}",
        yes=True,
        progress="log",
    )


if __name__ == "__main__":
    main()
