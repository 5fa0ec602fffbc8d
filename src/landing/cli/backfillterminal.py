"""A backfill as a person at a terminal sees it."""

from __future__ import annotations

from collections.abc import Callable

from landing.backfill import BackfillReporter, Progress, WindowResult
from landing.backfill.windows import Window
from landing.cli.output import counted, wipe
from landing.cli.terminal import Terminal
from landing.errors import LandingError
from landing.sidebyside import Stop, waits


class BackfillTerminal(Terminal, BackfillReporter):
    """Tells a person about a backfill as it goes on."""

    def waiting(self, stream: str) -> Callable[[str], None]:
        return waits(Stop(), lambda text: self.note(stream, text))

    def window_done(self, result: WindowResult, progress: Progress) -> None:
        done = result.done
        whose = ", by another process" if result.by_another else ""
        self._tell(f"{result.window}: {counted(done.rows, 'row')}{whose}", progress)

    def window_failed(self, window: Window, error: LandingError, progress: Progress) -> None:
        self._tell(f"{window}: failed", progress)

    def _tell(self, what: str, progress: Progress) -> None:
        left = progress.seconds_left
        failed = f", {progress.failed:,} failed" if progress.failed else ""
        eta = f", about {_duration(left)} left" if left else ""
        with self._lock:
            wipe()
            print(
                f"  {what}  ({progress.done:,} of {progress.windows:,} windows{failed}, "
                f"{counted(progress.rows, 'row')}{eta})",
                flush=True,
            )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
