"""An endpoint with its parameters, from which pages are requested."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.message import Message
from typing import Any

from requests import Request, Response

from landing.columns import json_path
from landing.columns.json_page import JsonPage
from landing.columns.text_encoding import as_utf8
from landing.errors import ApiError
from landing.http import traffic
from landing.http.api_messages import decoded, failure_in, message_of, shown_request
from landing.http.bodies import Body, Page, unpacked
from landing.http.retries import FailedAnswer
from landing.http.shapes import shape_of


@dataclass(frozen=True)
class Answer:
    page: Page
    response: Response


@dataclass(frozen=True)
class Query:
    """An endpoint with its parameters.

    `send` takes a request, an error status that is no failure, and whether the API has linked to
    this page; it returns the response, and raises requests.HTTPError for another error status.
    `most_bytes` limits the size of an unpacked body. `ignored` lists names in responses that seem
    to announce more pages but mean something else.
    """

    send: Callable[[Request, int | None, bool], Response]
    template: Request
    body: Body
    most_bytes: int
    ignored: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        return shown_request(self.template.method, self.template.url)

    @property
    def records(self) -> str | None:
        """The path of the records in a JSON body; None for another kind of body."""
        place: str | None = getattr(self.body, "place", None)
        return place

    def request(self) -> Request:
        """A copy of the request that may be changed."""
        request = copy.copy(self.template)
        request.params = dict(self.template.params or {})
        request.headers = dict(self.template.headers or {})
        request.json = copy.deepcopy(self.template.json)
        return request

    def with_values(self, values: Mapping[str, Any]) -> Query:
        """The query with more parameters: in its JSON body, or without one in the URL."""
        request = self.request()
        for name, value in values.items():
            if request.json is None:
                request.params[name] = value
            else:
                json_path.put(request.json, name, value)
        return replace(self, template=request)

    def value_of(self, name: str) -> Any:
        """A parameter's value, in the JSON body or the URL, or None."""
        if self.template.json is None:
            return (self.template.params or {}).get(name)
        return json_path.value_in(self.template.json, name)

    def without(self, name: str) -> Query:
        """The query without one parameter, in the JSON body or the URL."""
        request = self.request()
        if request.json is None:
            request.params.pop(name, None)
        else:
            json_path.remove(request.json, name)
        return replace(self, template=request)

    def ask(
        self,
        request: Request | None = None,
        *,
        past_end: int | None = None,
        is_promised: bool = False,
    ) -> Answer:
        """Requests one page; it is empty if the response has the status `past_end` or no body.

        With `is_promised`, another response has linked to this page, and one without a body is a
        failure. Raises ApiError if the body is of another kind, or reports a failure.
        """
        try:
            response = self.send(request or self.template, past_end, is_promised)
        except FailedAnswer as error:
            attempts = int(getattr(error, "attempts", 1))
            tried = f" (tried {attempts} times)" if attempts > 1 else ""
            raise ApiError(f"{self.shown} {error}{tried}") from error
        # For `landing check`, which examines the responses of any session.
        response.landing_records = self.records  # type: ignore[attr-defined]
        response.landing_ignored = self.ignored  # type: ignore[attr-defined]
        if response.status_code == past_end:
            return Answer([], response)
        traffic.current().expects_by(response.headers)
        try:
            # Also in the response, where paginators look for the next page.
            plain = unpacked(response.content, self.most_bytes)
            response._content = as_utf8(plain, self.body.encoding or _charset(response, plain))
            if not response.content.strip():  # as with status 204
                return Answer([], response)
            page = self.body.page(response.content)
            if self.records is not None and isinstance(page, JsonPage):
                response._content = page.fixed_body or response.content
            return Answer(page, response)
        except ValueError as error:
            kind = response.headers.get("Content-Type", "no content type").partition(";")[0]
            message = f"{self.shown} answered with {kind}: {error}{_content(response)}"
            raise ApiError(message) from None


def _charset(response: Response, content: bytes) -> str | None:
    """The charset of Content-Type; None if the body is UTF-8 regardless, as JSON often is."""
    named = Message()
    named["Content-Type"] = response.headers.get("Content-Type", "")
    charset = named.get_content_charset()
    if charset is None or content.isascii():
        return None
    try:
        content.decode()
    except UnicodeDecodeError:
        return charset
    return None


def _content(response: Response) -> str:
    """The failure that the body reports, or else the kinds of its values, which may be private."""
    try:
        value = decoded(response.content)
    except ValueError:
        is_line = b"\n" not in response.content.strip()
        words = message_of(response) if is_line else ""
        return f"; it says: {words}" if words else ""
    words = failure_in(value)
    return f"; it says: {words}" if words else f"; it is {shape_of(value)}"
