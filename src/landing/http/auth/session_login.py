"""Login by a separate request that sets a cookie."""

from __future__ import annotations

import json as jsonlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookiejar import Cookie
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests import PreparedRequest, Response
from requests.cookies import RequestsCookieJar

from landing import secrets
from landing.errors import ApiError
from landing.http.auth.login_request import TIMEOUT, logged_in, register_secrets
from landing.http.auth.renewed import RenewedAuth


@dataclass(frozen=True)
class LoginCookies:
    jar: RequestsCookieJar = field(repr=False)
    name: str | None
    """Name of the session's cookie; None if it may be any in the jar."""
    ends: float | None
    """Seconds since 1970; None if unknown."""

    def is_due(self) -> bool:
        return self.ends is not None and time.time() >= self.ends

    def attach(self, request: PreparedRequest) -> None:
        """Add the cookies to the request's own jar, which `requests` uses after a redirect."""
        cookies: RequestsCookieJar = request._cookies  # type: ignore[attr-defined]
        cookies.update(self.jar)
        request.headers.pop("Cookie", None)
        request.prepare_cookies(cookies)

    def is_in(self, request: PreparedRequest) -> bool:
        """Compare only the session's cookie: others, such as a language, stay the same."""
        sent = _sent_cookies(request)
        own = PreparedRequest()
        own.prepare(method="GET", url=request.url, cookies=self.jar)
        expected = {
            cookie for cookie in _sent_cookies(own) if self.name in (None, cookie.partition("=")[0])
        }
        return expected <= sent


def _sent_cookies(request: PreparedRequest) -> set[str]:
    return set(filter(None, str(request.headers.get("Cookie", "")).split("; ")))


class SessionLogin(RenewedAuth[LoginCookies]):
    """Logs in with `data` (a form) or `json`, and again when the API answers 401, redirects a
    request to `url`, or the cookie named `cookie` expires.

    Raises ApiError if the login does not set `cookie`, or any cookie if it is None. For a login of
    several steps, override `log_in` in a subclass.
    """

    def __init__(
        self,
        url: str,
        *,
        data: Mapping[str, str] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        cookie: str | None = None,
    ) -> None:
        self.url = url
        self.cookie = cookie
        self._sent: dict[str, Any] = {"data": data, "json": json, "headers": headers}
        register_secrets(data, json, headers)
        super().__init__(url, cookie, jsonlib.dumps(self._sent, sort_keys=True, default=dict))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._shown!r}, ***)"

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.register_hook("response", self._sign_in_page_is_401)  # type: ignore[no-untyped-call]
        return super().__call__(request)

    def obtain(self, refused: LoginCookies | None) -> LoginCookies:
        response, jar = logged_in(self.log_in, self._shown)
        found = [cookie for cookie in jar if self.cookie in (None, cookie.name)]
        if not found:
            what = f"the cookie '{self.cookie}'" if self.cookie else "a cookie"
            raise ApiError(
                f"login at {self._shown} answered {response.status_code}, but did not set {what}: "
                "check the source's user and password"
            )
        unsure = "" if self.cookie else " (a guess: name it with SessionLogin(cookie=…))"
        for cookie in jar:
            if self._is_secret(cookie):
                what = f"the session's cookie '{cookie.name}'{unsure}"
                secrets.register(str(cookie.value), what=what)
        ends = found[0].expires if self.cookie else None
        return LoginCookies(jar, self.cookie, ends)

    def _is_secret(self, cookie: Cookie) -> bool:
        """Whether it is, or may be, a secret. The values of other cookies, such as a language, may
        occur in any record."""
        is_marked = secrets.is_secret_name(cookie.name) or cookie.has_nonstandard_attr("HttpOnly")
        return bool(cookie.value) and (self.cookie in (None, cookie.name) or is_marked)

    @property
    def _shown(self) -> str:
        return secrets.redacted(self.url.partition("?")[0])

    def log_in(self, session: requests.Session) -> Response:
        """Log in with `session`, whose cookies are then kept; returns the last response."""
        return session.post(self.url, allow_redirects=False, timeout=TIMEOUT, **self._sent)

    def _sign_in_page_is_401(self, response: Response, **_: object) -> None:
        """Turn a redirect to the login page into a 401: it means that the cookies have expired."""
        if not response.is_redirect:
            return
        target = urlsplit(urljoin(response.url, response.headers["Location"]))
        own = urlsplit(self.url)
        if (target.netloc, target.path) == (own.netloc, own.path):
            del response.headers["Location"]
            response.status_code, response.reason = 401, "Unauthorized"
