"""A tap of the Singer SDK, to standard output."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from benchmarks.programs.clock import framework_import
from benchmarks.records import KEPT, KEY, PAGE_SIZE, STREAM, Kind

with framework_import():
    from singer_sdk import RESTStream, Stream, Tap
    from singer_sdk import typing as th
    from singer_sdk.authenticators import BearerTokenAuthenticator
    from singer_sdk.pagination import OffsetPaginator

_TYPES: dict[Kind, Any] = {
    "integer": th.IntegerType,
    "number": th.NumberType,
    "boolean": th.BooleanType,
    "text": th.StringType,
    "date-time": th.DateTimeType,
    "date": th.DateType,
}
_NESTED: dict[str, Any] = {
    "customer": th.ObjectType(
        th.Property("id", th.IntegerType), th.Property("name", th.StringType)
    ),
    "tags": th.ArrayType(th.StringType),
    "lines": th.ArrayType(
        th.ObjectType(th.Property("sku", th.StringType), th.Property("price", th.NumberType))
    ),
}


class Bench(RESTStream[int]):
    """The SDK leaves out what the schema does not have: the five fields nobody keeps."""

    name = STREAM
    path = f"/{STREAM}"
    primary_keys: ClassVar[tuple[str, ...]] = (KEY,)
    records_jsonpath = "$.data[*]"
    url_base = os.environ["MY_API_URL"]
    schema = th.PropertiesList(
        *(th.Property(name, _NESTED.get(name) or _TYPES[kind]) for name, kind in KEPT.items())
    ).to_dict()

    @property
    def authenticator(self) -> BearerTokenAuthenticator:
        return BearerTokenAuthenticator(token=os.environ["MY_API_KEY"])

    def get_new_paginator(self) -> OffsetPaginator:
        return OffsetPaginator(start_value=0, page_size=PAGE_SIZE)

    def get_url_params(self, context: Any, next_page_token: int | None) -> dict[str, Any]:
        return {"limit": PAGE_SIZE, "offset": next_page_token or 0}


class BenchTap(Tap):
    name = "tap-bench"
    config_jsonschema = th.PropertiesList().to_dict()

    def discover_streams(self) -> list[Stream]:
        return [Bench(tap=self)]


if __name__ == "__main__":
    BenchTap.cli([])
