"""Work at the end of a run, for which the run waits only so long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from landing.errors import LandingError
from landing.events import Emit, Event, RunAborted, RunEnded, StreamFailed
from landing.http.traffic import of_no_stream

SENT_WITHIN = 0.6
"""Seconds that the end of a run that landed everything waits for collectors and gateways."""
LINEAGE_SENT_WITHIN = 0.9
"""Seconds that it waits for the collector of OpenLineage, whether the run has failed or not."""
PROBLEMS_SENT_WITHIN = 10.0
"""Seconds that the end of a run waits for whatever has a failure to report, and for receivers if
there are alerts to send."""


class Work:
    """A call in a thread of its own, which ends with the process if nobody waits for it."""

    def __init__(self, call: Callable[[], object], what: str) -> None:
        self._call = call
        self._what = what
        self._errors: list[Exception] = []
        self._begun = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="landing-at-end", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with of_no_stream():
                self._call()
        except Exception as error:
            self._errors.append(error)

    def wait(self, seconds: float | None = None, otherwise: str = "") -> None:
        """Raises what the call raised, and LandingError if it is not over so many seconds after
        its beginning."""
        until = None if seconds is None else self._begun + seconds
        self._thread.join(None if until is None else max(0.0, until - time.monotonic()))
        if self._thread.is_alive():
            raise LandingError(f"{self._what}: gave up after {seconds:g} s{otherwise}")
        for error in self._errors:
            raise error


def done_in_time(
    call: Callable[[], object], what: str, seconds: float, otherwise: str = ""
) -> None:
    """Does the work. Raises what it raises, and LandingError if it takes longer."""
    Work(call, what).wait(seconds, otherwise)


class AtEnd:
    """The consumers that send what they have when a run ends. All send at the same time: one that
    gets no answer does not delay the others, and delays the run for long only if there is a problem
    to report.

    `sending` wraps a consumer. This object has to get each event after all of them.
    """

    def __init__(self) -> None:
        self._under_way: list[tuple[Work, float]] = []
        self._has_failed = False

    def sending(
        self, consumer: Emit, what: str, within: float | None = None, *, has_time: bool = True
    ) -> Emit:
        """`within`: seconds for a run that landed everything. A failure has longer, if
        `has_time`."""
        shortest = SENT_WITHIN if within is None else within

        def emit(event: Event) -> None:
            if isinstance(event, RunEnded):
                within = PROBLEMS_SENT_WITHIN if has_time and self._has_failed else shortest
                self._under_way.append((Work(lambda: consumer(event), what), within))
            else:
                consumer(event)

        return emit

    def __call__(self, event: Event) -> None:
        if isinstance(event, StreamFailed | RunAborted):
            self._has_failed = True  # `|=` could lose it to a thread with another event
        if isinstance(event, RunEnded) and (failures := list(self._failures())):
            raise LandingError("; ".join(failures))

    def _failures(self) -> Iterator[str]:
        for work, within in self._under_way:
            try:
                work.wait(within)
            except Exception as error:
                yield str(error) or type(error).__name__
