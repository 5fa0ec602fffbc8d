"""Responses that report a failure in their body, despite a status 2xx."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeAlias

import msgspec
from requests import Response

from landing.columns import json_path
from landing.columns.text_encoding import as_utf8
from landing.http.api_messages import message_in, message_of
from landing.http.retries import FailedAnswer
from landing.http.server_times import seconds_until, sent_at

Scalar: TypeAlias = str | int | float | bool | None
_MISSING: Any = object()
"""Stands for the value of a path that the body does not have."""
_NOTHING = ("", "0", "false", "null", "none")
"""What APIs write where they have no error to report."""


class FailureTest(Protocol):
    def failure(self, response: Response) -> FailedAnswer | None:
        """The failure that the response reports; None if there is none."""
        ...


@dataclass(frozen=True)
class FailsIf:
    """Decides which responses with a status 2xx and a JSON body are failures.

        FailsIf("error")                                  # "error" is set
        FailsIf("ok", equals=False)                       # "ok" is false
        FailsIf("code", unless=(0, 200), retry=(40100,))  # any other code; 40100 is retried
        FailsIf(lambda body: "limit" in body.get("result", ""), retry=True)

    `where` is a path, or a function of the decoded body. Without `equals` and `unless`, a response
    fails if the value at the path is anything but null, false, 0 or empty. With `equals`, it fails
    if the value is this one, or one of several; a missing value is no failure. With `unless`, it
    fails if the value is any other, or is missing and None is not among them.

    `retry` says after which failures the request is sent again, as `Retries` says: True for all, or
    values at the path `code` (by default `where`), or a function of the body. `wait` is the path of
    the number of seconds to wait.
    """

    where: str | Callable[[Any], object]
    equals: Scalar | Collection[Scalar] = ()
    unless: Scalar | Collection[Scalar] = ()
    retry: Scalar | Collection[Scalar] | Callable[[Any], object] = False
    code: str = ""
    wait: str = ""

    def failure(self, response: Response) -> FailedAnswer | None:
        body = JsonBody.of(response) if 200 <= response.status_code < 300 else None
        if body is None:
            return None
        found = self._found(body)
        if not self._is_failure(found):
            return None
        is_message = callable(self.where) and isinstance(found, str)
        wait = body.at(self.wait) if self.wait else None
        return FailedAnswer(
            f"answered {response.status_code}, but its body says that it failed: "
            f"{message_in(found) if is_message else message_of(response)}",
            response=response,
            passes=self._passes(body, found),
            wait=None if wait is None else seconds_until(str(wait), sent_at(response.headers)),
        )

    def _found(self, body: JsonBody) -> Any:
        if not callable(self.where):
            return body.at(self.where, _MISSING)
        return None if body.whole is None else self.where(body.whole)

    def _is_failure(self, found: Any) -> bool:
        if callable(self.where):
            return bool(found)
        if self.equals != ():
            return found is not _MISSING and _plain(found) in _listed(self.equals)
        if self.unless != ():
            return _plain(None if found is _MISSING else found) not in _listed(self.unless)
        return found is not _MISSING and found not in ([], {}) and _plain(found) not in _NOTHING

    def _passes(self, body: JsonBody, found: Any) -> bool:
        if isinstance(self.retry, bool):
            return self.retry
        if callable(self.retry):
            return bool(self.retry(body.whole))
        place = body.at(self.code, _MISSING) if self.code else found
        return place is not _MISSING and not _listed(self.retry).isdisjoint(
            map(_plain, _scalars(place))
        )


@dataclass(frozen=True)
class NoBody:
    """A failure test for a page that the API has linked to: a response without a body fails. Any
    other response is left to the test `other`."""

    other: FailureTest | None = None

    def failure(self, response: Response) -> FailedAnswer | None:
        if response.ok and not response.content.strip():
            return FailedAnswer(
                f"answered {response.status_code} without a body, though the page before says that "
                "there is more: the API, or a cache or gateway in front of it, lost a page",
                response=response,
                passes=True,
            )
        return self.other.failure(response) if self.other is not None else None


FailsIfGiven: TypeAlias = str | Callable[[Any], object] | FailureTest | None


def failure_test(given: FailsIfGiven) -> FailureTest | None:
    """The failure test that a user gave; a path or a function alone is the first argument of
    `FailsIf`."""
    if isinstance(given, str) or (callable(given) and not hasattr(given, "failure")):
        return FailsIf(given)
    return given


class JsonBody:
    """A JSON body that is decoded only as far as needed: it may be a page of many MB."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    @classmethod
    def of(cls, response: Response) -> JsonBody | None:
        """The response's body; None if it is not JSON."""
        try:
            content = as_utf8(response.content)
        except ValueError:
            return None
        return cls(content) if content.lstrip()[:1] in (b"{", b"[") else None

    def at(self, path: str, missing: Any = None) -> Any:
        """The value at a path, or `missing`."""
        try:
            return json_path.value_at(self._content, path, missing)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return json_path.value_in(self.whole, path, missing)

    @cached_property
    def whole(self) -> Any:
        """The decoded body, even if it has numbers or surrogates that are not valid JSON."""
        try:
            return json.loads(self._content, strict=False)
        except (ValueError, RecursionError):
            return None


def _listed(values: Any) -> frozenset[str]:
    is_many = isinstance(values, Collection) and not isinstance(values, str)
    return frozenset(map(_plain, values if is_many else [values]))


def _plain(value: Any) -> str:
    """A value as text, since APIs write 0 or "0", and false or "false"."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value).strip().lower()


def _scalars(value: Any) -> Iterator[Any]:
    """The value, or the values in it."""
    if isinstance(value, Mapping | list):
        for member in value.values() if isinstance(value, Mapping) else value:
            yield from _scalars(member)
    else:
        yield value
