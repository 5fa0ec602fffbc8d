"""Requests to an OAuth 2 token endpoint, with its errors explained in one sentence."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from landing import secrets
from landing.errors import ApiError, LandingError, SettingsError, needs
from landing.http.api_messages import tls_fault
from landing.http.auth.renewed import AccessToken, renew_at
from landing.http.server_times import seconds_until

if TYPE_CHECKING:
    from authlib.integrations.requests_client import OAuth2Session

ClientAuth = Literal["header", "body"]

_TIMEOUT = (10, 20)
_TURNED_AWAY = (429, 503)
_FAILED_GATEWAY = (502, 504)
"""After these statuses, the provider may already have processed the request."""
_SPENT_ONCE = ("authorization_code", "refresh_token")
"""Grants whose second use counts as theft."""
_OF_TOKENS = ("access_token", "refresh_token", "token_type", "scope", "id_token", "expires_in")
_SECRET_PARAMETERS = ("assertion", "code", "code_verifier", "refresh_token")
_METHODS = {"header": "client_secret_basic", "body": "client_secret_post"}


@dataclass(frozen=True)
class TokenAnswer:
    """A token endpoint's response."""

    access: AccessToken
    refresh_token: str | None = field(repr=False)


@dataclass(frozen=True)
class TokenEndpoint:
    """A token endpoint and its client; `client_auth` says where the client's secret is sent."""

    url: str
    client_id: str | None
    client_secret: str | None = field(default=None, repr=False)
    client_auth: ClientAuth = "header"
    extra: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def client(self) -> str:
        return digest(f"{self.url} {self.client_id}")

    def request(self, grant_type: str, refused: str, **parameters: str | None) -> TokenAnswer:
        """Request a token. `refused` completes the message "does not accept …" for a refused grant.

        Raises SettingsError if the client or its scope is not accepted, ApiError for all else. Does
        not follow redirects, which would forward the secret.
        """
        sent = [parameters.get(name) for name in _SECRET_PARAMETERS]
        sent += [value for name, value in self.extra.items() if secrets.is_secret_name(name)]
        secrets.register(*filter(None, [self.client_secret, *sent]), what="a secret of the client")
        begun = time.time()
        session = self._session(grant_type)
        session.register_compliance_hook("access_token_response", _tokens_first)
        try:
            given = session.fetch_token(
                self.url,
                grant_type=grant_type,
                # An assertion identifies the client itself.
                auth=None if self.client_id else lambda request: request,
                allow_redirects=False,
                timeout=_TIMEOUT,
                **{**self.extra, **parameters},
            )
        except requests.HTTPError as error:
            raise ApiError(f"{self._shown} answered {_status(error)}") from None
        except requests.RequestException as error:
            if fault := tls_fault(error):
                raise ApiError(f"{self._shown}: {fault}") from None
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
        with needs("OAuth 2", "auth"):
            from authlib.integrations.requests_client import OAuth2Session
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
        access, refresh_token = str(given["access_token"]), given.get("refresh_token") or None
        secrets.register(*filter(None, [access, refresh_token]), what="an access or refresh token")
        ends = renew_at(begun, given.get("expires_in"))
        return TokenAnswer(AccessToken(access, ends), refresh_token)

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
    """Retries requests that did not arrive or were turned away. All attempts together take less
    time than a claim of BucketTokens is valid."""
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


def _tokens_first(response: requests.Response) -> requests.Response:
    """The response in the standard's form, so that an odd member beside the tokens loses none of
    them: the refresh token that was spent for them is not accepted again."""
    given = _given(response)
    nested = next((v for v in given.values() if isinstance(v, dict) and "access_token" in v), None)
    given = {**given, **(nested or {})}
    if not isinstance(given.get("access_token"), str) or not given["access_token"]:
        return response
    kept = {name: given[name] for name in _OF_TOKENS if name in given}
    if (seconds := seconds_until(str(kept.pop("expires_in", None)), time.time())) is not None:
        kept["expires_in"] = int(seconds)
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


def _status(error: requests.HTTPError) -> str:
    status = error.response.status_code
    is_busy = status == 429 or status >= 500
    hint = "try again later" if is_busy else "is it the right URL?"
    return f"{status} {error.response.reason}; {hint}"


def _message(error: Any) -> str:
    """The error in one line, redacted, since a provider may quote the request."""
    text = f"{error.error}: {error.description}" if error.description else str(error.error)
    return " ".join(secrets.redacted(text).split())[:200]


def digest(text: str) -> str:
    """A digest that recognizes a secret without storing it."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
