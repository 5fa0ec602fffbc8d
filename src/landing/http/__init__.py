"""The client kit: what a source's client and streams may import from this package."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from landing.columns.json_page import JsonPage
from landing.http.concurrency import in_flight

if TYPE_CHECKING:
    from landing.http.api import Api
    from landing.http.auth.credentials import ApiKey, Basic, Bearer, SignedRequests, secret
    from landing.http.auth.oauth import JwtBearer, OAuth2ClientCredentials, OAuth2RefreshToken
    from landing.http.auth.session_login import SessionLogin
    from landing.http.auth.token_login import TokenLogin
    from landing.http.auth.token_store import BucketTokens, FileTokens, token_store
    from landing.http.bodies import Csv, JsonLines
    from landing.http.failed_answers import FailsIf
    from landing.http.graphql import GraphQLErrors
    from landing.http.pacing.pace import Pace
    from landing.http.paging.keysets import KeysetPages
    from landing.http.paging.numbers import NumberedPages
    from landing.http.paging.offsets import OffsetPages
    from landing.http.paging.pointers import (
        CursorPages,
        HeaderUrlPages,
        LinkPages,
        NextUrlPages,
        SinglePage,
    )
    from landing.http.paging.time_windows import TimeWindows
    from landing.http.retries import FailedAnswer, Retries
    from landing.http.session import Session

__all__ = [
    "Api",
    "ApiKey",
    "Basic",
    "Bearer",
    "BucketTokens",
    "Csv",
    "CursorPages",
    "FailedAnswer",
    "FailsIf",
    "FileTokens",
    "GraphQLErrors",
    "HeaderUrlPages",
    "JsonLines",
    "JsonPage",
    "JwtBearer",
    "KeysetPages",
    "LinkPages",
    "NextUrlPages",
    "NumberedPages",
    "OAuth2ClientCredentials",
    "OAuth2RefreshToken",
    "OffsetPages",
    "Pace",
    "Retries",
    "Session",
    "SessionLogin",
    "SignedRequests",
    "SinglePage",
    "TimeWindows",
    "TokenLogin",
    "in_flight",
    "secret",
    "token_store",
]

# What needs `requests` is imported once it is asked for, so that other sources don't pay for it.
_NAMES = {
    "api": ["Api"],
    "auth.credentials": ["ApiKey", "Basic", "Bearer", "SignedRequests", "secret"],
    "auth.oauth": ["JwtBearer", "OAuth2ClientCredentials", "OAuth2RefreshToken"],
    "auth.session_login": ["SessionLogin"],
    "auth.token_login": ["TokenLogin"],
    "auth.token_store": ["BucketTokens", "FileTokens", "token_store"],
    "bodies": ["Csv", "JsonLines"],
    "failed_answers": ["FailsIf"],
    "graphql": ["GraphQLErrors"],
    "pacing.pace": ["Pace"],
    "paging.keysets": ["KeysetPages"],
    "paging.numbers": ["NumberedPages"],
    "paging.offsets": ["OffsetPages"],
    "paging.pointers": ["CursorPages", "HeaderUrlPages", "LinkPages", "NextUrlPages", "SinglePage"],
    "paging.time_windows": ["TimeWindows"],
    "retries": ["FailedAnswer", "Retries"],
    "session": ["Session"],
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
