"""The stream of `dictionary`, four times, for runs that divide them among processes."""

from itertools import count

import dlt

from .client import MyAPI


@dlt.source
def dictionaries():
    return [stream(f"bench_{number}") for number in range(1, 5)]


def stream(name: str):
    @dlt.resource(name=name, write_disposition="merge", primary_key="id")
    def rows(
        updated_at: dlt.sources.incremental[str] = dlt.sources.incremental(
            "updated_at", initial_value="2020-01-01 00:00:00"
        ),
        limit: int = 1_000,
    ):
        api = MyAPI()
        for offset in count(0, limit):
            params = {"limit": limit, "offset": offset, "since": updated_at.last_value}
            batch = api.get("bench", params=params)
            if not batch:
                break
            yield batch

    return rows
