"""docs/tutorial.md, from start to end: every command and file of it, and what it says comes out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.servers import free_ports
from tests.kit import REPOSITORY, Kit

TUTORIAL = REPOSITORY / "docs" / "tutorial.md"
ADDRESS = "127.0.0.1:8123"

_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"`([\w./]*\.(?:json|env))`")
_COMMANDS = """\
python() {{ "{python}" "$@"; }}
landing() {{ python -c 'import sys; from landing.cli import main; sys.exit(main())' "$@"; }}
"""


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    before: str
    """The page up to the block."""


def tutorial(address: str) -> list[Block]:
    page = TUTORIAL.read_text().replace(ADDRESS, address)
    return [Block(m[1], m[2], page[: m.start()]) for m in _FENCED.finditer(page)]


@contextmanager
def helpdesk(port: int) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "demo.helpdesk", "--port", str(port)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_the_tutorial_works_from_start_to_end(kit: Kit) -> None:
    (port,) = free_ports(1)
    said = ""
    with helpdesk(port) as server:
        assert server.stdout is not None
        for block in tutorial(f"127.0.0.1:{port}"):
            match block.language:
                case "bash" if "make setup" in block.text:
                    continue
                case "bash" if "demo.helpdesk" in block.text:
                    said = server.stdout.readline()
                case "bash":
                    if "pytest" in block.text:
                        server.terminate()
                        server.wait()
                    said = bash(kit.repository, block.text)
                case "text":
                    for line in block.text.splitlines():
                        assert line in said
                case "json" | "ini":
                    path = _PATH.findall(block.before)[-1]
                    (kit.repository / path).write_text(block.text)
                case "python" if block.text.startswith("# orchestration/"):
                    write(kit.repository, block.text)
                case "python":
                    said = bash(kit.repository, f"python - <<'END'\n{block.text}END")
                    assert "solved" in said
    assert "19 passed, 5 skipped" in bash(
        kit.repository, "python -m pytest -q orchestration/dlt/tests"
    )
    assert server.poll() is not None


def write(repository: Path, text: str) -> None:
    """A file whose path its first line has. What `landing new` wrote is what the page shows."""
    first, _, content = text.partition("\n")
    file = repository / first.removeprefix("# ")
    if file.name == "client.py":
        assert file.read_text() == content
    file.write_text(content)


def bash(folder: Path, script: str) -> str:
    commands = _COMMANDS.format(python=sys.executable)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands + script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
