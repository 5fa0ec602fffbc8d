"""One program as a process of its own: its time, processor time and memory.

Peak memory is what the kernel says, and a child starts with the peak of the process it was made
from. The runner therefore imports nothing large: what needs pyarrow or DuckDB is a program too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

REPOSITORY = Path(__file__).resolve().parent.parent
IMPORT_REPORT = "BENCH_IMPORT_REPORT"

# dlt reads these when it is imported.
_QUIET = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"}
_TAIL = 2_000
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


class ProgramFailed(RuntimeError):
    """A contender ended with an error; the message ends with what it said."""


@dataclass(frozen=True)
class Measurement:
    process_seconds: float
    import_seconds: float
    """Of the framework alone (dlt, the CDK, the SDK); other imports are the program's work."""
    cpu_seconds: float
    """User and system time of the whole process."""
    peak_bytes: int

    @property
    def seconds(self) -> float:
        return self.process_seconds - self.import_seconds


def measure(
    program: str,
    arguments: Sequence[str] = (),
    *,
    env: Mapping[str, str],
    python: Path = Path(sys.executable),
    output: int | IO[bytes] = subprocess.DEVNULL,
) -> Measurement:
    """Run `python -m benchmarks.programs.{program}` to its end.

    Raises ProgramFailed if its exit code is not 0.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        report, errors = Path(folder) / "import", Path(folder) / "errors"
        command = [str(python), "-m", f"benchmarks.programs.{program}", *arguments]
        with errors.open("wb") as stderr:
            started = time.monotonic()
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**environment(env), IMPORT_REPORT: str(report)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=stderr,
            )
            try:
                _, status, usage = os.wait4(process.pid, 0)
            except BaseException:
                process.kill()
                process.wait()
                raise
            ended = time.monotonic()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            said = errors.read_text(errors="replace")[-_TAIL:]
            raise ProgramFailed(f"{program} ended with code {process.returncode}\n{said}")
        return Measurement(
            process_seconds=ended - started,
            import_seconds=_import_seconds(report),
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            peak_bytes=usage.ru_maxrss * _MAXRSS_UNIT,
        )


def _import_seconds(report: Path) -> float:
    return sum(map(float, report.read_text().split())) if report.is_file() else 0.0


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """Little of the person's own environment, so that it changes nothing that is measured."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    paths = os.pathsep.join((str(REPOSITORY), str(REPOSITORY / "src")))
    return {**kept, **_QUIET, "PYTHONPATH": paths, **more}
