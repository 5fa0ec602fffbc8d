"""Carry out deploy/Dockerfile without an engine: each of its steps, in a root of its own.

    sudo python -m tools.image                      # landing --version
    sudo python -m tools.image run shop orders      # any words of the command
    sudo python -m tools.image --target dagster dagster --version
    sudo python -m tools.image --workspace ../lake run shop orders   # the one of another workspace

Each stage is an overlay over this machine's file system, which stands in for the base image, and
the command is then run as the image's user with all of it read-only but /tmp. It shows that the
steps work, the user suffices and nothing else is written; not what the base image lacks, nor the
size of what comes out. Needs root on Linux; the machine itself is left as it was.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
DOCKERFILE = Path("deploy") / "Dockerfile"
"""In the repository, and in a workspace that `landing init --deploy` made."""
LAST = "final"
"""The stage that has no name, which is what is built unless another one is asked for."""
_IGNORED = ("__pycache__", "*.pyc", ".env*", ".dlt")


def instructions(file: Path) -> Iterator[tuple[str, str]]:
    """Each with its words, its lines joined."""
    text = re.sub(r"^\s*#.*\n", "", file.read_text(), flags=re.MULTILINE)
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, words = line.strip().partition(" ")
            yield name, words.strip()


@dataclass
class Stage:
    """As far as it was carried out."""

    name: str
    folder: str = "/"
    user: str = "0:0"
    env: dict[str, str] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)


def script(command: list[str], target: str, context: Path) -> str:
    """What a shell in a mount namespace of its own has to do; `$W` is an empty folder."""
    lines = ["set -eu", 'mount -t tmpfs none "$W"']
    steps = list(instructions(context / DOCKERFILE))
    wanted = _needed(target, steps)
    stages: dict[str, Stage] = {}
    stage = Stage("")
    for name, words in steps:
        if name == "FROM":
            base, stage = _begun(words, stages)
            if stage.name in wanted:
                lines += _root(stage.name, base)
        elif stage.name not in wanted:
            continue
        elif name == "ENV":
            for pair in shlex.split(words):
                key, _, value = pair.partition("=")
                stage.env[key] = value.replace("$PATH", stage.env["PATH"])
        elif name == "WORKDIR":
            stage.folder = words
            lines.append(f'mkdir -p "$W/{stage.name}/root{words}"')
        elif name == "COPY":
            lines += _copied(words, stage.name, stage.folder, context)
        elif name == "RUN":
            lines.append(_in(stage, ["sh", "-euc", words]))
        elif name == "USER":
            stage.user = words
        elif name == "ENTRYPOINT":
            stage.command = exec_form(words)
    last = stages[target]
    lines += [
        f'mount -t tmpfs none "$W/{target}/root/tmp"',
        f'chmod 1777 "$W/{target}/root/tmp"',
        f'mount -o remount,ro "$W/{target}/root"',
        "echo '--- the image, read-only' >&2",
        _in(last, [*last.command, *command]),
    ]
    return "\n".join(lines)


def _begun(words: str, stages: dict[str, Stage]) -> tuple[str | None, Stage]:
    """The stage of a FROM, and the earlier one that it goes on from, if it does."""
    base, _, name = words.partition(" AS ")
    made = Stage(name or LAST)
    stages[made.name] = made
    if base in stages:
        before = stages[base]
        made.folder, made.user, made.env = before.folder, before.user, dict(before.env)
        return base, made
    made.env = {"PATH": os.environ["PATH"], "HOME": "/root"}
    made.env |= {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
    return None, made


def _needed(target: str, steps: list[tuple[str, str]]) -> set[str]:
    """The stages that the target is made of, itself included."""
    made_of: dict[str, set[str]] = {}
    name = ""
    for instruction, words in steps:
        if instruction == "FROM":
            base, _, given = words.partition(" AS ")
            name = given or LAST
            made_of[name] = {base} & set(made_of)
        elif origin := re.search(r"--from=(\S+)", words):
            made_of[name].add(origin[1])
    needed, found = set(), {target}
    while found:
        needed |= found
        found = {base for one in found for base in made_of[one]} - needed
    return needed


def exec_form(words: str) -> list[str]:
    """`["a", "b"]` as words."""
    return json.loads(words)


def _root(stage: str, base: str | None) -> list[str]:
    at = f'"$W/{stage}'
    lower = "/" if base is None else f"$W/{base}/root"
    return [
        f'mkdir -p {at}/upper" {at}/work" {at}/root"',
        f'mount -t overlay overlay -o "lowerdir={lower},upperdir=$W/{stage}/upper,'
        f'workdir=$W/{stage}/work" {at}/root"',
        f'mount --rbind /dev {at}/root/dev"',
        f'mount -t proc proc {at}/root/proc"',
        # Here the interpreter may be root's own; a base image's is everyone's.
        f'chmod o+x {at}/root/root"',
    ]


def _copied(words: str, stage: str, folder: str, context: Path) -> list[str]:
    *sources, target = [word for word in words.split() if not word.startswith("--")]
    origin = re.search(r"--from=(\S+)", words)
    base = f"$W/{origin[1]}/root" if origin else str(context)
    to = f"$W/{stage}/root" + (target if target.startswith("/") else f"{folder}/{target}")
    ignored = " ".join(f"--exclude={shlex.quote(pattern)}" for pattern in _IGNORED)
    lines = [f'mkdir -p "{to if len(sources) > 1 else Path(to).parent}"']
    for source in sources:
        path = f"{base}/{source.lstrip('/')}"
        # A folder's contents are what is copied, as in a Dockerfile.
        lines.append(
            f'if [ -d "{path}" ]; then mkdir -p "{to}"; tar -C "{path}" {ignored} -cf - . '
            f'| tar -C "{to}" -xf -; else cp "{path}" "{to}/"; fi'
        )
    return lines


def _in(stage: Stage, command: list[str]) -> str:
    number, _, group = stage.user.partition(":")
    words = ["env", "-i", *(f"{key}={value}" for key, value in stage.env.items())]
    words += ["setpriv", f"--reuid={number}", f"--regid={group}", "--clear-groups", "--"]
    words += ["sh", "-c", 'cd "$0" && exec "$@"', stage.folder, *command]
    return f'chroot "$W/{stage.name}/root" {shlex.join(words)}'


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--target", default=LAST)
    parser.add_argument("--workspace", type=Path, default=REPOSITORY)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(words)
    command = options.command or ["--version"]
    with tempfile.TemporaryDirectory() as folder:
        steps = script(command, options.target, options.workspace.resolve())
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", steps],
            env={**os.environ, "W": folder},
            check=False,
        ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
