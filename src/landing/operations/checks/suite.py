"""The suite that runs the checks over a source's streams."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TypeAlias

from landing.errors import LandingError, StreamError, UsageError
from landing.extraction.failures import causes, raise_if_interrupted
from landing.extraction.pages import row_count
from landing.extraction.sources import Source
from landing.operations.checks.cursor import cursor, edits
from landing.operations.checks.incremental import incremental
from landing.operations.checks.landed import resume, secrets
from landing.operations.checks.output import captured_output
from landing.operations.checks.paging import limit, paging
from landing.operations.checks.records import fields, primary_key, records, types
from landing.operations.checks.subject import CheckedStream, Limits
from landing.operations.checks.verdicts import (
    CheckFailed,
    CheckResult,
    CheckSkipped,
    Status,
    UnreadableStream,
)
from landing.operations.recordings import missing_answer

CONNECTS = "connects"

Check: TypeAlias = Callable[[CheckedStream], str]


CHECKS: dict[str, Check] = {
    "records": records,
    "primary_key": primary_key,
    "cursor": cursor,
    "incremental": incremental,
    "limit": limit,
    "paging": paging,
    "types": types,
    "fields": fields,
    "edits": edits,
    "resume": resume,
    "secrets": secrets,
}
"""By name, in the order in which they run."""


class Suite:
    """The checks of a source. `results` yields each result as soon as it is known."""

    def __init__(self, source: Source, limits: Limits, may_be_empty: Collection[str] = ()) -> None:
        self._source = source
        self._limits = limits
        self._may_be_empty = may_be_empty
        self._subjects: dict[str, CheckedStream] = {}
        self._unreadable: set[str] = set()
        """Streams that could not be read, so that not every check requests them again."""

    def results(self, streams: Sequence[str], checks: Collection[str]) -> Iterator[CheckResult]:
        """Raises UsageError for an unknown stream, and for a setting that is missing."""
        failed = {} if streams else self._source.failed
        streams = streams or list(self._source.streams())
        for stream in (*streams, *self._may_be_empty):
            self._source.stream(stream)
        yield self.connects(streams[0])
        for stream in streams:
            for name in CHECKS:
                if name in checks:
                    yield self.check(stream, name)
        for error in failed.values():
            yield CheckResult(
                stream=None, check=CONNECTS, status="failed", detail=str(error), seconds=0.0
            )

    def connects(self, stream: str) -> CheckResult:
        """Whether the API answers the first request of a stream."""

        def answers(subject: CheckedStream) -> str:
            subject.read(most=1)
            return f"the API answered to {stream}"

        return self._outcome(None, CONNECTS, self._subject(stream), answers)

    def check(self, stream: str, name: str) -> CheckResult:
        return self._outcome(stream, name, self._subject(stream), CHECKS[name])

    def close(self) -> None:
        for subject in self._subjects.values():
            subject.close()

    def _subject(self, stream: str) -> CheckedStream:
        if stream not in self._subjects:
            self._subjects[stream] = CheckedStream(self._source, stream, self._limits)
        return self._subjects[stream]

    def _outcome(
        self, stream: str | None, name: str, subject: CheckedStream, check: Check
    ) -> CheckResult:
        clock = time.monotonic()
        status: Status = "passed"
        with captured_output(subject.output):
            try:
                if name != CONNECTS:
                    self._require_readable(subject)
                if name not in (CONNECTS, "records"):
                    _require_records(subject)
                detail = check(subject)
            except CheckSkipped as reason:
                status, detail = "skipped", str(reason)
            except CheckFailed as reason:
                status, detail = "failed", str(reason)
                is_empty = name == "records" and not isinstance(reason, UnreadableStream)
                if is_empty and stream in self._may_be_empty:
                    status, detail = "skipped", "the stream has no records, which was allowed"
            except UsageError:
                raise
            except Exception as error:
                status, detail = "failed", str(self._explained(subject, error))
        seconds = round(time.monotonic() - clock, 3)
        return CheckResult(stream=stream, check=name, status=status, detail=detail, seconds=seconds)

    def _require_readable(self, subject: CheckedStream) -> None:
        """If the stream can't be read, the first check fails with the reason and the others are
        skipped: a check that is run alone must not pass."""
        if subject.name in self._unreadable:
            raise CheckSkipped("the stream could not be read; the check that failed says why")
        try:
            _ = subject.first
        except UsageError:
            raise
        except Exception as error:
            self._unreadable.add(subject.name)
            raise UnreadableStream(str(self._explained(subject, error))) from error

    def _explained(self, subject: CheckedStream, error: Exception) -> LandingError:
        raise_if_interrupted(error)
        for cause in causes(error):
            if request := missing_answer(cause):
                return StreamError(
                    f"the recording has no answer to this {request}: the source, its config or "
                    "the check has changed since; record again with --record"
                )
        message = self._source.explained(subject.stream, error)
        if isinstance(message, UsageError):
            raise message from error
        return message


def _require_records(subject: CheckedStream) -> None:
    if not any(row_count(page) for page in subject.first.pages):
        raise CheckSkipped("the stream returned no records")
