"""Login by a separate request whose answer has a token."""

from __future__ import annotations

import json as jsonlib
import time
from collections.abc import Mapping
from typing import Any

import msgspec
import requests
from requests import Response

from landing import secrets
from landing.errors import ApiError, SourceError
from landing.http.api_messages import answered, decoded, message_of
from landing.http.auth.login_request import TIMEOUT, logged_in, register_secrets
from landing.http.auth.renewed import AccessToken, RenewedAuth, renew_at
from landing.http.failed_answers import JsonBody
from landing.http.shapes import shape_of

_TOKEN_LENGTH = 16
"""Words of messages are shorter, and tokens longer."""


class TokenLogin(RenewedAuth[AccessToken]):
    """Logs in by a POST of `json` or `data` (a form) to `url`, and sends the token of the response
    with each request. Logs in again after a 401, once, and before the token expires.

        TokenLogin(
            "https://shop.example.com/login",
            json={"user": os.environ["SHOP_USER"], "password": os.environ["SHOP_PASSWORD"]},
            token="data.token",
            header="X-Auth-Token: {token}",
        )

    `token` is the token's path in the body, or "" if it is the whole body. `expires` is the path of
    its lifetime or end, or its lifetime in seconds. `auth` and `headers` are sent with the login
    alone. Raises ApiError if there is no token. For another kind of login, override `log_in` in a
    subclass.
    """

    def __init__(
        self,
        url: str,
        *,
        json: Any = None,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        token: str = "token",
        header: str = "Authorization: Bearer {token}",
        expires: str | float | None = None,
    ) -> None:
        name, _, template = header.partition(":")
        if not name.strip() or "{token}" not in template:
            raise SourceError(
                f"TokenLogin's header '{secrets.redacted(header)}' has to be a name, a colon and a "
                "text with {token} in it, such as 'Authorization: Bearer {token}'"
            )
        self.url = url
        self.token = token
        self.expires = expires
        self._header, self._template = name.strip(), template.strip()
        self._sent: dict[str, Any] = {"json": json, "data": data, "headers": headers, "auth": auth}
        register_secrets(json, data, headers, {"password": auth[1]} if auth else None)
        own = jsonlib.dumps(self._sent, sort_keys=True, default=dict)
        super().__init__(url, token, header, expires, own)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._shown!r}, ***)"

    def obtain(self, refused: AccessToken | None) -> AccessToken:
        begun = time.time()
        response, _ = logged_in(self.log_in, self._shown)
        token = self._value(response, self.token)
        if problem := self._problem(token, response):
            raise ApiError(
                f"login at {self._shown} answered {self._without_token(response)}, but {problem}"
            )
        found = str(token).strip()
        secrets.register(found, what="the token of a login")
        expires = self.expires
        if isinstance(expires, str):
            expires = self._value(response, expires)
        return AccessToken(found, renew_at(begun, expires), self._header, self._template)

    def log_in(self, session: requests.Session) -> Response:
        """Logs in with `session`; returns the response that has the token."""
        return session.post(self.url, allow_redirects=False, timeout=TIMEOUT, **self._sent)

    def _value(self, response: Response, path: str) -> Any:
        if path:
            body = JsonBody.of(response)
            return None if body is None else body.at(path)
        try:
            return msgspec.json.decode(response.content)
        except (msgspec.MsgspecError, UnicodeError):
            return response.text

    def _problem(self, found: Any, response: Response) -> str:
        """Why what is at the path is no token, without showing it; empty if it may be one."""
        where = f"at '{self.token}'" if self.token else "as its body"
        if found is None or found == "":
            hint = "check the source's user and password, and the path"
            try:
                return f"has no token {where}: it is {shape_of(decoded(response.content))}; {hint}"
            except ValueError:
                return f"has no token {where}: {hint}"
        if isinstance(found, str) and (len(found.split()) > 1 or found.lstrip()[:1] in "<{["):
            return f"has no token {where}: the text there is none; check the path token="
        if isinstance(found, bool) or not isinstance(found, str | int):
            return f"has no token {where}, but {shape_of(found)}: check the path token="
        return ""

    def _without_token(self, response: Response) -> str:
        """The status, and the API's words only if all of them are short: a token that was not found
        may be anywhere in the body."""
        words = message_of(response).split()
        is_message = len(words) > 1 and max(map(len, words)) < _TOKEN_LENGTH
        is_message = is_message and not words[0].startswith(("{", "["))
        return answered(response) if is_message else f"{response.status_code} {response.reason}"

    @property
    def _shown(self) -> str:
        return secrets.redacted(self.url.partition("?")[0])
