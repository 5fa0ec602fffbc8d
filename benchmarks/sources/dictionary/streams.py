"""The founding document's stream, once for each collection that is measured."""

import os

import dlt

from .client import MyAPI


@dlt.resource(write_disposition="merge", primary_key="id")
def bench(
    updated_at: dlt.sources.incremental[str] = dlt.sources.incremental(
        "updated_at", initial_value="2020-01-01 00:00:00"
    ),
    limit: int = int(os.environ.get("BENCH_PAGE_SIZE", "1000")),
):
    """The 200,000 records of 25 fields; this collection has no filter by `since`."""
    api = MyAPI()
    offset = 0

    while True:
        params = {
            "limit": limit,
            "offset": offset,
            "since": updated_at.last_value,
        }
        batch = api.get("bench", params=params)

        if not batch:
            break

        yield batch

        if len(batch) < limit:
            break
        offset += limit


@dlt.resource(write_disposition="merge", primary_key="id")
def orders(
    updated_at: dlt.sources.incremental[str] = dlt.sources.incremental(
        "updated_at", initial_value="2020-01-01 00:00:00"
    ),
    limit: int = 1_000,
):
    """A collection that is filtered by `since`, for runs that find nothing new."""
    api = MyAPI()
    offset = 0

    while True:
        params = {
            "limit": limit,
            "offset": offset,
            "since": updated_at.last_value,
        }
        batch = api.get("orders", params=params)

        if not batch:
            break

        yield batch

        if len(batch) < limit:
            break
        offset += limit
