"""The two sources that are tortured: their streams differ in name alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.kit import FOUNDING_CLIENT, FOUNDING_STREAMS

_RETRYING_CLIENT = """\
import os

from dlt.sources.helpers import requests

class MyAPI:
    def __init__(self):
        self.url = os.environ["MY_API_URL"]
        timeout = float(os.environ.get("MY_API_TIMEOUT", "1"))
        client = requests.Client(request_timeout=timeout, request_backoff_factor=0.1)
        self.session = client.session
        self.session.headers["Authorization"] = f"Bearer {os.environ['MY_API_KEY']}"

    def get(self, endpoint, **query):
        response = self.session.get(f"{self.url}/{endpoint}", params=query)
        response.raise_for_status()
        return response.json()["data"]
"""

# Pages go on from the last change seen, so that none slips past while rows are edited.
_RETRYING_STREAMS = '''\
import dlt
from .client import MyAPI

@dlt.resource(primary_key="id")
def orders(
    updated_at: dlt.sources.incremental[str] = dlt.sources.incremental(
        "updated_at", initial_value="2020-01-01 00:00:00"
    ),
    limit: int = 100,
):
    """Orders, the oldest change first."""
    api = MyAPI()
    since, offset = updated_at.last_value, 0
    while True:
        page = api.get("orders", since=since, limit=limit, offset=offset)
        yield page
        if len(page) < limit:
            return
        newest = page[-1]["updated_at"]
        offset = offset + limit if newest == since else 0
        since = newest
'''


@dataclass(frozen=True)
class Client:
    name: str
    title: str
    client: str
    orders: str

    def streams(self, names: Sequence[str]) -> str:
        """One stream of each name, which asks for the collection of that name."""
        return "\n\n".join(self.orders.replace("orders", name) for name in names)


PLAIN = Client("plain", "the founding document's client", FOUNDING_CLIENT, FOUNDING_STREAMS)
RETRYING = Client("retrying", "dlt's requests client", _RETRYING_CLIENT, _RETRYING_STREAMS)

# What the next page has again of the last one is left out, so that any row that lands twice is
# the engine's doing.
EXACT = Client(
    "exact",
    "dlt's requests client",
    _RETRYING_CLIENT,
    _RETRYING_STREAMS.replace("since, offset =", "last, since, offset = [],")
    .replace("yield page", "yield [row for row in page if row not in last]")
    .replace("since = newest", "since, last = newest, page"),
)

# Each page is published by itself, if slices are small enough: Arrow tables are not put together.
SLICED = Client(
    "sliced",
    "dlt's requests client",
    _RETRYING_CLIENT,
    EXACT.orders.replace("import dlt\n", "import dlt\nimport pyarrow as pa\n")
    .replace('00:00:00"\n', '00:00:00", row_order="asc"\n')
    .replace(
        "yield [row for row in page if row not in last]",
        "if rows := [row for row in page if row not in last]:\n"
        "            yield pa.Table.from_pylist(rows)",
    ),
)
