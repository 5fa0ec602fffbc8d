"""ingestr's Python SDK: pages go to its program as an Arrow stream, and from there to the bucket.

It has no source for APIs in general, so the pages are asked for by hand. They are given as tables
of Arrow: given as dictionaries, each value costs the SDK more than all the rest.
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
    import pyarrow as pa


def pages() -> Iterator[Any]:
    for body in bodies():
        rows = json.loads(body)["data"]
        yield pa.Table.from_pylist([{name: row[name] for name in KEPT} for row in rows])


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
        pages(),
        dest_uri=f"s3://?{urlencode(options)}",
        dest_table=f"{url.netloc}{url.path}/{STREAM}",
        yes=True,
        progress="log",
    )


if __name__ == "__main__":
    main()
