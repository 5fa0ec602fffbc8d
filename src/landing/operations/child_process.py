"""A process of `landing run --processes`: runs its share of the streams, and sends the events to
the process that started it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from logging.handlers import QueueHandler
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias, cast

from landing import errors, events
from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace, show_names
from landing.errors import LandingError, printable_lines
from landing.extraction import interruption
from landing.secrets import known, redacted, registered_by_kind

_END_WITHIN = 30.0
"""Seconds that a process may take to end. Its streams get ten of them."""
_COUNTS_EVERY = 1.0
"""Seconds."""
_OF_A_RECORD = vars(logging.makeLogRecord({})).keys()
"""What each record has; a library may add more, which another process may not be able to read."""


@dataclass(frozen=True)
class Work:
    workspace: Workspace
    source: str
    streams: Sequence[str]
    workers: int


Content: TypeAlias = events.Event | logging.LogRecord | LandingError | None


@dataclass(frozen=True)
class Message:
    content: Content
    """What libraries log is written where the parent's is. An error has ended the process."""
    counts: Mapping[str, tuple[int, int]]
    """Pages and rows of the streams whose counts have changed since the last message."""
    secrets: Sequence[Mapping[str, str]]
    """Those that are new since the last message, by kind: the parent redacts what it writes."""


class Parent:
    """Sends events and records of logs to the parent; called from several threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._counts: dict[str, events.ReadCounts] = {}
        self._sent_counts: dict[str, tuple[int, int]] = {}
        self._inherited = known()
        self._secrets: Set[str] = frozenset()
        self._failed: set[str] = set()
        self._to_send: SimpleQueue[Content] = SimpleQueue()
        self._sending = threading.Thread(target=self._send_all, daemon=True)
        self._sending.start()

    def __call__(self, event: events.Event) -> None:
        match event:
            case events.RunPlanned():
                return  # of a share only
            case events.ReadingStarted():
                self._counts[event.stream] = event.counts
            case events.StreamFailed(stream, error):
                self._failed.add(stream)
                event = events.StreamFailed(stream, _portable(error))
        self._to_send.put(event)

    def put_nowait(self, record: logging.LogRecord) -> None:
        """As a queue of `QueueHandler`."""
        kept = {name: value for name, value in vars(record).items() if name in _OF_A_RECORD}
        self._to_send.put(logging.makeLogRecord({**kept, "msg": redacted(str(record.msg))}))

    def fail_streams(self, failed: Mapping[str, Exception]) -> None:
        """Send the failures that no event has sent."""
        for stream in failed.keys() - self._failed:
            self(events.StreamFailed(stream, failed[stream]))

    def fail(self, error: Exception) -> None:
        self._to_send.put(_portable(error))

    def close(self) -> None:
        """Wait until all is sent."""
        self._to_send.put(None)
        self._sending.join()

    def _send_all(self) -> None:
        """In a thread of its own: a destructor may log in any, in the middle of a message."""
        with suppress(OSError):  # the parent is gone, which ends this process
            for content in self._contents():
                message = Message(content, self._new_counts(), self._new_secrets())
                if content is not None or message.counts or any(message.secrets):
                    self._put(message)

    def _put(self, message: Message) -> None:
        try:
            self._connection.send(message)
        except OSError:
            raise
        except Exception as error:  # of whatever an event or a record has that can't be pickled
            self._connection.send(replace(message, content=_portable(error)))

    def _contents(self) -> Iterator[Content]:
        """What is to be sent, and None while there is nothing but counts: events may be minutes
        apart."""
        while True:
            try:
                content = self._to_send.get(timeout=_COUNTS_EVERY)
            except Empty:
                yield None
                continue
            if content is None:
                return
            yield content

    def _new_counts(self) -> Mapping[str, tuple[int, int]]:
        known = list(self._counts.items())  # streams begin meanwhile
        counts = {stream: (now.pages, now.rows) for stream, now in known}
        new = dict(counts.items() - self._sent_counts.items())
        self._sent_counts = counts
        return new

    def _new_secrets(self) -> Sequence[Mapping[str, str]]:
        lasting, latest, sent = registered_by_kind()
        # Such as a variable that the source has set.
        others = known() - self._inherited - lasting.keys() - sent.keys()
        kinds = lasting, {**dict.fromkeys(others, "a secret of the source"), **latest}, sent
        new = [{v: what for v, what in k.items() if v not in self._secrets} for k in kinds]
        self._secrets = frozenset().union(*kinds)
        return new


def _portable(error: Exception) -> LandingError:
    """The error for another process, with its traceback as a note: of a class that the other one
    has, and that needs nothing but a message."""
    if isinstance(error, LandingError):
        classes = (one for one in type(error).__mro__ if one.__module__ == errors.__name__)
        kind: type[LandingError] = next(classes)
        portable = kind(str(error), remedy=error.remedy)
    else:
        portable = LandingError(f"{type(error).__name__}: {error}")
    portable.add_note(redacted("".join(traceback.format_exception(error)).rstrip()))
    return portable


def main() -> None:
    interruption.listen()
    threading.excepthook = _thread_failed
    sys.excepthook = lambda _, error, trace: _put_error(error)
    connection = Connection(int(sys.argv[1]))
    # A program that a source starts and leaves running must not keep the connection open.
    os.set_inheritable(connection.fileno(), False)
    code = 0
    try:
        _import_engine()
        sys.path[:], work = connection.recv()
        parent = Parent(connection)
        threading.Thread(target=_end_with_parent, args=(connection,), daemon=True).start()
        try:
            _run(work, parent)
        finally:
            parent.close()
    except KeyboardInterrupt:
        code = interruption.code()
    except EOFError:
        code = 1  # the parent has ended
    sys.exit(interruption.end_process(code))


def _import_engine() -> None:
    """Takes place while the parent imports it too, and plans the run."""
    from landing.extraction import tuning

    tuning.import_faster()
    from landing.operations import run  # noqa: F401


def _run(work: Work, parent: Parent) -> None:
    from landing.extraction.sources import load_source
    from landing.extraction.tuning import tune_process
    from landing.operations.run import run_streams
    from landing.zone.bucket import Bucket

    try:
        show_names(work.workspace)
        source = load_source(work.workspace, work.source)
        # The parent has the handlers that the source adds, too.
        logging.getLogger().handlers[:] = [QueueHandler(cast(Any, parent))]
        tune_process()
        bucket = Bucket(bucket_settings(work.workspace))
        result = run_streams(source, work.streams, bucket, parent, work.workers)
        parent.fail_streams(result.failed)
    except Exception as error:
        parent.fail(error)


def _end_with_parent(connection: Connection) -> None:
    """End this process when the parent asks for it, or has ended."""
    with suppress(EOFError, OSError):
        connection.recv()
    if interruption.signal_name() is None:  # or the system has ended all processes
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_END_WITHIN)
    os._exit(interruption.code())


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_value is not None and not isinstance(failed.exc_value, SystemExit):
        _put_error(failed.exc_value)


def _put_error(error: BaseException) -> None:
    trace = "".join(traceback.format_exception(error)).rstrip()
    print(printable_lines(redacted(trace)), file=sys.stderr, flush=True)
