"""The pages of the API by offset, with requests, as a person would get them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import requests

from benchmarks.records import PAGE_SIZE, STREAM

# `{"data":[]}` and what little a server may put around it: shorter than any record.
_EMPTY_BYTES = 50


def bodies(size: int = PAGE_SIZE) -> Iterator[bytes]:
    """The bodies of all pages, one request after the other."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {os.environ['MY_API_KEY']}"
    url = f"{os.environ['MY_API_URL']}/{STREAM}"
    offset = 0
    while True:
        response = session.get(url, params={"limit": size, "offset": offset})
        response.raise_for_status()
        if len(response.content) < _EMPTY_BYTES:
            return
        yield response.content
        offset += size
