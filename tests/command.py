"""`landing` in a process that a fork server makes, which has the engine imported already."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from collections.abc import Mapping, Sequence

# What a command imports once it knows its verb.
import dlt.pipeline  # noqa: F401

from landing.cli.main import main


def run(folder: str, env: Mapping[str, str], words: Sequence[str]) -> None:
    """Ends the process with the command's exit code. A SIGUSR1 tells where its threads are."""
    faulthandler.register(signal.SIGUSR1)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.exit(main(words))
