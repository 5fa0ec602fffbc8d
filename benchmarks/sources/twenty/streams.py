"""The stream of `kit`, twenty times, for runs of many streams side by side."""

from itertools import count

import dlt

from .client import MyAPI


@dlt.source
def twenty():
    return [stream(f"bench_{number:02d}") for number in range(1, 21)]


def stream(name: str):
    @dlt.resource(name=name, write_disposition="merge", primary_key="id")
    def rows(
        updated_at: dlt.sources.incremental[str] = dlt.sources.incremental(
            "updated_at", initial_value="2020-01-01 00:00:00"
        ),
        limit: int = 100,
    ):
        api = MyAPI()
        for offset in count(0, limit):
            page = api.page(limit, offset, updated_at.last_value)
            if not page:
                break
            yield page

    return rows
