"""One source's recording: its files, and the context managers that record and replay it."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from landing.catalog.variables import source_variables
from landing.catalog.workspace import Workspace
from landing.columns.privacy import KEY_VARIABLE
from landing.errors import LandingError, UsageError, needs
from landing.http.pacing.rate_limiter import unpaced
from landing.operations.recordings.scrubbing import (
    Message,
    Scrubber,
    UnscrubbedSecret,
    placeholder,
)

FOLDER = "recordings"
_MATCHED_ON = ("method", "uri", "body")
_TRANSIENT = {408, 425, 429, *range(500, 600)}


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """`check.json`: what was recorded in addition to the traffic."""

    streams: list[str]
    max_rows: int
    environment: dict[str, str]
    """The source's variables, with placeholders for secret values."""


class Recording:
    def __init__(self, workspace: Workspace, source: str) -> None:
        self._workspace = workspace
        self._source = source
        self._folder = workspace.sources / source / FOLDER
        self._facts = self._folder / "check.json"
        self._traffic = self._folder / "check.yaml"

    @property
    def exists(self) -> bool:
        return self._facts.is_file() and self._traffic.is_file()

    @property
    def shown(self) -> str:
        return self._workspace.shown(self._folder)

    def facts(self) -> Facts:
        """Raises UsageError if there is no recording, or a damaged one."""
        if not self.exists:
            raise UsageError(
                f"{self.shown} has no recording: make one with `landing check {self._source} "
                "--record`"
            )
        try:
            return msgspec.json.decode(self._facts.read_bytes(), type=Facts)
        except msgspec.MsgspecError as error:
            shown = self._workspace.shown(self._facts)
            raise UsageError(f"{shown}: {error}; record again with --record") from None

    @contextmanager
    def recorded(self, max_rows: int) -> Iterator[list[str]]:
        """Record the traffic inside, replacing an earlier recording.

        Yields a list to which the caller adds the recorded streams. The earlier recording stays if
        the list is empty. Raises LandingError if no request was made, and UnscrubbedSecret if a
        secret can't be removed; the earlier recording then stays, too.
        """
        vcr = _vcrpy()
        names = source_variables(self._workspace, self._source)
        found = {name: os.environ[name] for name in names if name in os.environ}
        scrubber = Scrubber(found)
        environment = scrubber.variables(found)
        streams: list[str] = []
        draft = self._traffic.with_suffix(".draft")
        self._folder.mkdir(parents=True, exist_ok=True)  # a package has none in the workspace
        recorder = vcr.VCR(record_mode="all", record_on_exception=False)
        recorder.register_persister(_ScrubbedFile(scrubber))
        try:
            with _one_request_at_a_time(recorder.use_cassette(str(draft))):
                yield streams
            if not draft.is_file():
                raise LandingError(
                    f"nothing was recorded: source '{self._source}' made no request over HTTP"
                )
            if not streams and self.exists:
                return
            facts = Facts(streams=streams, max_rows=max_rows, environment=environment)
            draft.replace(self._traffic)
            self._facts.write_bytes(msgspec.json.format(msgspec.json.encode(facts)) + b"\n")
        finally:
            draft.unlink(missing_ok=True)

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """Answer all requests inside from the recording, with the variables of that time.

        A request that was not recorded raises an error that `missing_answer` recognizes.
        """
        vcr = _vcrpy()
        facts = self.facts()
        scrubber = Scrubber(facts.environment)
        player = vcr.VCR(
            record_mode="none", match_on=_MATCHED_ON, before_record_request=scrubber.request
        )
        player.register_persister(_ScrubbedFile(scrubber))
        traffic = player.use_cassette(str(self._traffic), allow_playback_repeats=True)
        # Any key does, since a recording contains no hashes.
        environment = {**facts.environment, KEY_VARIABLE: placeholder(KEY_VARIABLE)}
        with _environment(environment), unpaced(), _one_request_at_a_time(traffic):
            yield


class _ScrubbedFile:
    """How vcrpy writes and reads a recording: one answer to each request, without secrets."""

    def __init__(self, scrubber: Scrubber) -> None:
        self._scrubber = scrubber

    def save_cassette(self, path: str, cassette: Mapping[str, Any], serializer: Any) -> None:
        from vcr.serialize import serialize

        traffic = [
            (request, _decoded(request, response))
            for request, response in zip(cassette["requests"], cassette["responses"], strict=True)
        ]
        for request, response in traffic:
            self._scrubber.learn(request, response)
        answers: dict[tuple[Any, ...], tuple[Any, Any]] = {}
        for request, response in traffic:
            scrubbed = self._scrubber.response(request, response)
            sent = self._scrubber.request(request)
            self._scrubber.refuse_secrets(sent, scrubbed)
            # Keep only the last answer: a replay gives it to every repetition of the request.
            key = (sent.method, sent.uri, sent.body)
            if key not in answers or response["status"]["code"] not in _TRANSIENT:
                answers[key] = (sent, scrubbed)
        requests, responses = zip(*answers.values(), strict=True)
        text = serialize({"requests": requests, "responses": responses}, serializer)
        file = Path(path)
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def load_cassette(self, path: str, serializer: Any) -> Any:
        from vcr.persisters.filesystem import CassetteNotFoundError

        file = Path(path)
        if not file.is_file():
            raise CassetteNotFoundError
        return _loaded(file, file.stat().st_mtime_ns, serializer)


def _decoded(request: Any, response: Message) -> Message:
    """The answer without its Content-Encoding header, since urllib3 has decoded the body.

    Raises UnscrubbedSecret if the package that decodes this encoding is missing.
    """
    headers = {name.lower(): values for name, values in response["headers"].items()}
    encodings = ",".join(headers.get("content-encoding", ())).lower().replace(" ", "")
    if unknown := _unknown(encodings):
        raise UnscrubbedSecret(
            f"{request.method} {request.uri.partition('?')[0]}: the answer is encoded as "
            f"'{unknown}', which can't be searched for secrets: install a package that decodes "
            "it, or leave it out of Accept-Encoding; nothing was written"
        )
    kept = {n: v for n, v in response["headers"].items() if n.lower() != "content-encoding"}
    return {**response, "headers": kept}


def _unknown(encodings: str) -> str:
    """The first of these content encodings that urllib3 can't decode here; empty if none."""
    import urllib3

    known = {"", "identity", *urllib3.HTTPResponse.CONTENT_DECODERS}
    return next((name for name in encodings.split(",") if name not in known), "")


@lru_cache(maxsize=4)
def _loaded(file: Path, changed: int, serializer: Any) -> Any:
    """A parsed recording, cached for all tests that replay it."""
    from vcr.serialize import deserialize

    return deserialize(file.read_text(encoding="utf-8"), serializer)


def missing_answer(error: BaseException) -> str | None:
    """Method and URL of a request that the recording has no answer to; None for another error."""
    if type(error).__name__ != "CannotOverwriteExistingCassetteException":
        return None
    request = error.failed_request  # type: ignore[attr-defined]
    return f"{request.method} {request.uri.partition('?')[0]}"


@contextmanager
def _one_request_at_a_time(cassette: AbstractContextManager[Any]) -> Iterator[None]:
    """Use `cassette`, and serialize requests: vcrpy patches classes for all threads only while a
    connection is made, so it would miss concurrent requests.

    The end waits for a request in progress, such as that of a stream that runs ahead: it would put
    vcrpy's classes back, for all requests of this process from then on.
    """
    import urllib3

    pool = urllib3.HTTPConnectionPool
    own = pool.urlopen
    lock = threading.RLock()

    def urlopen(self: Any, method: str, *arguments: Any, **named: Any) -> Any:
        with lock:
            return _as_urllib3s(method, own(self, method, *arguments, **named))

    pool.urlopen = urlopen  # type: ignore[method-assign]
    try:
        with ExitStack() as at_end, cassette:
            try:
                yield
            finally:
                at_end.enter_context(lock)
    finally:
        pool.urlopen = own  # type: ignore[method-assign]


def _as_urllib3s(method: str, response: Any) -> Any:
    """A vcrpy response as one of urllib3, which can also be decoded piece by piece."""
    import urllib3

    if isinstance(response, urllib3.HTTPResponse):  # a retry has converted it already
        return response
    response.release_conn()
    headers = urllib3.HTTPHeaderDict(response.getheaders())
    encodings = headers.get("Content-Encoding", "").lower().replace(" ", "")
    if encodings and not _unknown(encodings):  # vcrpy's data is decoded already
        headers.discard("Content-Encoding")
        headers.discard("Content-Length")
    return urllib3.HTTPResponse(
        io.BytesIO(response.data),
        headers,
        response.status,
        reason=response.reason,
        preload_content=False,
        original_response=response,  # from which requests takes cookies
        request_method=method,
    )


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _vcrpy() -> Any:
    with needs("a recording", "dev"):
        import vcr
    return vcr
