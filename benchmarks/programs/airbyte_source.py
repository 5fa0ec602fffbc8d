"""A source of Airbyte's CDK, written in Python: `read`, to standard output."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from benchmarks.programs.clock import framework_import
from benchmarks.records import KEPT, KEY, PAGE_SIZE, STREAM, Kind

with framework_import():
    import requests
    from airbyte_cdk.entrypoint import launch
    from airbyte_cdk.sources import AbstractSource
    from airbyte_cdk.sources.streams import Stream
    from airbyte_cdk.sources.streams.http import HttpStream
    from airbyte_cdk.sources.streams.http.requests_native_auth import TokenAuthenticator

_TYPES: dict[Kind, dict[str, Any]] = {
    "integer": {"type": ["null", "integer"]},
    "number": {"type": ["null", "number"]},
    "boolean": {"type": ["null", "boolean"]},
    "text": {"type": ["null", "string"]},
    "date-time": {"type": ["null", "string"], "format": "date-time"},
    "date": {"type": ["null", "string"], "format": "date"},
    "json": {"type": ["null", "object", "array"]},
}
SCHEMA = {"type": "object", "properties": {name: _TYPES[kind] for name, kind in KEPT.items()}}


class Bench(HttpStream):
    name = STREAM
    primary_key = KEY
    url_base = f"{os.environ['MY_API_URL']}/"

    def __init__(self) -> None:
        super().__init__(authenticator=TokenAuthenticator(os.environ["MY_API_KEY"]))
        self._offset = 0
        self._last_page = 0

    def path(self, **_: Any) -> str:
        return STREAM

    def get_json_schema(self) -> Mapping[str, Any]:
        return SCHEMA

    def request_params(
        self,
        stream_state: Mapping[str, Any] | None,
        stream_slice: Mapping[str, Any] | None = None,
        next_page_token: Mapping[str, Any] | None = None,
    ) -> MutableMapping[str, Any]:
        return {"limit": PAGE_SIZE, "offset": 0, **(next_page_token or {})}

    def parse_response(self, response: requests.Response, **_: Any) -> Iterable[Mapping[str, Any]]:
        rows = response.json()["data"]
        self._last_page = len(rows)
        for row in rows:
            yield {name: row[name] for name in KEPT}

    def next_page_token(self, response: requests.Response) -> Mapping[str, Any] | None:
        if self._last_page < PAGE_SIZE:
            return None
        self._offset += PAGE_SIZE
        return {"offset": self._offset}


class Source(AbstractSource):
    def check_connection(self, *_: Any) -> tuple[bool, Any]:
        return True, None

    def streams(self, config: Mapping[str, Any]) -> list[Stream]:
        return [Bench()]

    def spec(self, *_: Any) -> Any:
        from airbyte_cdk.models import ConnectorSpecification

        return ConnectorSpecification(connectionSpecification={"type": "object"})


def read(source: AbstractSource) -> None:
    """The CDK's own command line, with the files that it asks for."""
    scratch = Path(os.environ["BENCH_SCRATCH"])
    (scratch / "config.json").write_text("{}")
    stream = {"name": STREAM, "json_schema": SCHEMA, "supported_sync_modes": ["full_refresh"]}
    chosen = {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "append"}
    (scratch / "catalog.json").write_text(json.dumps({"streams": [chosen]}))
    files = ["--config", str(scratch / "config.json"), "--catalog", str(scratch / "catalog.json")]
    launch(source, ["read", *files])


if __name__ == "__main__":
    read(Source())
