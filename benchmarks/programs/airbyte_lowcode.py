"""A source of Airbyte's CDK, declared in a manifest, as most connectors are.

It emits all 25 fields: choosing among them is left to Airbyte's platform, and the CDK's own
`RemoveFields` makes the source many times slower.
"""

from __future__ import annotations

import os
from typing import Any

from benchmarks.programs.airbyte_source import SCHEMA, read
from benchmarks.programs.clock import framework_import
from benchmarks.records import KEY, PAGE_SIZE, STREAM

with framework_import():
    from airbyte_cdk.sources.declarative.concurrent_declarative_source import (
        ConcurrentDeclarativeSource,
    )


def manifest() -> dict[str, Any]:
    return {
        "version": "7.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": [STREAM]},
        "streams": [_stream()],
        "spec": {"type": "Spec", "connection_specification": {"type": "object"}},
    }


def _stream() -> dict[str, Any]:
    return {
        "type": "DeclarativeStream",
        "name": STREAM,
        "primary_key": KEY,
        "schema_loader": {"type": "InlineSchemaLoader", "schema": SCHEMA},
        "retriever": {
            "type": "SimpleRetriever",
            "requester": {
                "type": "HttpRequester",
                "url_base": os.environ["MY_API_URL"],
                "path": STREAM,
                "http_method": "GET",
                "authenticator": {
                    "type": "BearerAuthenticator",
                    "api_token": os.environ["MY_API_KEY"],
                },
            },
            "record_selector": {
                "type": "RecordSelector",
                "extractor": {"type": "DpathExtractor", "field_path": ["data"]},
            },
            "paginator": _paginator(),
        },
    }


def _paginator() -> dict[str, Any]:
    def parameter(name: str) -> dict[str, str]:
        return {"type": "RequestOption", "inject_into": "request_parameter", "field_name": name}

    return {
        "type": "DefaultPaginator",
        "page_size_option": parameter("limit"),
        "page_token_option": parameter("offset"),
        "pagination_strategy": {
            "type": "OffsetIncrement",
            "page_size": PAGE_SIZE,
            "inject_on_first_request": True,
        },
    }


if __name__ == "__main__":
    read(ConcurrentDeclarativeSource(source_config=manifest(), config={}))
