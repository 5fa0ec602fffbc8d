"""Answers that say of a failure in their body, with the status of a success."""

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
from landing.http.own_words import own_words, said_by
from landing.http.retries import FailedAnswer
from landing.http.server_times import seconds_until, sent_at

Scalar: TypeAlias = str | int | float | bool | None
_MISSING: Any = object()
"""In the place of a value of which the body does not have the path."""
_NOTHING = ("", "0", "false", "null", "none")
"""What APIs write where they have no error to report."""


class FailureTest(Protocol):
    def failure(self, response: Response) -> FailedAnswer | None:
        """What is wrong with an answer that was read; None if nothing is."""
        ...


@dataclass(frozen=True)
class FailsIf:
    """Which answers with a status 2xx and a JSON body are failures.

        FailsIf("error")                                  # there is an error
        FailsIf("ok", equals=False)                       # so it says
        FailsIf("code", unless=(0, 200), retry=(40100,))  # any other code; this one passes
        FailsIf(lambda body: "limit" in body.get("result", ""), retry=True)

    `where` is a path, or a function of the decoded body. Without `equals` and `unless`, anything at
    the path is a failure but null, false, 0, and what is empty. With `equals`, an answer without
    the path is no failure, also for `equals=None`; with `unless`, it is one, if None is not
    among the values.

    `retry` says which failures pass, so that the request is made again as `Retries` says: all, or
    those with one of the given values at the path `code`, which is `where` by default, or those of
    which a function of the body returns something true. `wait` is the path of the seconds to wait.
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
        is_said = callable(self.where) and isinstance(found, str)
        wait = body.at(self.wait) if self.wait else None
        return FailedAnswer(
            f"answered {response.status_code}, but its body says that it failed: "
            f"{said_by(found) if is_said else own_words(response)}",
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
    """A failure test for a page that its API has named as the next one: an answer without a body is
    no page. Others are left to another test."""

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
    """A path or a function alone stands for the failure test of it."""
    if isinstance(given, str) or (callable(given) and not hasattr(given, "failure")):
        return FailsIf(given)
    return given


class JsonBody:
    """A JSON body, of which no more is decoded than is looked at: it may be a page of many MB."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    @classmethod
    def of(cls, response: Response) -> JsonBody | None:
        """None if the answer's body is something else."""
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
        """Decoded, also where an odd number or half a surrogate is in it."""
        try:
            return json.loads(self._content, strict=False)
        except (ValueError, RecursionError):
            return None


def _listed(values: Any) -> frozenset[str]:
    is_many = isinstance(values, Collection) and not isinstance(values, str)
    return frozenset(map(_plain, values if is_many else [values]))


def _plain(value: Any) -> str:
    """In one spelling: APIs write 0 or "0", and false or "false"."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value).strip().lower()


def _scalars(value: Any) -> Iterator[Any]:
    """The value, or those in it."""
    if isinstance(value, Mapping | list):
        for member in value.values() if isinstance(value, Mapping) else value:
            yield from _scalars(member)
    else:
        yield value
