"""A process of `landing run --processes`: runs its share of the streams, and sends the events to
the process that started it."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from logging.handlers import QueueHandler
from multiprocessing.connection import Connection
from typing import Any, cast

from landing import events
from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace, show_names
from landing.errors import LandingError, printable_lines
from landing.extraction import interruption
from landing.secrets import redacted, registered_apart

_TAKES = 30.0
"""Seconds that a process may take to end. Its streams get ten of them."""


@dataclass(frozen=True)
class Work:
    workspace: Workspace
    source: str
    streams: Sequence[str]
    workers: int


@dataclass(frozen=True)
class Message:
    content: events.Event | logging.LogRecord | Exception
    """What libraries log is written where the parent's is. An exception has ended the process."""
    counts: events.ReadCounts | None = None
    """Of the event's stream; later changes don't reach the parent."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Those that the parent doesn't know, with their descriptions: it redacts what it writes."""
    sent: Sequence[str] = ()
    """The same of credentials of single requests."""


class Parent:
    """Sends events and records of logs to the parent; called from several threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._counts: dict[str, events.ReadCounts] = {}
        self._secrets: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, event: events.Event) -> None:
        match event:
            case events.RunPlanned():
                return  # of a share only
            case events.ReadingStarted():
                self._counts[event.stream] = event.counts
            case events.StreamFailed(stream, error):
                event = events.StreamFailed(stream, _portable(error))
        counts = self._counts.get(event.stream) if isinstance(event, events.StreamEvent) else None
        self._send(event, counts)

    def put_nowait(self, record: logging.LogRecord) -> None:
        """As a queue of `QueueHandler`."""
        self._send(record)

    def fail(self, error: Exception) -> None:
        self._send(_portable(error))

    def _send(
        self,
        content: events.Event | logging.LogRecord | Exception,
        counts: events.ReadCounts | None = None,
    ) -> None:
        with self._lock:
            lasting, sent = (
                {value: what for value, what in found.items() if value not in self._secrets}
                for found in registered_apart()
            )
            self._secrets.update(lasting, sent)
            with suppress(BrokenPipeError):  # the parent is gone, which ends this process
                self._connection.send(Message(content, counts, lasting, list(sent)))


def _portable(error: Exception) -> Exception:
    """The error for another process, with the traceback of what is being handled as a note."""
    error.add_note(redacted(traceback.format_exc().rstrip()))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # an exception of a library may need more than its arguments
        return LandingError(f"{type(error).__name__}: {error}")
    return error


def main() -> None:
    interruption.listen()
    threading.excepthook = _thread_failed
    connection = Connection(int(sys.argv[1]))
    os.set_inheritable(connection.fileno(), False)  # by what a source starts and leaves behind
    code = 0
    try:
        _import_engine()
        sys.path[:], work = connection.recv()
        threading.Thread(target=_end_with_parent, args=(connection,), daemon=True).start()
        _run(work, Parent(connection))
    except KeyboardInterrupt:
        code = interruption.code()
    except EOFError:
        code = 1  # the parent has ended
    sys.exit(interruption.ended(code))


def _import_engine() -> None:
    """While the parent does the same, and finds out what there is to do."""
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
        handler = QueueHandler(cast(Any, parent))  # of which it needs no more
        handler.setLevel(logging.WARNING)
        logging.getLogger().addHandler(handler)
        source = load_source(work.workspace, work.source)
        tune_process()
        bucket = Bucket(bucket_settings(work.workspace))
        run_streams(source, work.streams, bucket, parent, work.workers)
    except Exception as error:
        parent.fail(error)


def _end_with_parent(connection: Connection) -> None:
    """End this process when the parent asks for it, or has ended."""
    with suppress(EOFError, OSError):
        connection.recv()
    if interruption.signal_name() is None:  # or the system has ended all processes
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_TAKES)
    os._exit(interruption.code())


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_value is not None and not isinstance(failed.exc_value, SystemExit):
        trace = "".join(traceback.format_exception(failed.exc_value)).rstrip()
        print(printable_lines(redacted(trace)), file=sys.stderr, flush=True)
