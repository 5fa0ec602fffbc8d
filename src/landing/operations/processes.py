"""Runs streams in several processes, each with a share of them, as on several machines.

The children send their events, and the parent emits them as its own: whoever consumes them sees one
run.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from signal import Signals
from typing import TYPE_CHECKING

from landing import events
from landing.errors import LandingError, StreamError, UsageError
from landing.extraction import interruption
from landing.extraction.side_by_side import Stop, side_by_side
from landing.operations.child_process import Message, Work
from landing.results import RunResult, StreamResult
from landing.secrets import register, register_lasting, register_sent

if TYPE_CHECKING:
    from landing.extraction.sources import Source
    from landing.zone.bucket import Bucket

_CODE = "from landing.operations.child_process import main; main()"
_PAUSE = 0.1
"""Seconds between two looks whether the run is interrupted."""
_END_WITHIN = 15.0
"""Seconds that a child gets to end; its streams take ten at most."""
_BY_SIGNAL = {code: number for number, code in interruption.CODES.items()}


@dataclass(frozen=True)
class Process:
    """A child, and the connection to it."""

    popen: subprocess.Popen[bytes]
    connection: Connection

    def end(self) -> int:
        """Its exit code. Without a connection it ends by itself, and gives its leases back."""
        self.connection.close()
        with suppress(subprocess.TimeoutExpired):
            return self.popen.wait(_END_WITHIN)
        self.popen.kill()
        return self.popen.wait()

    def send(self, what: object) -> None:
        with suppress(OSError):  # it has ended, which is noticed when its answer is read
            self.connection.send(what)


@contextmanager
def started_processes(count: int) -> Iterator[list[Process]]:
    """Processes that wait for work, and have ended after the block.

    Start them before this process imports the engine: they import it at the same time.
    """
    with ExitStack() as stack:
        processes = []
        for _ in range(count):
            processes.append(_start())
            stack.callback(processes[-1].end)
        yield processes


def _start() -> Process:
    """In a process group of its own: Ctrl-C in a terminal ends this process, which ends that."""
    ours, theirs = Pipe()
    number = theirs.fileno()
    with theirs:
        try:
            popen = subprocess.Popen(
                [sys.executable, "-P", "-c", _CODE, str(number)],
                stdin=subprocess.DEVNULL,
                pass_fds=[number],
                process_group=0,
            )
        except OSError as error:
            ours.close()
            raise LandingError(f"no process can be started: {error.strerror}") from error
    return Process(popen, ours)


def check_parallel(source: Source) -> None:
    """Raises UsageError unless the source says that several processes may read its API."""
    if source.allows_parallel_logins:
        return
    file = source.workspace.source_dir(source.name) / "__init__.py"
    raise UsageError(
        f"--processes: source '{source.name}' does not say that several processes may be logged in "
        "to its API at the same time; an API may end a session when the same user logs in again",
        remedy=f"if this API allows it, write PARALLEL_LOGINS = True in "
        f"{source.workspace.shown(file)}; --workers are threads, which need no such permission",
    )


def run_in_processes(
    processes: Sequence[Process],
    source: Source,
    streams: Sequence[str],
    bucket: Bucket,
    emit: events.Emit,
    workers: int,
) -> RunResult:
    """As `run_streams`, with the streams divided among the processes, of `workers` each.

    With fewer than two processes or streams, they run in this process.
    """
    from landing.operations.jobs import jobs_of
    from landing.operations.run import run_streams

    streams = list(dict.fromkeys(streams))
    count = min(len(processes), len(streams))
    if count < 2:
        return run_streams(source, streams, bucket, emit, workers)
    jobs_of(source, streams, bucket)
    emit(events.RunPlanned(streams))
    shares = [
        _Share(Work(source.workspace, source.name, streams[first::count], workers), process, emit)
        for first, process in enumerate(processes[:count])
    ]
    for error in filter(None, side_by_side(_Share.run, shares, count)):
        raise error
    return _result(streams, shares)


def _result(streams: Sequence[str], shares: Sequence[_Share]) -> RunResult:
    outcomes = {stream: outcome for share in shares for stream, outcome in share.outcomes.items()}
    result = RunResult()
    for stream in streams:
        match outcomes[stream]:
            case StreamResult() as landed:
                result.landed.append(landed)
            case error:
                result.failed[stream] = error
    return result


@dataclass
class _Share:
    """The streams of one process, which a thread of this one follows."""

    work: Work
    process: Process
    emit: events.Emit
    outcomes: dict[str, StreamResult | Exception] = field(default_factory=dict)
    _error: LandingError | None = None
    """Why the process ended before its streams did."""
    _counts: dict[str, events.ReadCounts] = field(default_factory=dict)

    def run(self, stop: Stop) -> None:
        """Raises KeyboardInterrupt, once the process has ended, if a stop is requested."""
        self.process.send((sys.path, self.work))
        try:
            while self._goes_on():
                stop.check()
        except KeyboardInterrupt:
            self.process.send("stop")
            while self._goes_on():
                pass
        code = self.process.end()
        stop.check()
        for stream in self.work.streams:
            if stream not in self.outcomes:
                self._emit(events.StreamFailed(stream, self._error or self._lost(stream, code)))

    def _goes_on(self) -> bool:
        """Receive its next message, or wait for a moment; False if it has ended."""
        child = self.process.connection
        try:
            if not child.poll(_PAUSE):
                # A process that a stream has forked may keep the connection open.
                return self.process.popen.poll() is None
            message = child.recv()
        except (EOFError, OSError):
            return False
        except Exception as error:  # of a process that was interrupted while it sent a message
            self._error = LandingError(f"a message of its process can't be read: {error!r}")
            return False
        self._receive(message)
        return True

    def _receive(self, message: Message) -> None:
        lasting, latest, sent = message.secrets
        for secret, what in lasting.items():
            register_lasting(secret, what=what)
        for secret, what in latest.items():
            register(secret, what=what)
        register_sent(*sent)
        match message.content:
            case logging.LogRecord() as record:
                logging.getLogger().handle(record)  # other loggers' handlers have it in the child
            case LandingError() as error:
                self._error = error
            case events.ReadingStarted(stream, counts):
                self._counts[stream] = counts
        # What this run's consumers look at.
        for stream, (pages, rows) in message.counts.items():
            shown = self._counts.setdefault(stream, events.ReadCounts())
            shown.pages, shown.rows = pages, rows
        if isinstance(message.content, events.Event):
            self._emit(message.content)

    def _emit(self, event: events.Event) -> None:
        match event:
            case events.StreamLanded(stream, result):
                self.outcomes[stream] = result
            case events.StreamFailed(stream, error):
                self.outcomes[stream] = error
        self.emit(event)

    def _lost(self, stream: str, code: int) -> StreamError:
        number = -code if code < 0 else _BY_SIGNAL.get(code)
        how = f"with exit code {code}" if number is None else f"by {Signals(number).name}"
        remedy = "the next run continues from the last load"
        if code == -Signals.SIGKILL:
            remedy += "; fewer --processes or --workers need less memory, if that ran out"
        pid = self.process.popen.pid
        return StreamError(
            f"stream '{self.work.source}/{stream}': its process {pid} ended {how}", remedy=remedy
        )
