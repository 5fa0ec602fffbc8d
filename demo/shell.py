"""Commands as a person types them: shown, then run for real, their output below."""

from __future__ import annotations

import shlex
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

WIDTH = 96


class CommandFailed(RuntimeError):
    """A command of the demo ended with another exit code than 0."""


@dataclass(frozen=True)
class Shell:
    """Runs commands in `folder`, with `python` as the interpreter of this process."""

    folder: Path

    def run(self, line: str) -> None:
        """Raises CommandFailed if the command does not succeed."""
        print(f"\n{_bold(f'$ {line}')}", flush=True)
        words = shlex.split(line)
        if words[0] == "python":
            words[0] = sys.executable
        done = subprocess.run(words, cwd=self.folder, check=False)
        if done.returncode:
            raise CommandFailed(f"`{line}` ended with exit code {done.returncode}")


def heading(text: str) -> None:
    print(f"\n\n{_bold(text)}")


def say(text: str) -> None:
    print(textwrap.fill(" ".join(text.split()), WIDTH))


def table(names: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> None:
    """Columns as wide as they need to be, those of numbers to the right."""
    lines = [names, *(tuple(_cell(value) for value in row) for row in rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    numeric = [
        all(isinstance(value, int) for value in column) for column in zip(*rows, strict=True)
    ]
    for line in lines:
        cells = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ]
        print(f"  {'   '.join(cells)}".rstrip())


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text
