"""Shell blocks of the documentation, and a stage on which they are run as a person would.

A block that can't be run there says why, in a comment that readers do not see:

    <!-- not run: needs a cluster -->
    ```bash
    kubectl apply --kustomize deploy/kubernetes/overlay
    ```

A block of another language is a file of the stage if its first line is its path in a comment, or
if `<!-- file: path -->` stands before it.
"""

from __future__ import annotations

import gc
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.kit import REPOSITORY, Kit, Outcome

SHELLS = ("bash", "sh", "shell", "console")
SCRIPTS = ("pipeline.py", "discover-source.py")
SECONDS = 200

_BLOCK = re.compile(
    r"(?:<!-- (?P<note>[^>]*?) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_PYTHON_FILE = re.compile(r"# (orchestration/\S+\.py)\n")
_OPERATORS = re.compile(r"[|<>;&$`]")
_AS_A_WHOLE = re.compile(r"^(?:export|set|source|if|for|while|[A-Z_]+=)|<<", re.MULTILINE)
# Processes of their own, where a line does more than to call one.
_FUNCTIONS = f"""
python() {{ "{sys.executable}" "$@"; }}
landing() {{ python -c 'import sys; from landing.cli import main; sys.exit(main())' "$@"; }}
PATH="{Path(sys.executable).parent}:$PATH"
"""


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    text: str
    note: str
    """What the comment before it says."""

    @property
    def place(self) -> str:
        return f"{self.page.name}:{self.line}"

    @property
    def is_shell(self) -> bool:
        return self.language in SHELLS

    @property
    def reason(self) -> str:
        """Why it is not run; empty if it is."""
        said, _, reason = self.note.partition(": ")
        return reason if said == "not run" else ""

    @property
    def file(self) -> str:
        """The path that it is the content of, if any."""
        said, _, path = self.note.partition(": ")
        if said == "file":
            return path
        match = _PYTHON_FILE.match(self.text)
        return match[1] if match and self.language == "python" else ""

    def lines(self) -> list[str]:
        """Commands, with those that go over several lines in one, and without comments."""
        joined = re.sub(r" *\\\n *", " ", self.text)
        lines = [line.strip() for line in joined.splitlines()]
        return [line for line in lines if line and not line.startswith("#")]


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    found = []
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("indent")) + 1
        indent = len(match["indent"])
        body = "".join(row[indent:] for row in match["text"].splitlines(keepends=True))
        found.append(Block(page, line, match["language"], body, match["note"] or ""))
    return found


class Stage:
    """A copy of the workspace, in which commands follow each other as in one terminal."""

    def __init__(self, kit: Kit, stand_ins: dict[str, str]) -> None:
        self.kit = kit
        self.folder = kit.repository
        self.stand_ins = stand_ins
        """What the commands are given in place of what a page says, such as a folder."""

    def play(self, block: Block) -> None:
        if block.file:
            file = self.kit.repository / block.file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(self._as_here(block.text))
        elif block.is_shell and not block.reason:
            self._run(block)

    def _run(self, block: Block) -> None:
        lines = [self._as_here(line) for line in block.lines() if not tried_otherwise(line)]
        if _AS_A_WHOLE.search(block.text):
            lines = ["\n".join(lines)]
        for line in lines:
            done = self._called(line)
            assert done.code == 0, f"{block.place}: {line}\nexit code {done.code}\n{done.text}"

    def _as_here(self, line: str) -> str:
        for name, stand_in in self.stand_ins.items():
            line = line.replace(name, stand_in)
        return line

    def _called(self, line: str) -> Outcome:
        match words_of(line):
            case ["cd", folder]:
                self.folder = (self.folder / folder).resolve(strict=True)
                return Outcome(0, "", "")
            case ["landing", *arguments]:
                with self._at_a_terminal():
                    return self.kit.landing(*arguments)
            case ["python", script, *arguments] if script in SCRIPTS:
                return self._script(self.folder / script, arguments)
        return self._bash(line)

    def _script(self, file: Path, arguments: Sequence[str]) -> Outcome:
        """A script of the workspace, in this process, which has imported what it needs."""
        with self._at_a_terminal(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [str(file), *arguments])
            return self.kit.called(lambda: runpy.run_path(str(file), run_name="__main__"))

    def _bash(self, script: str) -> Outcome:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", _FUNCTIONS + script],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def _at_a_terminal(self) -> Iterator[None]:
        """In the present folder, with a person who says yes to what is asked."""
        person, terminal = os.openpty()
        os.write(person, b"y\n" * 5)
        try:
            with pytest.MonkeyPatch.context() as patch, os.fdopen(terminal) as stdin:
                patch.chdir(self.folder)
                patch.setattr(sys, "stdin", stdin)
                patch.setattr(gc, "freeze", lambda: None)  # of a command at its process's end
                yield
        finally:
            os.close(person)


def words_of(line: str) -> list[str]:
    """Those of one plain command; none of a line that needs a shell."""
    bare = re.sub(r"'[^']*'|\"[^\"$`]*\"", "", line.partition(" #")[0])
    return [] if _OPERATORS.search(bare) else shlex.split(line, comments=True)


def tried_otherwise(line: str) -> bool:
    """Whether it installs something, or makes what has a test or takes long. What is installed is
    looked for in this environment, and `make` says what it would do."""
    match words_of(line):
        case ["sudo", "make", *targets] | ["make", *targets]:
            command = ["make", "--dry-run", "--directory", str(REPOSITORY), *targets]
            subprocess.run(command, check=True, capture_output=True)
            return True
        case ["pip", "install", *words]:
            for word in words:
                if "dlt-landing" in word or word.startswith(".["):
                    assert_installed(word.replace(".[", "dlt-landing["))
            return True
    return False


def assert_installed(requirement: str) -> None:
    """That there are such extras, and what they ask for is here."""
    wanted = Requirement(requirement)
    known = metadata.metadata(wanted.name).get_all("Provides-Extra") or []
    assert wanted.extras <= set(known), f"{requirement}: there are the extras {known}"
    for text in metadata.requires(wanted.name) or []:
        one = Requirement(text)
        if any(one.marker and one.marker.evaluate({"extra": extra}) for extra in wanted.extras):
            version = metadata.version(one.name)
            assert one.specifier.contains(version), f"{requirement}: {one}, but {version} is here"
