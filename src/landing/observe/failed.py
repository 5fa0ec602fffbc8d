"""Records failed and interrupted runs in the bucket, where a run that lands nothing would leave no
trace, and those that died before the current run without a record."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from landing import events
from landing.catalog.files import configured_streams, selected_configs
from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.errors import (
    BucketError,
    BucketUnusable,
    CatalogError,
    LandingError,
    LeaseHeld,
    SettingsError,
    SourceError,
    class_name,
)
from landing.extraction import interruption
from landing.secrets import redacted
from landing.zone.bucket import Bucket
from landing.zone.failure_log import FailedRun, put_failed_run
from landing.zone.layout import StreamPaths

TAKES = 10.0
"""Seconds that the end of a run waits for its records to be written."""
INTERRUPTED_TAKES = 3.0
"""The same for a run that a signal has ended: a pod is killed 30 seconds after it."""
_LONGEST = 2_000
"""Characters of a message that are recorded."""


@dataclass
class _Progress:
    """How far a stream's run got."""

    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    read: int = 0
    published: int = 0
    load_ids: list[str] = field(default_factory=list)


class Interrupted(LandingError):
    """A run that was ended from outside, as its record names it."""


class FailedRuns:
    """Writes in its own threads, so that a bucket that is down does not delay the messages."""

    def __init__(self, workspace: Workspace, source: str) -> None:
        self._workspace = workspace
        self._source = source
        self._runs: dict[str, _Progress] = {}
        self._writing: list[threading.Thread] = []
        self._unwritten: list[str] = []
        self._within = TAKES

    def __call__(self, event: events.Event) -> None:
        match event:
            case events.RowsRead(stream, rows) if stream in self._runs:  # not a backfill
                self._runs[stream].read = rows
            case events.StreamStarted(stream=stream):
                self._runs[stream] = _Progress()
            case events.LoadStarted(stream=stream, load_id=load_id):
                self._runs[stream].load_ids.append(load_id)
            case events.LoadPublished(stream=stream, rows=rows):
                self._runs[stream].published += rows
            case events.StreamLanded(stream=stream):
                self._runs.pop(stream, None)
            case events.StreamFailed(stream=stream, error=error):
                if not isinstance(error, LeaseHeld):  # the other run has not failed
                    self._keep([stream], error)
                self._runs.pop(stream, None)
            case events.PredecessorDied(stream=stream, text=text, renewed=renewed):
                self._write_soon({stream: _died(text, renewed)}, is_earlier=True)
            case events.RunAborted(streams=streams, error=error):
                # A mistake on the command line is not recorded.
                if isinstance(error, SourceError | SettingsError | CatalogError):
                    self._keep(self._affected(streams), error)
            case events.RunEnded():
                self._keep_interrupted()
                self._wait_for_records()

    def _affected(self, streams: Sequence[str]) -> Iterable[str]:
        """The streams that should have run: of those named, or all selected ones."""
        if not streams:
            return [stream for stream, _ in selected_configs(self._workspace, self._source)]
        configured = configured_streams(self._workspace, self._source)
        return [stream for stream in configured if stream in streams]

    def _keep(self, streams: Iterable[str], error: Exception) -> None:
        self._write_soon({stream: self._failed_run(stream, error) for stream in streams})

    def _keep_interrupted(self) -> None:
        """Of the streams that have neither landed nor failed."""
        if self._runs:
            by = interruption.signal_name()
            self._within = INTERRUPTED_TAKES
            self._keep(list(self._runs), Interrupted(f"ended by {by}" if by else "was interrupted"))

    def _write_soon(self, found: dict[str, FailedRun], *, is_earlier: bool = False) -> None:
        if not found:
            return
        writing = threading.Thread(
            target=self._write, args=(found, is_earlier), name="landing-failed", daemon=True
        )
        self._writing.append(writing)
        writing.start()

    def _failed_run(self, stream: str, error: Exception) -> FailedRun:
        run = self._runs.get(stream)
        progress = {} if run is None else vars(run)
        return FailedRun(
            finished=datetime.now(UTC),
            error=type(error).__name__ if isinstance(error, Interrupted) else class_name(error),
            message=redacted(str(error))[:_LONGEST],
            remedy=None if (remedy := getattr(error, "remedy", None)) is None else redacted(remedy),
            host=socket.gethostname(),
            **progress,
        )

    def _write(self, found: dict[str, FailedRun], is_earlier: bool) -> None:
        try:
            bucket = Bucket(bucket_settings(self._workspace))
            for stream, run in found.items():
                paths = StreamPaths(self._source, stream)
                put_failed_run(bucket, paths, run, is_earlier=is_earlier)
        except SettingsError:
            pass  # of the bucket's address or keys, for which the run itself has failed
        except Exception as error:
            # If the run failed for the bucket, its own error says so already.
            if not (isinstance(error, BucketError) and self._failed_for_bucket(found)):
                self._unwritten.append(str(error))

    def _failed_for_bucket(self, found: Mapping[str, FailedRun]) -> bool:
        return {run.error for run in found.values()} == {BucketUnusable.__name__}

    def _wait_for_records(self) -> None:
        until = time.monotonic() + self._within
        for writing in self._writing:
            writing.join(max(0.0, until - time.monotonic()))
        if any(writing.is_alive() for writing in self._writing):
            self._unwritten.append(f"gave up after {self._within:.0f} s")
        if self._unwritten:
            raise LandingError(f"the failure was not recorded in the bucket: {self._unwritten[0]}")


def _died(text: str, renewed: datetime) -> FailedRun:
    return FailedRun(finished=renewed, error="Died", message=redacted(text))
