"""OAuth 2 for the client itself, for a service account, and as granted by a person."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, Literal

from landing import secrets
from landing.errors import ApiError, SettingsError, needs
from landing.http.auth.renewed import AccessToken, RenewedAuth
from landing.http.auth.token_endpoint import ClientAuth, TokenAnswer, TokenEndpoint, digest
from landing.http.auth.token_store import Tokens, TokenStore

_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTION_SECONDS = 180


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
        answer = self.endpoint.request("client_credentials", "the client's grant", scope=self.scope)
        return answer.access


class JwtBearer(_OAuth2):
    """A token for a service account, obtained with an assertion that its private key signs
    (RFC 7523).

    `private_key` is PEM. `audience` defaults to the token URL. `subject` is the user to act for, if
    any. Raises SettingsError if the key can't be used.
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
        # Variables often have a key in one line, with `\n` for its line breaks.
        self._private_key = private_key.replace("\\n", "\n")
        kept = secrets.secrets_of("private_key", private_key)
        secrets.register_lasting(*kept, what="a line of a private key")
        self._header = {"alg": algorithm, **({"kid": key_id} if key_id else {})}
        # Google reads the scope from the claims, others from the request's parameters.
        self._claims = {**({"scope": scope} if scope else {}), **(claims or {})}
        super().__init__(
            token_url, issuer, private_key, subject, audience, scope, _key(self._header),
            _key(self._claims),
        )  # fmt: skip

    def obtain(self, refused: AccessToken | None) -> AccessToken:
        answer = self.endpoint.request(
            _JWT_BEARER,
            "the signed assertion; check issuer, subject, audience, the key, and this machine's "
            "clock",
            assertion=self._assertion(),
            scope=self.scope,
        )
        return answer.access

    def _assertion(self) -> str:
        with needs("OAuth 2", "auth"):
            from authlib.oauth2.rfc7523.assertion import sign_jwt_bearer_assertion
            from joserfc.errors import JoseError
            from joserfc.jwk import import_key
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
    """A token that a person granted once, renewed with a refresh token from `store`.

    The first refresh token comes from `landing login` (which needs `authorize_url`) or from
    `refresh_token`. The latter is used until the provider issues another, and again only if it is
    changed. Processes that share the store also share the access token, since some providers
    revoke it when they issue another.
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
        # In a thread, since signals interrupt only the main one: a new token must be saved before
        # the process reacts to Ctrl-C or the end of its pod.
        with ThreadPoolExecutor(1, thread_name_prefix="landing-tokens") as thread:
            return thread.submit(copy_context().run, self._obtain, refused).result()

    def keep(self, answer: TokenAnswer) -> None:
        """Save the tokens of a login, replacing earlier ones. Raises ApiError without a refresh
        token."""
        if answer.refresh_token is None:
            raise ApiError(
                "the provider gave an access token, but no refresh token: request the scope that "
                "grants one (often offline_access) in `scope`, or see its documentation for what "
                "`authorize_extra` needs (Google: access_type=offline, prompt=consent)"
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
            return kept  # another process has renewed it
        spent = self._refresh_token(kept)
        answer = self.endpoint.request(
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
                f"the tokens in {self.store!r} belong to another client or token URL: {login} again"
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
        return bool(self._given) and (kept is None or kept.given != digest(self._given))

    def _tokens(self, answer: TokenAnswer, refresh_token: str, kept: Tokens | None) -> Tokens:
        access = answer.access
        # Keep the digest, so that processes with the variable don't mistake its token for a new
        # one.
        given = digest(self._given) if self._given else (kept.given if kept else "")
        return Tokens(refresh_token, access.token, access.renew_at, self.endpoint.client, given)


def _key_type(algorithm: str) -> Literal["EC", "OKP", "RSA"]:
    if algorithm.startswith("Ed"):
        return "OKP"
    return "EC" if algorithm.startswith("ES") else "RSA"


def _key(mapping: Mapping[str, Any] | None) -> str:
    return json.dumps(dict(mapping or {}), sort_keys=True, default=str)
