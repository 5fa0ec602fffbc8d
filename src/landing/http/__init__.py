"""The client kit: what a source's client and streams may import from this package."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from landing.http.inflight import in_flight
from landing.http.jsonpage import JsonPage

if TYPE_CHECKING:
    from landing.http.api import Api
    from landing.http.auth import ApiKey, Basic, Bearer, SignedRequests
    from landing.http.auth_oauth import JwtBearer, OAuth2ClientCredentials, OAuth2RefreshToken
    from landing.http.auth_session import SessionLogin
    from landing.http.bodies import Csv, JsonLines
    from landing.http.pacing import Pace
    from landing.http.paging import (
        CursorPages,
        HeaderUrlPages,
        KeysetPages,
        LinkPages,
        NextUrlPages,
        SinglePage,
    )
    from landing.http.ranges import NumberedPages, OffsetPages
    from landing.http.retries import Retries
    from landing.http.session import Session
    from landing.http.tokens import BucketTokens, FileTokens, token_store
    from landing.http.windows import TimeWindows

__all__ = [
    "Api",
    "ApiKey",
    "Basic",
    "Bearer",
    "BucketTokens",
    "Csv",
    "CursorPages",
    "FileTokens",
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
    "in_flight",
    "token_store",
]

# What needs `requests` is imported once it is asked for, so that other sources don't pay for it.
_MODULES = {
    "Api": "api",
    "ApiKey": "auth",
    "Basic": "auth",
    "Bearer": "auth",
    "BucketTokens": "tokens",
    "Csv": "bodies",
    "CursorPages": "paging",
    "FileTokens": "tokens",
    "HeaderUrlPages": "paging",
    "JsonLines": "bodies",
    "JwtBearer": "auth_oauth",
    "KeysetPages": "paging",
    "LinkPages": "paging",
    "NextUrlPages": "paging",
    "NumberedPages": "ranges",
    "OAuth2ClientCredentials": "auth_oauth",
    "OAuth2RefreshToken": "auth_oauth",
    "OffsetPages": "ranges",
    "Pace": "pacing",
    "Retries": "retries",
    "Session": "session",
    "SessionLogin": "auth_session",
    "SignedRequests": "auth",
    "SinglePage": "paging",
    "TimeWindows": "windows",
    "token_store": "tokens",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
