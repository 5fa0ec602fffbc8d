"""The progress of a run's streams, for terminals and logs that show it at intervals."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from landing import events
from landing.errors import SettingsError, counted, lasting, sized
from landing.results import StreamResult

EVERY = 30.0
"""Seconds between two lines of a stream; LANDING_PROGRESS_SECONDS overrides it."""
_RATED_AFTER = 1.0
_FORESEEN_AFTER = 3.0
"""Seconds of reading after which the rate and the time left mean something."""

Doing = Literal["reading", "publishing", "updating", "landed", "failed"]


@dataclass
class StreamProgress:
    stream: str
    begun: float
    """On the monotonic clock, like all times here."""
    doing: Doing = "reading"
    counts: events.ReadCounts = field(default_factory=events.ReadCounts)
    total: int | None = None
    """Number of all rows, if the API reports it."""
    size: int = 0
    """Bytes of the responses that the client kit received."""
    requests: int = 0
    retries: Counter[str] = field(default_factory=Counter)
    pacing_seconds: float = 0.0
    retry_seconds: float = 0.0
    parts: int = 0
    """Complete parts since the load began."""
    part_size: int = 0
    """Bytes of the part that is being written."""
    uploaded: int = 0
    to_upload: int = 0
    waits_until: float = 0.0
    waits_for: str = ""
    ended: float | None = None
    result: StreamResult | None = None

    @property
    def pages(self) -> int:
        return self.counts.pages

    @property
    def rows(self) -> int:
        return self.counts.rows

    @property
    def is_over(self) -> bool:
        return self.doing in ("landed", "failed")

    def seconds(self, now: float) -> float:
        return (now if self.ended is None else self.ended) - self.begun

    def rate(self, now: float) -> float | None:
        """Rows a second, waits included."""
        seconds = self.seconds(now)
        return self.rows / seconds if self.rows and seconds >= _RATED_AFTER else None

    def seconds_left(self, now: float) -> float | None:
        """Until all rows are read; None if the API does not report how many there are."""
        rate = self.rate(now)
        if rate is None or self.total is None or self.doing != "reading":
            return None
        if self.total < self.rows or self.seconds(now) < _FORESEEN_AFTER:
            return None
        return (self.total - self.rows) / rate

    def wait(self, now: float) -> float:
        """Seconds that the last request still has to wait."""
        return max(0.0, self.waits_until - now) if self.doing == "reading" else 0.0


class Watch:
    """Tracks the progress of each stream. Called from the streams' threads, read from another."""

    def __init__(self) -> None:
        self.planned_streams = 0
        """All streams of the run, including those that have not started; 0 before it is planned."""
        self._streams: dict[str, StreamProgress] = {}
        self._lock = threading.Lock()

    @property
    def streams(self) -> list[StreamProgress]:
        """Copies of the present state, in the order in which the streams began."""
        with self._lock:
            every = self._streams.values()
            return [replace(of, retries=Counter(of.retries)) for of in every]

    def _of(self, stream: str) -> StreamProgress:
        found = self._streams.get(stream)
        if found is None:
            found = self._streams[stream] = StreamProgress(stream, time.monotonic())
        return found

    def __call__(self, event: events.Event) -> None:
        match event:
            case events.RunPlanned(streams):
                self.planned_streams = len(streams)
            case events.Note() | events.RowsRead():
                pass  # may come before a stream has started; rows are in `counts`
            case events.StreamEvent(stream):
                with self._lock:
                    _follow(self._of(stream), event)


def _follow(of: StreamProgress, event: events.StreamEvent) -> None:
    match event:
        case events.RequestMade():
            _count(of, event)
        case events.PartGrowing(size=size):
            of.part_size = size
        case events.RequestDelayed(seconds=seconds):
            of.waits_until, of.waits_for = time.monotonic() + seconds, "for the rate limiter"
        case events.TotalExpected(rows=rows):
            of.total = rows
        case events.ReadingStarted(counts=counts):
            of.counts = counts
        case events.LoadStarted():
            of.doing, of.parts = "reading", 0
        case events.PartWritten():
            of.parts, of.part_size = of.parts + 1, 0
        case events.PublishingStarted(parts=parts):
            of.doing, of.uploaded, of.to_upload = "publishing", 0, parts
        case events.PartUploaded():
            of.uploaded += 1
        case events.LoadPublished():
            of.doing = "reading"
        case events.TableUpdating():
            of.doing = "updating"
        case events.StreamLanded(result=result):
            of.doing, of.ended, of.result = "landed", time.monotonic(), result
        case events.StreamFailed():
            of.doing, of.ended = "failed", time.monotonic()


def _count(of: StreamProgress, attempt: events.RequestMade) -> None:
    of.requests += 1
    of.size += attempt.size
    of.pacing_seconds += attempt.paced
    of.waits_until = 0.0
    if attempt.retried is not None:
        of.retries[attempt.retried] += 1
        of.retry_seconds += attempt.retry_wait
        of.waits_until = time.monotonic() + attempt.retry_wait
        of.waits_for = f"to retry ({attempt.retried})"


class Ticker:
    """Calls `notify` for each running stream once per interval, even while nothing happens."""

    def __init__(
        self, watch: Watch, seconds: float, notify: Callable[[StreamProgress], None]
    ) -> None:
        self._watch = watch
        self._seconds = seconds
        self._notify = notify
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="landing-progress", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        due: dict[str, float] = {}
        while not self._over.wait(min(1.0, self._seconds)):
            now = time.monotonic()
            for of in self._watch.streams:
                if not of.is_over and now >= due.setdefault(of.stream, of.begun + self._seconds):
                    due[of.stream] = now + self._seconds
                    self._notify(of)


class Every:
    """Calls `notify` for each running stream at the interval that the environment sets."""

    def __init__(self, notify: Callable[[StreamProgress], None]) -> None:
        self._watch = Watch()
        self._notify = notify
        seconds = interval()
        self._ticker = Ticker(self._watch, seconds, notify) if seconds else None

    def __call__(self, event: events.Event) -> None:
        self._watch(event)
        if isinstance(event, events.RunEnded):
            self.close()

    def leave(self) -> None:
        """Notify of the last counts of a run that is interrupted."""
        self.close()
        for of in self._watch.streams:
            if not of.is_over:
                self._notify(of)

    def close(self) -> None:
        if self._ticker is not None:
            self._ticker.close()


def interval() -> float:
    """Seconds between lines; 0 for no lines. Raises SettingsError if the setting is malformed."""
    text = os.environ.get("LANDING_PROGRESS_SECONDS", "").strip()
    try:
        seconds = float(text) if text else EVERY
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise SettingsError(
            f"LANDING_PROGRESS_SECONDS is '{text}': it has to be a number of seconds, or 0 for no "
            "progress lines"
        )
    return seconds


def in_words(of: StreamProgress, now: float) -> str:
    """What a stream is doing, short enough for the end of a line."""
    if wait := of.wait(now):
        return f"waits {lasting(math.ceil(wait))} {of.waits_for}"
    match of.doing:
        case "publishing":
            number = min(of.uploaded + 1, of.to_upload)
            return f"uploads file {number:,} of {of.to_upload:,}"
        case "updating":
            return "updates its table"
        case "landed":
            found = of.result is None or of.result.files or of.result.quarantined
            return "done" if found else "nothing new"
        case "failed":
            return "failed"
    if of.part_size >= 1024 * 1024:
        return f"writes part {of.parts + 1:,} ({sized(of.part_size)})"
    return "reads"


def retries_in_words(retries: Counter[str]) -> str:
    """`3 retries (429, 503)`."""
    count = retries.total()
    return f"{count:,} {'retry' if count == 1 else 'retries'} ({', '.join(retries)})"


def line(of: StreamProgress, now: float, doing: str | None = None) -> str:
    """The whole progress of a stream as one line of a log."""
    rows = f"{of.rows:,}" if of.total is None else f"{of.rows:,} of {of.total:,}"
    message = [f"{rows} rows read"]
    if of.pages:
        message.append(counted(of.pages, "page"))
    if (rate := of.rate(now)) is not None:
        message.append(f"{rate:,.0f} rows/s")
    if of.size:
        message.append(sized(of.size))
    if of.retries:
        message.append(retries_in_words(of.retries))
    if of.pacing_seconds >= 0.05:
        message.append(f"waited {of.pacing_seconds:.1f} s for pacing")
    if doing is None and (left := of.seconds_left(now)) is not None:
        message.append(f"about {lasting(left)} left")
    return f"{', '.join(message)}; {doing or in_words(of, now)}"
