"""Carry out deploy/Dockerfile without an engine: each of its steps, in a root of its own.

    sudo python -m tools.image                      # landing --version
    sudo python -m tools.image run shop orders      # any words of the command

Each stage is an overlay over this machine's file system, which stands in for the base image, and
the command is then run as the image's user with all of it read-only but /tmp. It shows that the
steps work, the user suffices and nothing else is written; not what the base image lacks, nor the
size of what comes out. Needs root on Linux; the machine itself is left as it was.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
DOCKERFILE = REPOSITORY / "deploy" / "Dockerfile"
_IGNORED = ("__pycache__", "*.pyc", ".env*", ".dlt")


def instructions(file: Path) -> Iterator[tuple[str, str]]:
    """Each with its words, its lines joined."""
    text = re.sub(r"^\s*#.*\n", "", file.read_text(), flags=re.MULTILINE)
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, words = line.strip().partition(" ")
            yield name, words.strip()


def script(command: list[str]) -> str:
    """What a shell in a mount namespace of its own has to do; `$W` is an empty folder."""
    lines = ["set -eu", 'mount -t tmpfs none "$W"']
    stage, folder, user = "", "/", "0:0"
    env: dict[str, str] = {}
    for name, words in instructions(DOCKERFILE):
        if name == "FROM":
            stage, folder, user = (words.partition(" AS ")[2] or "final"), "/", "0:0"
            env = {"PATH": os.environ["PATH"], "HOME": "/root"}
            env |= {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
            lines += _root(stage)
        elif name == "ENV":
            for pair in shlex.split(words):
                key, _, value = pair.partition("=")
                env[key] = value.replace("$PATH", env["PATH"])
        elif name == "WORKDIR":
            folder = words
            lines.append(f'mkdir -p "$W/{stage}/root{folder}"')
        elif name == "COPY":
            lines += _copied(words, stage, folder)
        elif name == "RUN":
            lines.append(_in(stage, folder, user, env, ["sh", "-euc", words]))
        elif name == "USER":
            user = words
        elif name == "ENTRYPOINT":
            command = [*exec_form(words), *command]
    lines += [
        f'mount -t tmpfs none "$W/{stage}/root/tmp"',
        f'chmod 1777 "$W/{stage}/root/tmp"',
        f'mount -o remount,ro "$W/{stage}/root"',
        "echo '--- the image, read-only' >&2",
        _in(stage, folder, user, env, command),
    ]
    return "\n".join(lines)


def exec_form(words: str) -> list[str]:
    """`["a", "b"]` as words."""
    return json.loads(words)


def _root(stage: str) -> list[str]:
    at = f'"$W/{stage}'
    return [
        f'mkdir -p {at}/upper" {at}/work" {at}/root"',
        f'mount -t overlay overlay -o "lowerdir=/,upperdir=$W/{stage}/upper,'
        f'workdir=$W/{stage}/work" {at}/root"',
        f'mount --rbind /dev {at}/root/dev"',
        f'mount -t proc proc {at}/root/proc"',
        # Here the interpreter may be root's own; a base image's is everyone's.
        f'chmod o+x {at}/root/root"',
    ]


def _copied(words: str, stage: str, folder: str) -> list[str]:
    *sources, target = [word for word in words.split() if not word.startswith("--")]
    origin = re.search(r"--from=(\S+)", words)
    base = f"$W/{origin[1]}/root" if origin else str(REPOSITORY)
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


def _in(stage: str, folder: str, user: str, env: dict[str, str], command: list[str]) -> str:
    number, _, group = user.partition(":")
    words = ["env", "-i", *(f"{key}={value}" for key, value in env.items())]
    words += ["setpriv", f"--reuid={number}", f"--regid={group}", "--clear-groups", "--"]
    words += ["sh", "-c", 'cd "$0" && exec "$@"', folder, *command]
    return f'chroot "$W/{stage}/root" {shlex.join(words)}'


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", script(sys.argv[1:] or ["--version"])],
            env={**os.environ, "W": folder},
            check=False,
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
