"""OAuth 2's token endpoint: asked with care, and its refusals told in a sentence."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl

import requests
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from landing import secrets
from landing.errors import ApiError, LandingError, SettingsError
from landing.http.auth.token_store import missing_extra

if TYPE_CHECKING:
    from authlib.integrations.requests_client import OAuth2Session

ClientAuth = Literal["header", "body"]

_TIMEOUT = (10, 20)
_TURNED_AWAY = (429, 503)
_FAILED_GATEWAY = (502, 504)
"""After these the provider may well have done what it was asked."""
_SPENT_ONCE = ("authorization_code", "refresh_token")
"""Grants whose second use is taken for theft."""
_RENEWED_BEFORE = 60.0
"""Seconds before an access token ends, of one that lasts for ten minutes or more."""
_EPOCH = 1_000_000_000
"""Numbers above it are points in time, below it seconds from now."""
_OF_TOKENS = ("access_token", "refresh_token", "token_type", "scope", "id_token", "expires_in")
_SECRET_PARAMETERS = ("assertion", "code", "code_verifier", "refresh_token")
_METHODS = {"header": "client_secret_basic", "body": "client_secret_post"}


@dataclass(frozen=True)
class AccessToken:
    token: str = field(repr=False)
    renew_at: float | None

    def is_due(self) -> bool:
        return self.renew_at is not None and time.time() >= self.renew_at

    def attach(self, request: PreparedRequest) -> None:
        request.headers["Authorization"] = f"Bearer {self.token}"

    def is_in(self, request: PreparedRequest) -> bool:
        return request.headers.get("Authorization") == f"Bearer {self.token}"


@dataclass(frozen=True)
class TokenAnswer:
    """What a token endpoint gave."""

    access: AccessToken
    refresh_token: str | None = field(repr=False)


@dataclass(frozen=True)
class TokenEndpoint:
    """A token endpoint and who asks it: `client_auth` says where the client's secret goes."""

    url: str
    client_id: str | None
    client_secret: str | None = field(default=None, repr=False)
    client_auth: ClientAuth = "header"
    extra: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def client(self) -> str:
        return digest(f"{self.url} {self.client_id}")

    def ask(self, grant_type: str, refused: str, **parameters: str | None) -> TokenAnswer:
        """`refused` is what a person is told to do if the grant is not accepted.

        Raises SettingsError if the client is not accepted, ApiError for all else. Redirects are
        not followed, as they would take the secret along.
        """
        sent = [parameters.get(name) for name in _SECRET_PARAMETERS]
        secrets.register(*filter(None, [self.client_secret, *sent]), what="a secret of the client")
        begun = time.time()
        session = self._session(grant_type)
        session.register_compliance_hook("access_token_response", _tokens_first)
        try:
            given = session.fetch_token(
                self.url,
                grant_type=grant_type,
                auth=None if self.client_id else _as_it_is,
                allow_redirects=False,
                timeout=_TIMEOUT,
                **{**self.extra, **parameters},
            )
        except requests.HTTPError as error:
            raise ApiError(f"{self._shown} answered {_status(error)}") from None
        except requests.RequestException as error:
            raise ApiError(
                f"{self._shown} did not answer ({type(error).__name__}): is it up and its address "
                "right?"
            ) from None
        except session.oauth_error_class as error:
            raise self._refusal(error.error, _message(error), refused) from None
        except ValueError:
            given = {}
        finally:
            session.close()
        return self._answer(given, begun)

    def _session(self, grant_type: str) -> OAuth2Session:
        try:
            from authlib.integrations.requests_client import OAuth2Session
        except ModuleNotFoundError:
            raise missing_extra("OAuth 2") from None
        method = _METHODS[self.client_auth] if self.client_secret else "none"
        session = OAuth2Session(
            self.client_id, self.client_secret, token_endpoint_auth_method=method
        )
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(max_retries=_retries(grant_type)))
        return session

    def _answer(self, given: Mapping[str, Any], begun: float) -> TokenAnswer:
        if not given.get("access_token"):
            raise ApiError(f"{self._shown} answered without an access token: is it the right URL?")
        renew_at = _renew_at(begun, given.get("expires_in"))
        access, refresh_token = str(given["access_token"]), given.get("refresh_token") or None
        secrets.register(*filter(None, [access, refresh_token]), what="an access or refresh token")
        return TokenAnswer(AccessToken(access, renew_at), refresh_token)

    def _refusal(self, code: str, message: str, refused: str) -> LandingError:
        match code:
            case "invalid_client" | "unauthorized_client":
                return SettingsError(
                    f"{self._shown} does not accept the client ({message}): check its id and "
                    "secret, whether it may use this grant, and client_auth"
                )
            case "invalid_grant":
                return ApiError(f"{self._shown} does not accept {refused} ({message})")
            case "invalid_scope":
                return SettingsError(f"{self._shown} does not grant the scope ({message})")
        return ApiError(f"{self._shown} refused: {message}")

    @property
    def _shown(self) -> str:
        return f"token endpoint {self.shown_url}"

    @property
    def shown_url(self) -> str:
        return secrets.redacted(self.url.partition("?")[0])


def _retries(grant_type: str) -> Retry:
    """Repeats requests that did not arrive, or were turned away. All attempts together take less
    than BucketTokens allows to a claim."""
    is_spent_once = grant_type in _SPENT_ONCE
    return Retry(
        total=2,
        read=0,
        other=0,
        status_forcelist=_TURNED_AWAY if is_spent_once else _TURNED_AWAY + _FAILED_GATEWAY,
        allowed_methods=None,
        backoff_factor=0.5,
        respect_retry_after_header=False,
        raise_on_status=False,
    )


def _renew_at(begun: float, expires_in: Any) -> float | None:
    """Some providers say 0 of tokens that do not end."""
    lasts = _lasts(begun, expires_in)
    if lasts is None:
        return None
    return begun + lasts - min(_RENEWED_BEFORE, lasts / 10) if lasts > 0 else None


def _lasts(begun: float, expires_in: Any) -> float | None:
    """Seconds, of a number or text of one; also of a date, or of the time when it ends."""
    try:
        number = float(expires_in)
    except (TypeError, ValueError):
        try:
            ends = datetime.fromisoformat(str(expires_in).strip())
        except ValueError:
            return None
        return (ends if ends.tzinfo else ends.replace(tzinfo=UTC)).timestamp() - begun
    if not math.isfinite(number):
        return None
    return number - begun if number > _EPOCH else number


def _tokens_first(response: requests.Response) -> requests.Response:
    """The answer as the standard has it, so that no tokens are lost by what stands beside them: a
    refresh token that was spent for them is not accepted again."""
    given = _given(response)
    nested = next((v for v in given.values() if isinstance(v, dict) and "access_token" in v), None)
    given = {**given, **(nested or {})}
    if not isinstance(given.get("access_token"), str) or not given["access_token"]:
        return response
    kept = {name: given[name] for name in _OF_TOKENS if name in given}
    if (lasts := _lasts(time.time(), kept.pop("expires_in", None))) is not None:
        kept["expires_in"] = int(lasts)
    response._content = json.dumps(kept).encode()
    response.encoding = "utf-8"
    return response


def _given(response: requests.Response) -> dict[str, Any]:
    if response.status_code >= 500:
        return {}
    try:
        found = response.json()
    except ValueError:
        found = dict(parse_qsl(response.text.strip()))
    return found if isinstance(found, dict) else {}


def _as_it_is(request: PreparedRequest) -> PreparedRequest:
    """For assertions, which say themselves who asks."""
    return request


def _status(error: requests.HTTPError) -> str:
    status = error.response.status_code
    is_busy = status == 429 or status >= 500
    hint = "try again later" if is_busy else "is it the right URL?"
    return f"{status} {error.response.reason}; {hint}"


def _message(error: Any) -> str:
    """One line; a provider may quote what it was sent."""
    text = f"{error.error}: {error.description}" if error.description else str(error.error)
    return " ".join(secrets.redacted(text).split())[:200]


def digest(text: str) -> str:
    """To know a secret again by, without keeping it."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
