"""A command in a pseudo-terminal, and what a person sees on its screen."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyte

PATIENCE = 90.0


class Screen:
    def __init__(self, process: subprocess.Popen[bytes], master: int, columns: int, rows: int):
        self.process = process
        self.raw = b""
        """All that was sent to the terminal."""
        self._master = master
        self._poll = select.poll()
        self._poll.register(master, select.POLLIN)
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def lines(self) -> list[str]:
        """Without the empty ones at the foot."""
        shown = [line.rstrip() for line in self._screen.display]
        while shown and not shown[-1]:
            shown.pop()
        return shown

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def cursor_is_hidden(self) -> bool:
        return bool(self._screen.cursor.hidden)

    def until(self, *texts: str) -> None:
        """Wait until the screen shows all of these at once."""
        end = time.monotonic() + PATIENCE
        while not all(text in self.text for text in texts):
            if not self._read() or time.monotonic() > end:
                raise AssertionError(f"no {texts} on the screen:\n{self.text}")

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def end(self) -> int:
        """Wait until the command has ended; its exit code, negative for a signal."""
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def _read(self) -> bool:
        """Take in what has come; False once nothing more can."""
        if not self._poll.poll(200):
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the other end is closed, as Linux tells it
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)


@contextmanager
def terminal(
    command: Sequence[str],
    env: Mapping[str, str],
    folder: Path,
    *,
    columns: int = 80,
    rows: int = 50,
    out: IO[bytes] | None = None,
) -> Iterator[Screen]:
    """The command with a terminal as all its files, or with `out` as standard output."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**env},
        stdin=slave,
        stdout=out or slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    try:
        yield Screen(process, master, columns, rows)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(master)
