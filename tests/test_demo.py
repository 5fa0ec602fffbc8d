"""`make demo` from start to end, as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kit import REPOSITORY

SECONDS_TO_FINISH = 60.0


def test_the_demo_lands_everything_once_and_leaves_nothing_running(tmp_path: Path) -> None:
    other = tmp_path / "a-bucket-of-somebody"
    settings = {"DLT_BUCKET_URL": other.as_uri(), "AWS_SESSION_TOKEN": "of another service"}
    with demo(tmp_path, "--keep", **settings) as process:
        out = read_until(process, "The servers stay up")
        os.killpg(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=SECONDS_TO_FINISH)
        assert process.returncode == 0, out + rest
        assert not is_running(process.pid)
    assert "Traceback" not in rest
    landed = [int(rows.replace(",", "")) for rows in re.findall(r"flights: ([\d,]+) rows in", out)]
    assert len(landed) == 2, "all flights, then those that were added"
    assert landed[0] > landed[1] > 0
    assert f"{sum(landed):,}" in out.partition("rows landed")[2]
    assert out.count("nothing new") == 2
    assert out.count("equal\n") == 2

    assert not other.exists()
    keys = re.findall(r"KEY\w*=(.+)", (tmp_path / ".demo" / ".env").read_text())
    assert len(keys) == 2
    assert not any(key in out for key in keys)


def test_ctrl_c_ends_the_demo_and_its_servers(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        out = read_until(process, "3. Run it")
        os.killpg(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=SECONDS_TO_FINISH)
        assert process.returncode == 130, out + rest
        assert not is_running(process.pid)
    assert "Traceback" not in rest


@contextmanager
def demo(folder: Path, *options: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """The demo in a process group of its own, with `folder` as the current one."""
    process = subprocess.Popen(
        [sys.executable, "-m", "demo", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1", **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            process.communicate(timeout=SECONDS_TO_FINISH)


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """The output up to the line that has `text`, and what the demo does next under way."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            time.sleep(1.0)
            return "".join(lines)
    pytest.fail(f"the demo ended before '{text}':\n{''.join(lines)}")


def is_running(group: int) -> bool:
    """Whether any process of a process group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
