"""The demo's streams in Dagster's UI, with its daemon, until Ctrl-C.

    python -m demo.dagster    what `make dagster` does

Datasette serves the flights that left New York City in 2013, SeaweedFS is the bucket, and one of
the streams has a schedule, which the daemon keeps. The feeder, a code location of its own, merges
what lands into a DuckLake. All files are below .demo/ in the current folder, which each start
removes first.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from demo.servers import HOST, ServerDidNotStart, free_ports
from demo.shell import CommandFailed, heading, say, table
from demo.stage import REPOSITORY, SOURCE, Stage, leave_the_environment, set_up

FOLDER = Path(".demo")
LAST_DAY = date(2013, 12, 31)
FEEDER = "  - python_file: {relative_path: orchestration/feeder.py, location_name: feeder}\n"
SETTINGS = REPOSITORY / "deploy" / "dagster" / "dagster.yaml"
SECONDS_TO_START = 240.0
SECONDS_TO_END = 30.0


@dataclass(frozen=True)
class Dagster:
    """A running UI with its daemon."""

    url: str
    home: Path
    log: Path
    process: subprocess.Popen[bytes]


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    leave_the_environment()
    try:
        with set_up(FOLDER.resolve(), LAST_DAY) as stage:
            configure(stage)
            with dagster_dev(stage.folder, stage.folder / "dagster") as dagster:
                introduce(dagster)
                dagster.process.wait()
                print(f"error: Dagster has ended\n{_tail(dagster.log)}", file=sys.stderr)
                return 1
    except KeyboardInterrupt:
        print("\nstopped; the servers have ended")
        return 0
    except (CommandFailed, ServerDidNotStart, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def configure(stage: Stage) -> None:
    """The two streams of the demo, and the two code locations that Dagster loads."""
    heading("The demo's streams")
    stage.shell.run(f"python discover-source.py {SOURCE}")
    dag = stage.folder / "orchestration" / "dag"
    shutil.copytree(dag / "sources" / SOURCE, dag / "streams" / SOURCE)
    stage.edit_config(
        "flights",
        selected=True,
        sync_mode="incremental",
        cursor_field=["time_hour"],
        initial_value="2013-01-01T05:00:00Z",
        schedule="* * * * *",
    )
    stage.edit_config("airports", selected=True, primary_key=[["faa"]])
    for file in (REPOSITORY / "orchestration").glob("*.py"):
        shutil.copy(file, stage.folder / "orchestration")
    workspace = (REPOSITORY / "workspace.yaml").read_text()
    (stage.folder / "workspace.yaml").write_text(workspace + FEEDER)
    with stage.settings.open("a") as settings:  # `dagster dev` reads them
        settings.write(f"FEEDER_CATALOG=sqlite:{stage.folder / 'lake.sqlite'}\n")
        settings.write(f"FEEDER_DATA_URL=s3://{stage.s3.bucket}/lake\n")


@contextmanager
def dagster_dev(
    folder: Path, home: Path, *options: str, env: Mapping[str, str] | None = None
) -> Iterator[Dagster]:
    """`dagster dev` in a folder, with this repository's settings of an instance, once it answers.

    It is given a session of its own, so that Ctrl-C reaches it in one way alone: from here.
    """
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(SETTINGS, home)
    (port,) = free_ports(1)
    log = home / "dev.log"
    words = [sys.executable, "-m", "dagster", "dev", "--host", HOST, "--port", str(port), *options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env={
                **os.environ,
                "PYTHONWARNINGS": "ignore",
                **(env or {}),
                "DAGSTER_HOME": str(home),
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    (home / "pid").write_text(str(process.pid))
    try:
        dagster = Dagster(f"http://{HOST}:{port}", home, log, process)
        _await(dagster)
        yield dagster
    finally:
        _end(process)


def introduce(dagster: Dagster) -> None:
    heading("Dagster is up, until Ctrl-C")
    table(
        ("what", "where"),
        [
            ("the UI", dagster.url),
            ("its assets", f"{dagster.url}/asset-groups"),
            ("its schedules", f"{dagster.url}/automation"),
            ("its log", str(dagster.log.relative_to(Path.cwd()))),
        ],
    )
    print()
    say(
        "Materialize an asset to land it; the flights are due each minute. A minute later the "
        "feeder has merged what landed into the assets below lake/."
    )
    sys.stdout.flush()


def _await(dagster: Dagster) -> None:
    """Until it answers, and has loaded what it was given."""
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        if dagster.process.poll() is not None:
            raise ServerDidNotStart(f"Dagster ended\n{_tail(dagster.log)}")
        with suppress(URLError, OSError), urlopen(f"{dagster.url}/server_info", timeout=10):
            return
        time.sleep(0.2)
    raise ServerDidNotStart(f"Dagster was not ready in time\n{_tail(dagster.log)}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """It ends its own processes at Ctrl-C; what is left of them after a while is killed."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(SECONDS_TO_END)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(log: Path, lines: int = 30) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def _stop(number: int, frame: object) -> None:
    """End as Ctrl-C does, so that the servers end too."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
