"""Commands in processes that a fork server makes, which have the engine imported already.

What a real start proves besides, that the scripts and `landing` find the engine and import it, is
in `test_cli` and `test_run`.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import chdir
from functools import cache
from multiprocessing import forkserver
from pathlib import Path

# What a command imports once it knows its verb, and pandas, which it may need later.
import dlt.pipeline  # noqa: F401
import pandas  # noqa: F401

import landing.operations.run  # noqa: F401
from landing.cli.main import main

_IMPORTED_IN = os.getpid()


class Program:
    """A command under way, as `subprocess.Popen` has it: `words` of `landing`, or of `script`."""

    def __init__(
        self, folder: Path, env: Mapping[str, str], words: Sequence[str], script: Path | None = None
    ) -> None:
        self._files = tempfile.TemporaryDirectory(prefix="program-")
        self._out, self._err = (Path(self._files.name) / name for name in ("out", "err"))
        self._process = _fork_server().Process(
            target=_run, args=(folder, dict(env), words, script, self._out, self._err)
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None, "it was started"
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float = 100) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self._process), timeout)
        return self._process.exitcode

    def communicate(self, timeout: float = 100) -> tuple[str, str]:
        """What it has written to standard output and to standard error, once it has ended."""
        self.wait(timeout)
        return self._out.read_text(), self._err.read_text()

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()


@cache
def _fork_server() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.command"])
    # It looks for modules where it is started, and says nothing of those that it does not find.
    with chdir(Path(__file__).parent.parent):
        forkserver.ensure_running()
    return context


def _run(
    folder: Path,
    env: Mapping[str, str],
    words: Sequence[str],
    script: Path | None,
    out: Path,
    err: Path,
) -> None:
    """Ends the process with the command's exit code. A SIGUSR1 tells where its threads are."""
    assert os.getpid() != _IMPORTED_IN, "the fork server has not imported the engine"
    for number, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    faulthandler.register(signal.SIGUSR1)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which is ignored if the tests run by `nohup`
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    if script is None:
        sys.exit(main(words))
    sys.argv = [str(script), *words]
    sys.path.insert(0, str(script.parent))
    runpy.run_path(str(script), run_name="__main__")
