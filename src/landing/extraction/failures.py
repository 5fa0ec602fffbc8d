"""Turns exceptions of sources and libraries into one sentence with a remedy, without secrets."""

from __future__ import annotations

import errno
import os
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from landing.catalog.variables import empty_variables
from landing.catalog.workspace import Workspace
from landing.errors import (
    ApiError,
    BucketError,
    BucketUnusable,
    LandingError,
    SettingsError,
    StreamError,
    listed,
)
from landing.secrets import redacted

if TYPE_CHECKING:
    import requests

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_OS_FILES = (os.__file__, "<frozen os>")


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes, outermost first."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        hidden = current.__suppress_context__
        current = current.__cause__ or (None if hidden else current.__context__)


def raise_if_interrupted(error: BaseException) -> None:
    """Re-raise a Ctrl-C that dlt has wrapped like an ordinary error."""
    for cause in causes(error):
        if isinstance(cause, KeyboardInterrupt):
            raise cause


def missing_variable(error: BaseException) -> str | None:
    """NAME, if the error's root cause is `os.environ["NAME"]` of an unset variable."""
    root = list(causes(error))[-1]
    for cause in (root, *causes(error)):
        if not isinstance(cause, KeyError) or not cause.args:
            continue
        frames = traceback.extract_tb(cause.__traceback__)
        name = cause.args[0]
        is_of_os = bool(frames) and frames[-1].filename in _OS_FILES
        if is_of_os and isinstance(name, str) and name not in os.environ:
            return name
    return None


def explained(workspace: Workspace, source: str, what: str, error: Exception) -> LandingError:
    """The error for a person; `what` names what failed, such as `stream 'shop/orders'`."""
    for cause in causes(error):
        if isinstance(cause, BucketError):
            kind = BucketUnusable if isinstance(cause, BucketUnusable) else BucketError
            return kind(f"{what}: {cause}", remedy=cause.remedy)
        if isinstance(cause, ApiError | SettingsError):
            hint = _empty_hint(workspace, source)
            message = f"{cause}{hint}"
            # The client that raised it does not know the stream.
            if isinstance(cause, ApiError) and what not in message:
                message = f"{what}: {message}"
            known = cause if message == str(cause) else type(cause)(message)
            known.remedy = _listed(source) if hint else cause.remedy or _tried(source)
            return known
        if isinstance(cause, LandingError):
            return cause
        if isinstance(cause, OSError) and cause.errno in _NO_SPACE:
            return StreamError(
                f"{what}: no space left in {tempfile.gettempdir()}, where a run keeps its files "
                "until they are uploaded: make room, or set TMPDIR to a folder on a larger disk"
            )
    if name := missing_variable(error):
        client = workspace.shown(workspace.source_dir(source) / "client.py")
        return SettingsError(
            f"{name} is not set, but source '{source}' needs it; {client} describes it "
            "(set it in the environment or .env)",
            remedy=_listed(source),
        )
    import requests  # slow, and not needed in runs without errors

    hint = _empty_hint(workspace, source)
    for cause in causes(error):
        if isinstance(cause, requests.RequestException):
            message = redacted(f"{what}: {request_failed(cause)}{hint}")
            if hint and isinstance(cause, _no_url()):
                return SettingsError(message, remedy=_listed(source))
            return ApiError(message, remedy=_of_request(cause, source))
    root = _innermost_of_source(workspace, source, error)
    place = place_in_source(workspace, source, root)
    message = redacted(f"{what}: {place + ': ' if place else ''}{_message(root)}{hint}")
    return StreamError(message, remedy=_tried(source))


def _listed(source: str) -> str:
    return f"`landing env {source}` lists the source's variables, and which are set"


def _tried(source: str) -> str:
    return f"`landing check {source}` tests the source, and lands nothing"


def _of_request(error: requests.RequestException, source: str) -> str:
    """The remedy for a failed request: check the credentials if the API refused them."""
    status = None if error.response is None else error.response.status_code
    return _listed(source) if status in (401, 403) else _tried(source)


def _empty_hint(workspace: Workspace, source: str) -> str:
    names = empty_variables(workspace, source)
    if not names:
        return ""
    return f"; {listed(names)} {'is' if len(names) == 1 else 'are'} set but empty"


def request_failed(error: requests.RequestException) -> str:
    """Why a request failed, without the library's own words."""
    tried = int(getattr(error.response, "attempts", 0) or getattr(error, "attempts", 1))
    return _why(error) + (f" (tried {tried} times)" if tried > 1 else "")


def _why(error: requests.RequestException) -> str:
    import requests

    from landing.http.api_messages import answered, tls_fault
    from landing.http.retries import GaveUp

    request = f"{_request(error)} "
    if isinstance(error, GaveUp):
        return f"{request}{error}"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"{request}answered {answered(error.response)}{_status_hint(error.response)}"
    if isinstance(error, requests.exceptions.JSONDecodeError):
        return f"{request}answered something that is not JSON"
    if isinstance(error, requests.Timeout):
        return f"{request}did not answer in time; the next run tries again"
    if fault := tls_fault(error):
        return f"{request}failed: {fault}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return f"{request}was cut off in mid-answer; the next run tries again"
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return f"{request}answered with a damaged compressed body; the next run tries again"
    if isinstance(error, requests.ConnectionError):
        return (
            f"{request}failed: no connection, or one that was closed without an answer; is the "
            "API up and its URL right?"
        )
    if isinstance(error, _no_url()):
        return f"{error}; a source's address has to begin with http:// or https://"
    return f"{request}failed: {type(error).__name__}"


def _no_url() -> tuple[type[Exception], ...]:
    from requests import exceptions

    return exceptions.InvalidURL, exceptions.InvalidSchema, exceptions.MissingSchema


def _request(error: requests.RequestException) -> str:
    """Method and URL, without the query, which may contain a key."""
    response = error.response
    request = error.request if error.request is not None else getattr(response, "request", None)
    if request is None or request.url is None:
        return "a request"
    from landing.http.api_messages import shown_request

    return shown_request(request.method, request.url)


def _status_hint(response: requests.Response) -> str:
    match status := response.status_code:
        case 401:
            return "; the API does not accept the credentials: check the source's variables"
        case 403:
            return "; the credentials are known but lack the right to read this"
        case 404:
            return "; there is no such endpoint: check the source's base URL and the path"
        case 429:
            return "; the rate limit is reached: run again later or page more slowly"
    return "; the API failed, the next run tries again" if status >= 500 else ""


def _innermost_of_source(workspace: Workspace, source: str, error: Exception) -> BaseException:
    """The innermost cause whose traceback includes the code of a source."""
    chain = list(causes(error))
    return next((c for c in reversed(chain) if _own_frames(workspace, source, c)), chain[-1])


def _own_frames(
    workspace: Workspace, source: str, error: BaseException
) -> list[traceback.FrameSummary]:
    folders = (workspace.sources, workspace.source_dir(source))
    return [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if any(Path(frame.filename).is_relative_to(folder) for folder in folders)
    ]


def place_in_source(workspace: Workspace, source: str, error: BaseException) -> str:
    """`file, line N` of the innermost frame in the code of the sources; empty if there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{workspace.shown(Path(error.filename))}, line {error.lineno}"
    frames = _own_frames(workspace, source, error)
    if not frames:
        return ""
    return f"{workspace.shown(Path(frames[-1].filename))}, line {frames[-1].lineno}"


def _message(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0]
    name = type(error).__name__
    if type(error) is KeyError:
        return f"KeyError: the API's response has no {text}"
    return f"{name}: {text}" if text else name
