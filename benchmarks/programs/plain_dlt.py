"""dlt alone, as the founding document uses it.

`last_value` is read once, before the first page. Read in the loop, as the document's example
does, it moves on while offset does too, and rows are skipped: less work, and not the same rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import requests

from benchmarks.programs.clock import framework_import
from benchmarks.records import CURSOR, INITIAL_VALUE, KEPT, KEY, PAGE_SIZE, STREAM

with framework_import():
    import dlt


class MyAPI:
    def __init__(self) -> None:
        self.base_url = os.environ["MY_API_URL"]
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {os.environ['MY_API_KEY']}"

    def get(self, endpoint: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        response = self.session.get(f"{self.base_url}/{endpoint}", params=params)
        response.raise_for_status()
        rows: list[dict[str, Any]] = response.json()["data"]
        return rows


@dlt.resource(name=STREAM, write_disposition="merge", primary_key=KEY, max_table_nesting=0)
def bench(
    updated_at: dlt.sources.incremental[str] = dlt.sources.incremental(
        CURSOR, initial_value=INITIAL_VALUE
    ),
    limit: int = PAGE_SIZE,
) -> Iterator[list[dict[str, Any]]]:
    api = MyAPI()
    since = updated_at.last_value
    offset = 0
    while True:
        batch = api.get(STREAM, {"limit": limit, "offset": offset, "since": since})
        if not batch:
            break
        yield batch
        if len(batch) < limit:
            break
        offset += limit


def credentials() -> dict[str, str] | None:
    if "S3_ENDPOINT" not in os.environ:
        return None
    return {
        "aws_access_key_id": os.environ["S3_ACCESS_KEY_ID"],
        "aws_secret_access_key": os.environ["S3_SECRET_ACCESS_KEY"],
        "endpoint_url": f"http://{os.environ['S3_ENDPOINT']}",
        "region_name": "us-east-1",
    }


def main() -> None:
    destination = dlt.destinations.filesystem(
        bucket_url=os.environ["BENCH_OUTPUT"],
        credentials=credentials(),
        layout="{table_name}/year={YYYY}/month={MM}/day={DD}/{load_id}.{file_id}.{ext}",
    )
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=os.environ["BENCH_SCRATCH"],
        destination=destination,
        dataset_name="rows",
    )
    resource = bench().add_map(lambda row: {name: row.get(name) for name in KEPT})
    pipeline.run(resource, loader_file_format="parquet")


if __name__ == "__main__":
    main()
