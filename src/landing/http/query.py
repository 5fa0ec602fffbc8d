"""One endpoint with its parameters, ready to be asked for one page after another."""

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
from landing.http.bodies import Body, Page, unpacked
from landing.http.own_words import decoded, own_words, said_of_failure, shown_request
from landing.http.retries import FailedAnswer
from landing.http.shapes import shape_of


@dataclass(frozen=True)
class Answer:
    page: Page
    response: Response


@dataclass(frozen=True)
class Query:
    """`send` gives the answer to a request, and raises requests.HTTPError if it has an error
    status other than the given one; the flag says that there is such a page. `most_bytes` is what a
    packed body may unpack to. `ignored` are names in answers that look as if there were more pages,
    and mean something else."""

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
        """The path of the records, in a body of JSON."""
        place: str | None = getattr(self.body, "place", None)
        return place

    def request(self) -> Request:
        """A copy, to be changed."""
        request = copy.copy(self.template)
        request.params = dict(self.template.params or {})
        request.headers = dict(self.template.headers or {})
        request.json = copy.deepcopy(self.template.json)
        return request

    def with_values(self, values: Mapping[str, Any]) -> Query:
        """The query with more parameters: in the JSON body, where it has one, else in the URL."""
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
        """The answer's page; an empty one if the answer has the status `past_end`, or no body.
        `is_promised` if another answer says that there is such a page: then one without a body is a
        failure.

        Raises ApiError if the body is not of the kind that was expected, or says of a failure.
        """
        try:
            response = self.send(request or self.template, past_end, is_promised)
        except FailedAnswer as error:
            attempts = int(getattr(error, "attempts", 1))
            tried = f" (tried {attempts} times)" if attempts > 1 else ""
            raise ApiError(f"{self.shown} {error}{tried}") from error
        # For `landing check`, which looks at the answers of any session.
        response.landing_records = self.records  # type: ignore[attr-defined]
        response.landing_ignored = self.ignored  # type: ignore[attr-defined]
        if response.status_code == past_end:
            return Answer([], response)
        traffic.current().expects_by(response.headers)
        try:
            # In the answer too, where paginators look for what follows.
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
            raise ApiError(f"{self.shown} answered with {kind}: {error}{_said(response)}") from None


def _charset(response: Response, content: bytes) -> str | None:
    """What Content-Type says, unless the body is UTF-8 all the same, as is likely of JSON."""
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


def _said(response: Response) -> str:
    """What the answer says of a failure, else what it is: its values may be private."""
    try:
        value = decoded(response.content)
    except ValueError:
        is_line = b"\n" not in response.content.strip()
        words = own_words(response) if is_line else ""
        return f"; it says: {words}" if words else ""
    words = said_of_failure(value)
    return f"; it says: {words}" if words else f"; it is {shape_of(value)}"
