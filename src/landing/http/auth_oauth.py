"""OAuth 2: access tokens from a token endpoint, renewed a little before they end."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import requests
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from landing import secrets
from landing.errors import ApiError, LandingError, SettingsError
from landing.http.auth_renewed import RenewedAuth
from landing.http.tokens import Tokens, TokenStore, missing_extra

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
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTION_SECONDS = 180
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
class Answer:
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
        return _digest(f"{self.url} {self.client_id}")

    def ask(self, grant_type: str, refused: str, **parameters: str | None) -> Answer:
        """`refused` is what a person is told to do if the grant is not accepted.

        Raises SettingsError if the client is not accepted, ApiError for all else. Redirects are
        not followed, as they would take the secret along.
        """
        sent = [parameters.get(name) for name in _SECRET_PARAMETERS]
        secrets.register(*filter(None, [self.client_secret, *sent]), what="a secret of the client")
        begun = time.time()
        session = self._session(grant_type)
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
            raise self._refusal(error.error, _told(error), refused) from None
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

    def _answer(self, given: Mapping[str, Any], begun: float) -> Answer:
        if not given.get("access_token"):
            raise ApiError(f"{self._shown} answered without an access token: is it the right URL?")
        renew_at = _renew_at(begun, given.get("expires_in"))
        access, refresh_token = str(given["access_token"]), given.get("refresh_token") or None
        secrets.register(*filter(None, [access, refresh_token]), what="an access or refresh token")
        return Answer(AccessToken(access, renew_at), refresh_token)

    def _refusal(self, code: str, told: str, refused: str) -> LandingError:
        match code:
            case "invalid_client" | "unauthorized_client":
                return SettingsError(
                    f"{self._shown} does not accept the client ({told}): check its id and secret, "
                    "whether it may use this grant, and client_auth"
                )
            case "invalid_grant":
                return ApiError(f"{self._shown} does not accept {refused} ({told})")
            case "invalid_scope":
                return SettingsError(f"{self._shown} does not grant the scope ({told})")
        return ApiError(f"{self._shown} refused: {told}")

    @property
    def _shown(self) -> str:
        return f"token endpoint {self.shown_url}"

    @property
    def shown_url(self) -> str:
        return secrets.redacted(self.url.partition("?")[0])


class _OAuth2(RenewedAuth[AccessToken]):
    endpoint: TokenEndpoint

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.endpoint.shown_url!r}, ***)"


class OAuth2ClientCredentials(_OAuth2):
    """A token for the client itself. `extra` goes into the token request, such as `audience`."""

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: str,
        *,
        scope: str | None = None,
        client_auth: ClientAuth = "header",
        extra: Mapping[str, str] | None = None,
    ) -> None:
        self.endpoint = TokenEndpoint(token_url, client_id, client_secret, client_auth, extra or {})
        self.scope = scope
        super().__init__(token_url, client_id, client_secret, scope, client_auth, _key(extra))

    def obtain(self, refused: AccessToken | None) -> AccessToken:
        answer = self.endpoint.ask("client_credentials", "the client's grant", scope=self.scope)
        return answer.access


class JwtBearer(_OAuth2):
    """A token for a service account, for an assertion signed with its private key (RFC 7523).

    `private_key` is PEM. `audience` is the token URL if not given, `subject` the user to act for,
    if any. Raises SettingsError if the key can't be used.
    """

    def __init__(
        self,
        token_url: str,
        issuer: str,
        private_key: str,
        *,
        subject: str | None = None,
        audience: str | None = None,
        scope: str | None = None,
        algorithm: str = "RS256",
        key_id: str | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> None:
        self.endpoint = TokenEndpoint(token_url, None)
        self.issuer = issuer
        self.subject = subject
        self.audience = audience or token_url
        self.scope = scope
        # Variables often have a key in one line, with its breaks spelled out.
        self._private_key = private_key.replace("\\n", "\n")
        self._header = {"alg": algorithm, **({"kid": key_id} if key_id else {})}
        # Google reads the scope among the claims, others among the request's parameters.
        self._claims = {**({"scope": scope} if scope else {}), **(claims or {})}
        super().__init__(
            token_url, issuer, private_key, subject, audience, scope, _key(self._header),
            _key(self._claims),
        )  # fmt: skip

    def obtain(self, refused: AccessToken | None) -> AccessToken:
        answer = self.endpoint.ask(
            _JWT_BEARER,
            "the signed assertion; check issuer, subject, audience, the key, and this machine's "
            "clock",
            assertion=self._assertion(),
            scope=self.scope,
        )
        return answer.access

    def _assertion(self) -> str:
        try:
            from authlib.oauth2.rfc7523.assertion import sign_jwt_bearer_assertion
            from joserfc.errors import JoseError
            from joserfc.jwk import import_key
        except ModuleNotFoundError:
            raise missing_extra("OAuth 2") from None
        try:
            signed: str = sign_jwt_bearer_assertion(
                import_key(self._private_key, _key_type(self._header["alg"])),
                self.issuer,
                self.audience,
                self.subject,
                claims=dict(self._claims),
                header=dict(self._header),
                expires_in=_ASSERTION_SECONDS,
            )
        except (JoseError, ValueError) as error:
            raise SettingsError(
                f"the private key of '{self.issuer}' can't sign with {self._header['alg']} "
                f"({type(error).__name__}): it has to be the whole PEM text"
            ) from None
        return signed


class OAuth2RefreshToken(_OAuth2):
    """A token that a person granted once, renewed with a refresh token that `store` keeps.

    The first refresh token comes from `landing login` (which needs `authorize_url`), or is given;
    one that is given is used until the provider gives another, and again only if it is changed.
    Processes that share the store share the access token too, since some providers end it when
    another is given out.
    """

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: str | None = None,
        *,
        store: TokenStore,
        refresh_token: str | None = None,
        authorize_url: str | None = None,
        redirect_uri: str = "http://127.0.0.1:8914/callback",
        scope: str | None = None,
        client_auth: ClientAuth = "header",
        extra: Mapping[str, str] | None = None,
        authorize_extra: Mapping[str, str] | None = None,
    ) -> None:
        self.endpoint = TokenEndpoint(token_url, client_id, client_secret, client_auth, extra or {})
        self.store = store
        self.authorize_url = authorize_url
        self.redirect_uri = redirect_uri
        self.scope = scope
        self.authorize_extra = dict(authorize_extra or {})
        self._given = refresh_token or ""
        super().__init__(
            token_url, client_id, client_secret, repr(store), self._given, client_auth, _key(extra)
        )

    def obtain(self, refused: AccessToken | None) -> AccessToken:
        # In a thread, as signals interrupt only the main one: what the provider has given must
        # be kept before a Ctrl-C or the end of a pod is heeded.
        with ThreadPoolExecutor(1, thread_name_prefix="landing-tokens") as thread:
            return thread.submit(self._obtain, refused).result()

    def keep(self, answer: Answer) -> None:
        """What a login gave, in place of whatever was kept."""
        if answer.refresh_token is None:
            raise ApiError(
                "the provider gave an access token, but no refresh token: ask for the scope that "
                "grants one (often offline_access) in `scope`, or see its documentation for what "
                "`authorize_extra` has to say (Google: access_type=offline, prompt=consent)"
            )
        refresh_token = answer.refresh_token
        self.store.update(lambda kept: self._tokens(answer, refresh_token, kept))

    def _obtain(self, refused: AccessToken | None) -> AccessToken:
        kept = self.store.read()
        if kept is None or not self._is_usable(kept, refused):
            kept = self.store.update(partial(self._renewed, refused=refused))
        secrets.register(kept.access_token, kept.refresh_token, what="an access or refresh token")
        return AccessToken(kept.access_token, kept.renew_at)

    def _renewed(self, kept: Tokens | None, refused: AccessToken | None) -> Tokens:
        if kept is not None and self._is_usable(kept, refused):
            return kept  # another process was quicker
        spent = self._refresh_token(kept)
        answer = self.endpoint.ask(
            "refresh_token",
            f"the refresh token any more; run `landing login {self.store.name}` again",
            refresh_token=spent,
        )
        return self._tokens(answer, answer.refresh_token or spent, kept)

    def _refresh_token(self, kept: Tokens | None) -> str:
        login = f"run `landing login {self.store.name}`"
        if self._is_newly_given(kept):
            return self._given
        if kept is None:
            raise SettingsError(f"source '{self.store.name}' has no refresh token yet: {login}")
        if kept.client != self.endpoint.client:
            raise SettingsError(
                f"the tokens in {self.store!r} are of another client or token URL: {login} again"
            )
        return kept.refresh_token

    def _is_usable(self, kept: Tokens, refused: AccessToken | None) -> bool:
        access = AccessToken(kept.access_token, kept.renew_at)
        return (
            kept.client == self.endpoint.client
            and not self._is_newly_given(kept)
            and not access.is_due()
            and (refused is None or access.token != refused.token)
        )

    def _is_newly_given(self, kept: Tokens | None) -> bool:
        return bool(self._given) and (kept is None or kept.given != _digest(self._given))

    def _tokens(self, answer: Answer, refresh_token: str, kept: Tokens | None) -> Tokens:
        access = answer.access
        # A process without the variable must not make the others take theirs for a new one.
        given = _digest(self._given) if self._given else (kept.given if kept else "")
        return Tokens(refresh_token, access.token, access.renew_at, self.endpoint.client, given)


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
    try:
        lasts = float(expires_in)
    except (TypeError, ValueError):
        return None
    return begun + lasts - min(_RENEWED_BEFORE, lasts / 10) if lasts > 0 else None


def _key_type(algorithm: str) -> Literal["EC", "OKP", "RSA"]:
    if algorithm.startswith("Ed"):
        return "OKP"
    return "EC" if algorithm.startswith("ES") else "RSA"


def _as_it_is(request: PreparedRequest) -> PreparedRequest:
    """For assertions, which say themselves who asks."""
    return request


def _status(error: requests.HTTPError) -> str:
    status = error.response.status_code
    is_busy = status == 429 or status >= 500
    hint = "try again later" if is_busy else "is it the right URL?"
    return f"{status} {error.response.reason}; {hint}"


def _told(error: Any) -> str:
    """One line; a provider may quote what it was sent."""
    text = f"{error.error}: {error.description}" if error.description else str(error.error)
    return " ".join(secrets.redacted(text).split())[:200]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _key(mapping: Mapping[str, Any] | None) -> str:
    return json.dumps(dict(mapping or {}), sort_keys=True, default=str)
