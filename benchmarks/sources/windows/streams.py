"""The records by their numbers, of a backfill's window or all of them."""

import dlt

from .client import MyAPI


@dlt.resource(write_disposition="merge", primary_key="id")
def bench(
    id: dlt.sources.incremental[int] = dlt.sources.incremental(
        "id", initial_value=0, row_order="asc"
    ),
    limit: int = 100,
):
    api = MyAPI()
    offset = id.last_value
    while id.end_value is None or offset < id.end_value:
        batch = api.get("bench", params={"limit": limit, "offset": offset})
        if not batch:
            break
        yield batch
        offset += limit
