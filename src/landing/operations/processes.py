"""Runs streams in several processes, each with a share of them, as on several machines.

The children send their events, and the parent emits them as its own: whoever consumes them sees one
run.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from signal import Signals

from landing import events
from landing.errors import LandingError, StreamError, UsageError
from landing.extraction import interruption
from landing.extraction.side_by_side import Stop, side_by_side
from landing.extraction.sources import PARALLEL_LOGINS, Source
from landing.operations.child_process import Message, Work
from landing.operations.jobs import jobs_of
from landing.operations.run import run_streams
from landing.results import RunResult, StreamResult
from landing.secrets import register_lasting, register_sent
from landing.zone.bucket import Bucket

_PAUSE = 0.1
"""Seconds between two looks whether the run is interrupted."""
_BY_SIGNAL = {code: number for number, code in interruption.CODES.items()}


def check_parallel(source: Source) -> None:
    """Raises UsageError unless the source says that several processes may read its API."""
    if not source.allows_parallel_logins:
        file = source.workspace.source_dir(source.name) / "__init__.py"
        raise UsageError(
            f"--processes: each process logs in to the API of '{source.name}' by itself, and an "
            "API may end a session when the same user logs in again",
            remedy=f"if this API allows it, write {PARALLEL_LOGINS} = True in "
            f"{source.workspace.shown(file)}; otherwise use --workers, which are threads of one "
            "process",
        )


def run_in_processes(
    source: Source,
    streams: Sequence[str],
    bucket: Bucket,
    emit: events.Emit,
    workers: int,
    processes: int,
) -> RunResult:
    """As `run_streams`, with the streams divided among at most `processes`, of `workers` each."""
    count = min(processes, len(streams))
    if count < 2:
        return run_streams(source, streams, bucket, emit, workers)
    jobs_of(source, streams, bucket)
    emit(events.RunPlanned(streams))
    children = [_Child(source, streams[first::count], emit) for first in range(count)]
    try:
        ended = side_by_side(lambda child, stop: child.run(workers, stop), children, count)
    finally:
        for child in children:
            child.kill()
    for error in filter(None, ended):
        raise error
    outcomes = {name: one for child in children for name, one in child.outcomes.items()}
    result = RunResult()
    for stream in streams:
        outcome = outcomes[stream]
        if isinstance(outcome, StreamResult):
            result.landed.append(outcome)
        else:
            result.failed[stream] = outcome
    return result


@dataclass
class _Child:
    """A process, followed in a thread of this one."""

    source: Source
    streams: Sequence[str]
    emit: events.Emit
    outcomes: dict[str, StreamResult | Exception] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None
    _error: Exception | None = None
    """For which it ended before its streams had."""
    _counts: dict[str, events.ReadCounts] = field(default_factory=dict)

    def run(self, workers: int, stop: Stop) -> None:
        """Raises KeyboardInterrupt, once the process has ended, if a stop is requested."""
        process = self._followed(
            Work(self.source.workspace, self.source.name, self.streams, workers), stop
        )
        process.wait()
        stop.check()
        if self._error is not None and not isinstance(self._error, LandingError):
            raise self._error
        for stream in self.streams:
            if stream not in self.outcomes:
                error = self._error or _ended_early(f"{self.source.name}/{stream}", process)
                self._emit(events.StreamFailed(stream, error))

    def kill(self) -> None:
        """End it if it has not ended."""
        if self._process is not None:
            self._process.kill()

    def _followed(self, work: Work, stop: Stop) -> subprocess.Popen[bytes]:
        ours, theirs = Pipe()
        with ours:
            with theirs:
                self._process = _start(theirs)
            try:
                ours.send((sys.path, work))
                self._follow(ours, stop)
            except (EOFError, OSError):
                pass  # the process has ended; its exit code says how
        return self._process

    def _follow(self, child: Connection, stop: Stop) -> None:
        try:
            while True:
                stop.check()
                if child.poll(_PAUSE):
                    self._receive(child.recv())
        except KeyboardInterrupt:
            child.send("stop")
            while True:
                self._receive(child.recv())

    def _receive(self, message: Message) -> None:
        for secret, what in message.secrets.items():
            register_lasting(secret, what=what)
        register_sent(*message.sent)
        match message.content:
            case logging.LogRecord() as record:
                logging.getLogger(record.name).handle(record)
            case Exception() as error:
                self._error = error
            case event:
                self._count(event, message.counts)
                self._emit(event)

    def _count(self, event: events.Event, now: events.ReadCounts | None) -> None:
        """Update the counts that this run's consumers look at, which come as copies."""
        if now is None or not isinstance(event, events.StreamEvent):
            return
        if isinstance(event, events.ReadingStarted):
            self._counts[event.stream] = event.counts
        shown = self._counts.setdefault(event.stream, now)
        shown.pages, shown.rows = now.pages, now.rows

    def _emit(self, event: events.Event) -> None:
        match event:
            case events.StreamLanded(stream, result):
                self.outcomes[stream] = result
            case events.StreamFailed(stream, error):
                self.outcomes[stream] = error
        self.emit(event)


def _start(connection: Connection) -> subprocess.Popen[bytes]:
    """In a process group of its own: Ctrl-C in a terminal ends this process, which ends that."""
    number = connection.fileno()
    code = "from landing.operations.child_process import main; main()"
    command = [sys.executable, "-P", "-c", code, str(number)]
    try:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, pass_fds=[number], process_group=0
        )
    except OSError as error:
        raise StreamError(f"--processes: no process can be started: {error.strerror}") from error


def _ended_early(what: str, process: subprocess.Popen[bytes]) -> StreamError:
    code = process.returncode
    number = -code if code < 0 else _BY_SIGNAL.get(code)
    how = f"with exit code {code}" if number is None else f"by {Signals(number).name}"
    remedy = "the next run continues from the last load"
    if code == -Signals.SIGKILL:
        remedy += "; a system that runs out of memory kills processes: try fewer --processes"
    return StreamError(f"stream '{what}': process {process.pid} was ended {how}", remedy=remedy)
