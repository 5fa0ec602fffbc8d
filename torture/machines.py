"""Machines made of Linux namespaces, joined by a switch.

Each has a network, processes, a host name and a /tmp of its own; of the file system it shares what
a pod shares with others of its image: what is installed. All of them are inside one more network,
process and mount namespace, which the program begins itself in. When that ends, however it ends,
the kernel ends all that runs in it and removes the networks, and /tmp, a file system in memory, is
gone with them. The machine it runs on sees none of its traffic.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

REPOSITORY = Path(__file__).resolve().parent.parent
UNAVAILABLE = 77
"""Exit code where there can be no such machines, as test harnesses have it for "skipped"."""
SERVERS = "10.77.0.1"
"""The address of this side of the switch, where servers listen."""

_INSIDE = "TORTURE_INSIDE_NAMESPACES"
_PROGRAMS = {
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
}
# A process of a new process namespace is its first one, with whose end all others in it end.
_APART = ("--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc")
_PROBE = "mount -t tmpfs tmpfs /tmp && ip link add probe type bridge"
_BOOT = (
    'mount --bind "$1" /tmp && echo "$0" > /proc/sys/kernel/hostname && echo up '
    "&& exec sleep infinity"
)


def missing() -> str | None:
    """Why there can be no machines here; None if there can."""
    if sys.platform != "linux":
        return f"machines are made of Linux namespaces, and this is {sys.platform}"
    if os.geteuid() != 0:
        return "namespaces are made by root: start this with sudo"
    lacking = {name: package for name, package in _PROGRAMS.items() if shutil.which(name) is None}
    if lacking:
        names, packages = ", ".join(lacking), " and ".join(dict.fromkeys(lacking.values()))
        return f"there is no {names}: install {packages}"
    for needed in (REPOSITORY, Path(sys.prefix), Path(sys.base_prefix)):
        if needed.is_relative_to("/tmp"):
            return f"{needed} is below /tmp, of which each machine has its own: move it elsewhere"
    probe = subprocess.run(
        ["unshare", *_APART, "sh", "-c", _PROBE], capture_output=True, text=True, check=False
    )
    if probe.returncode != 0:
        return f"root may make no namespaces here: {probe.stderr.strip() or 'no reason given'}"
    return None


def is_inside() -> bool:
    return _INSIDE in os.environ


def go_inside(module: str, arguments: Sequence[str], stdout: IO[bytes] | None = None) -> int:
    """The exit code of `python -m module`, run in namespaces of its own.

    Everything in them is killed when this process ends, by a signal too.
    """
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", *_APART]
    command += [sys.executable, "-m", module, *arguments]
    process = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env={**os.environ, _INSIDE: "1"},
        stdout=stdout,
        start_new_session=True,  # a Ctrl-C is for this process, which ends that one
    )
    try:
        return process.wait()
    except KeyboardInterrupt:
        return 130
    finally:
        process.kill()
        process.wait()


class Machine:
    """One that is plugged into the switch. `disk` is its /tmp, as it is seen from here."""

    def __init__(self, name: str, number: int, disk: Path) -> None:
        self.name = name
        self.disk = disk
        self._port = f"port-{number}"
        self._first = subprocess.Popen(
            ["unshare", *_APART, "sh", "-c", _BOOT, name, str(disk)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._first.stdout is not None
        if self._first.stdout.readline() != "up\n":
            raise RuntimeError(f"machine {name} did not start")
        child = Path(f"/proc/{self._first.pid}/task/{self._first.pid}/children")
        self._pid = child.read_text().strip()
        self._plug_in(f"10.77.0.{number + 10}/24")

    def _plug_in(self, address: str) -> None:
        cable = ("type", "veth", "peer", "name", "eth0", "netns", self._pid)
        _run("ip", "link", "add", self._port, *cable)
        _run("ip", "link", "set", self._port, "master", "switch", "up")
        inside = ("nsenter", "--target", self._pid, "--net", "ip")
        _run(*inside, "address", "add", address, "dev", "eth0")
        for device in ("lo", "eth0"):
            _run(*inside, "link", "set", device, "up")

    def start(
        self, command: Sequence[str], env: Mapping[str, str], folder: str, output: Path
    ) -> subprocess.Popen[bytes]:
        """Run a command in its `folder`; what it says goes to a file on this side."""
        namespaces = ("--net", "--mount", "--pid", "--ipc", "--uts")
        inside = ("nsenter", "--target", self._pid, *namespaces, "env", f"--chdir={folder}")
        with output.open("wb") as out:
            return subprocess.Popen(
                [*inside, *command],
                env={**env, "TMPDIR": "/tmp", "HOME": "/tmp"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def inside(self) -> tuple[str, ...]:
        """What a command begins with that has this machine's network, and nothing else of it."""
        return ("nsenter", "--target", self._pid, "--net")

    def unplug(self) -> None:
        _run("ip", "link", "set", self._port, "down")

    def plug_in(self) -> None:
        _run("ip", "link", "set", self._port, "up")

    def lose(self) -> None:
        """Cut it off, and kill all that runs on it: nobody is told."""
        self.unplug()
        self.end()

    def end(self) -> None:
        self._first.kill()
        self._first.wait()


class Lab:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0

    @contextmanager
    def machines(self, count: int, image: Path) -> Iterator[list[Machine]]:
        """New ones, on whose disks is nothing but a copy of `image`."""
        made: list[Machine] = []
        try:
            for number in range(1, count + 1):
                self._count += 1
                disk = self.folder / f"disk-{self._count}"
                shutil.copytree(image, disk)
                made.append(Machine(f"machine-{number}", self._count % 200, disk))
            yield made
        finally:
            for machine in made:
                machine.end()
                shutil.rmtree(machine.disk, ignore_errors=True)


@contextmanager
def lab() -> Iterator[Lab]:
    """The switch, with an address on this side, and a /tmp in memory; to be used inside."""
    assert is_inside(), "this would change the machine's own network and /tmp"
    _run("mount", "-t", "tmpfs", "tmpfs", "/tmp")
    tempfile.tempdir = "/tmp"
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", "switch", "type", "bridge")
    _run("ip", "address", "add", f"{SERVERS}/24", "dev", "switch")
    _run("ip", "link", "set", "switch", "up")
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        yield Lab(Path(folder))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
