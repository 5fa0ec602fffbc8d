"""The stream of `kit`, with eight requests under way at once."""

import os
from itertools import count

import dlt

from landing.http import in_flight

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
    since = updated_at.last_value
    pages = in_flight(lambda offset: api.page(limit, offset, since), count(0, limit), at_once=8)
    for page in pages:
        if not page:
            break
        yield page
