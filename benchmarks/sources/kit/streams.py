"""The stream of `dictionary`, yielding the bytes of each page."""

import os
from itertools import count

import dlt

from .client import MyAPI


@dlt.resource(write_disposition="merge", primary_key="id")
def bench(
    updated_at: dlt.sources.incremental[str] = dlt.sources.incremental(
        "updated_at", initial_value="2020-01-01 00:00:00"
    ),
    limit: int = int(os.environ.get("BENCH_PAGE_SIZE", "1000")),
):
    """The 200,000 records of 25 fields."""
    api = MyAPI()
    for offset in count(0, limit):
        page = api.page(limit, offset, updated_at.last_value)
        if not page:
            break
        yield page
