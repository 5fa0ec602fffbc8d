"""Shows the progress of a backfill in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from landing.cli.text.console import is_watched
from landing.cli.text.live import Line, Live
from landing.cli.text.output import counted, lasting
from landing.cli.text.run import Terminal
from landing.events import Note, RowsRead
from landing.extraction.side_by_side import Stop, waits
from landing.operations.backfill import BackfillEvent, Progress, WindowFailed, WindowLanded


class BackfillTerminal:
    """Prints the events of a backfill as they happen."""

    def __init__(self, source: str, stream: str) -> None:
        self._terminal = Terminal(source)
        self._name = f"{source}/{stream}"
        self._read = 0
        self._progress: Progress | None = None
        self._live = Live(self._line) if is_watched() else None

    def waiting(self, stream: str) -> Callable[[str], None]:
        return waits(Stop(), lambda text: self._terminal(Note(stream, text)))

    def __call__(self, event: BackfillEvent) -> None:
        match event:
            case RowsRead(rows=rows):
                self._read = rows
            case WindowLanded(result, progress):
                whose = ", by another process" if result.by_another else ""
                landed = counted(result.done.rows, "row")
                self._notify(f"{result.window}: {landed}{whose}", progress)
            case WindowFailed(window=window, progress=progress):
                self._notify(f"{window}: failed", progress)
            case _:
                self._terminal(event)

    def close(self) -> None:
        if self._live is not None:
            self._live.close()

    def _notify(self, what: str, progress: Progress) -> None:
        self._progress = progress
        self._terminal.say(f"  {what}  ({_so_far(progress)})")

    def _line(self, width: int, height: int) -> Sequence[Line]:
        message = f"{self._read:,} rows read"
        if self._progress is not None:
            message += f"  {_so_far(self._progress)}"
        return [[("• ", "cyan"), (self._name, "bold"), (f"  {message}", "")]]


def _so_far(progress: Progress) -> str:
    left = progress.seconds_left
    failed = f", {progress.failed:,} failed" if progress.failed else ""
    eta = f", about {lasting(left)} left" if left else ""
    return (
        f"{progress.done:,} of {progress.windows:,} windows{failed}, "
        f"{counted(progress.rows, 'row')}{eta}"
    )
