"""What Tab completes: verbs, options, and the sources and streams of the workspace."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from landing.cli.main import VERBS
from tests.kit import Kit

LANDING = str(Path(sys.executable).with_name("landing"))
SHELLS = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"]}


@pytest.fixture
def shop(kit: Kit) -> Kit:
    """Two sources besides the repository's, of which nothing would import."""
    kit.add_source("shop", "import no_such_package\n")
    kit.add_source("shopping", "import no_such_package\n")
    kit.configure("shop", "orders", fields={"id": {"type": "integer"}})
    discovered = kit.discovered_file("shop", "customers")
    discovered.parent.mkdir(parents=True)
    discovered.write_text("{}")
    return kit


def completed(folder: Path, line: str, *options: str) -> list[str]:
    """As argcomplete's shell functions ask the command."""
    answer = folder / "answer"
    answer.unlink(missing_ok=True)
    env = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }
    command = [sys.executable, *options, LANDING]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.decode().splitlines()}
    assert not imported & {"dlt", "pyarrow", "obstore"}, "Tab waits for no engine"
    return sorted(word.strip() for word in answer.read_text().split("\n"))


def test_verbs_options_sources_and_streams_are_completed(shop: Kit) -> None:
    folder = shop.root / "dlt"
    assert completed(folder, "landing st") == ["state", "status"]
    assert set(VERBS) <= set(completed(folder, "landing "))
    assert completed(folder, "landing run --dr") == ["--dry-run"]
    assert completed(folder, "landing run sho", "-X", "importtime") == ["shop", "shopping"]
    assert completed(folder, "landing run shop ") == ["customers", "orders"]
    assert completed(folder, "landing history shop o") == ["orders"]
    assert completed(folder, "landing quarantine show shop o") == ["orders"]
    assert "copy" in completed(folder, "landing state ")
    assert completed(folder, "landing state copy shop o") == ["orders"]
    copied = completed(folder, "landing state copy shop orders --to sho")
    assert copied == ["shop/customers", "shop/orders"]
    assert completed(folder, "landing new sho") == [""], "a new source has a name of its own"


def test_outside_a_workspace_verbs_are_completed(tmp_path: Path) -> None:
    assert completed(tmp_path, "landing ini") == ["init"]
    assert completed(tmp_path, "landing run ") == [""]


def started(shell: str, folder: Path) -> tuple[int, int]:
    """The process of an interactive shell, and its terminal."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        path = f"{Path(LANDING).parent}{os.pathsep}{os.environ['PATH']}"
        os.execve(
            str(shutil.which(shell)),
            [shell, *SHELLS[shell]],
            {"PATH": path, "HOME": str(folder), "TERM": "dumb", "PS1": "> ", "LANG": "C.UTF-8"},
        )
    return process, terminal


def shown_until(terminal: int, expected: str) -> str:
    told, end, poll = "", time.monotonic() + 60, select.poll()
    poll.register(terminal, select.POLLIN)
    while expected not in told and time.monotonic() < end:
        if poll.poll(1_000):
            try:
                told += os.read(terminal, 4096).decode(errors="replace")
            except OSError:  # the shell has ended
                break
    assert expected in told, told
    return told


@pytest.mark.parametrize("shell", SHELLS)
def test_tab_completes_in_a_real_shell(shop: Kit, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    script = shop.root / "dlt" / "completion"
    script.write_text(shop.landing("completion", shell).out)
    before = "autoload -Uz compinit && compinit -u; " if shell == "zsh" else ""
    process, terminal = started(shell, script.parent)
    try:
        # What is typed is not what is awaited: a shell echoes the one before the other.
        os.write(terminal, f"{before}source ./completion; echo rea'dy'\n".encode())
        shown_until(terminal, "ready")
        os.write(terminal, b"landing history shop or\t")
        shown_until(terminal, "shop orders")
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)
        os.close(terminal)


def test_tab_completes_in_a_real_fish(shop: Kit, tmp_path: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("there is no fish")
    (tmp_path / "completion").write_text(shop.landing("completion", "fish").out)
    path = f"{Path(LANDING).parent}{os.pathsep}{os.environ['PATH']}"
    ask = f"source {tmp_path / 'completion'}; complete --do-complete 'landing history shop o'"
    done = subprocess.run(
        ["fish", "--no-config", "--command", ask],
        env={**os.environ, "PATH": path, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["orders"], done.stderr
