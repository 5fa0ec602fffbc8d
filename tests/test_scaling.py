"""Machines that share nothing but the bucket."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from tests.kit import REPOSITORY
from tests.test_backfill import awaited
from tests.test_kubernetes import CLUSTERS
from torture.machines import UNAVAILABLE, missing
from torture.scaling import QUICK, main

PAGE = REPOSITORY / "docs" / "scaling.md"


@pytest.mark.timeout(300)
@pytest.mark.long
def test_two_machines_share_a_backfill_and_one_that_is_lost_loses_nothing() -> None:
    """The program itself compares what landed with the API, and fails if anything differs."""
    if reason := missing():
        pytest.skip(reason)
    done = subprocess.run(
        [sys.executable, "-m", "torture.scaling", "--quick"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (shared,) = re.findall(r"\| `--workers 1` \| 2 \| .* \| (\d+) \+ (\d+) \|", done.stdout)
    assert sum(map(int, shared)) == QUICK.windows
    (lost,) = re.findall(r"\| while it \w+ \| \d+ \| (\d+) \| (\d+) \|", done.stdout)
    assert sum(map(int, lost)) == QUICK.windows
    assert all(int(own) > 0 for own in lost), "both had a part in it"


@pytest.mark.long
def test_a_program_that_is_killed_leaves_nothing_behind() -> None:
    if reason := missing():
        pytest.skip(reason)
    before = set(Path("/sys/class/net").iterdir())
    program = subprocess.Popen(
        [sys.executable, "-m", "torture.scaling", "--quick"],
        cwd=REPOSITORY,
        stderr=subprocess.DEVNULL,
    )
    try:
        # Not the one that tries whether there can be namespaces, nor the fork that is to be it,
        # which has the program's own words for a moment.
        (unshare,) = awaited(
            lambda: [
                pid
                for pid in children(program.pid)
                if words(pid).startswith((b"setpriv", b"unshare"))
                and b"torture.scaling" in words(pid)
            ]
        )
        (first,) = awaited(lambda: children(unshare))
        awaited(lambda: len(children(first)) > 1)  # its servers
        below = [unshare, first, *children(first)]
    finally:
        program.kill()
        program.wait()
    awaited(lambda: not any(map(words, below)))
    assert set(Path("/sys/class/net").iterdir()) == before


def words(pid: int) -> bytes:
    """Of a process that has not ended, its command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def children(pid: int) -> list[int]:
    try:
        return [int(pid) for pid in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def test_where_there_are_no_namespaces_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main([]) == UNAVAILABLE
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "root" in said or "Linux" in said


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_a_cluster_takes_the_job_of_a_backfill(cluster: str) -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    job = yaml.safe_load(text)
    kubernetes_validate.validate(job, cluster, strict=True)
    assert job["spec"]["parallelism"] > 1
    assert "completions" not in job["spec"], "the first that ends well says that all is done"
