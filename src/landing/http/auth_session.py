"""Login with a request of its own, and the cookie that it sets."""

from __future__ import annotations

import json as jsonlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests import PreparedRequest, Response
from requests.cookies import RequestsCookieJar

from landing import secrets
from landing.errors import ApiError
from landing.http.auth_renewed import RenewedAuth

_TIMEOUT = (10, 30)


@dataclass(frozen=True)
class LoginCookies:
    jar: RequestsCookieJar = field(repr=False)
    ends: float | None
    """Seconds since 1970; None if nobody said."""

    def is_due(self) -> bool:
        return self.ends is not None and time.time() >= self.ends

    def attach(self, request: PreparedRequest) -> None:
        """Into the request's own jar, from which requests takes what it sends after a redirect."""
        cookies: RequestsCookieJar = request._cookies  # type: ignore[attr-defined]
        cookies.update(self.jar)
        request.headers.pop("Cookie", None)
        request.prepare_cookies(cookies)

    def is_in(self, request: PreparedRequest) -> bool:
        sent = str(request.headers.get("Cookie", "")).split("; ")
        return any(f"{cookie.name}={cookie.value}" in sent for cookie in self.jar)


class SessionLogin(RenewedAuth[LoginCookies]):
    """Logs in with `data` (a form) or `json`, and again once the API answers 401, sends a
    request to the page at `url`, or the cookie named `cookie` ends.

    A login without an answer that sets `cookie` (any cookie, if none is named) raises ApiError.
    Where login takes several steps, a subclass overrides `log_in`.
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
        super().__init__(url, cookie, jsonlib.dumps(self._sent, sort_keys=True, default=dict))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._shown!r}, ***)"

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.register_hook("response", self._sign_in_page_is_401)  # type: ignore[no-untyped-call]
        return super().__call__(request)

    def obtain(self, refused: LoginCookies | None) -> LoginCookies:
        with requests.Session() as session:
            try:
                response = self.log_in(session)
            except requests.RequestException as error:
                raise ApiError(
                    f"login at {self._shown} failed: {type(error).__name__}; is the API up and the "
                    "address right?"
                ) from None
            jar = session.cookies
        if response.status_code >= 400:
            raise ApiError(
                f"login at {self._shown} answered {response.status_code} {response.reason}: check "
                "the source's user and password"
            )
        found = [cookie for cookie in jar if self.cookie in (None, cookie.name)]
        if not found:
            what = f"the cookie '{self.cookie}'" if self.cookie else "a cookie"
            raise ApiError(
                f"login at {self._shown} answered {response.status_code}, but did not set {what}: "
                "check the source's user and password"
            )
        secrets.register(*(cookie.value for cookie in jar if cookie.value))
        ends = found[0].expires if self.cookie else None
        return LoginCookies(jar, ends)

    @property
    def _shown(self) -> str:
        return secrets.redacted(self.url.partition("?")[0])

    def log_in(self, session: requests.Session) -> Response:
        """Log in with `session`, whose cookies are then kept; gives the last answer."""
        return session.post(self.url, allow_redirects=False, timeout=_TIMEOUT, **self._sent)

    def _sign_in_page_is_401(self, response: Response, **_: object) -> None:
        """A redirect to the login page is how an API with cookies says that they ended."""
        if not response.is_redirect:
            return
        target = urlsplit(urljoin(response.url, response.headers["Location"]))
        own = urlsplit(self.url)
        if (target.netloc, target.path) == (own.netloc, own.path):
            del response.headers["Location"]
            response.status_code, response.reason = 401, "Unauthorized"
