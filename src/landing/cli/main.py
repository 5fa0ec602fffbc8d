"""From the words of a command to a verb, and from whatever it raises to an exit code."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from landing import __version__
from landing.cli import (
    backfill,
    check,
    compact,
    discover,
    doctor,
    env,
    fresh,
    history,
    k8s,
    login,
    new,
    quarantine,
    rebuild,
    report,
    run,
    schema,
    show,
    state,
    status,
    verify,
)
from landing.cli.examples import Help, epilog
from landing.cli.output import complain, suggest, told_by
from landing.errors import LandingError, WorkspaceError
from landing.workspace import Workspace, find_workspace, load_env_file

EXIT_CODES = (
    "exit codes: 0 all done, 1 a stream failed or differs, 2 wrong usage or configuration, "
    "3 another run of the stream is under way"
)


_INTERRUPTED = (130, 143)
"""By Ctrl-C, and by SIGTERM."""


class Verb(Protocol):
    """A module of this package. It imports the engine inside `call`, since `--help` and a wrong
    word should not wait for dlt."""

    HELP: str

    def configure(self, parser: argparse.ArgumentParser) -> None: ...

    def call(self, options: argparse.Namespace, workspace: Workspace) -> int:
        """Returns the exit code; a LandingError that it raises has one of its own."""


VERBS: dict[str, Verb] = {
    "backfill": backfill,
    "check": check,
    "compact": compact,
    "discover": discover,
    "doctor": doctor,
    "env": env,
    "fresh": fresh,
    "history": history,
    "k8s": k8s,
    "login": login,
    "new": new,
    "quarantine": quarantine,
    "rebuild": rebuild,
    "report": report,
    "run": run,
    "schema": schema,
    "show": show,
    "state": state,
    "status": status,
    "verify": verify,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script `landing`: the workspace is the one of the current folder."""
    parser = argparse.ArgumentParser(prog="landing", epilog=EXIT_CODES)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, verb in VERBS.items():
        _configure(verbs.add_parser(name, help=verb.HELP), name, verb)
    options = parser.parse_args(arguments)
    code = _guarded(VERBS[options.verb], options, Path.cwd())
    return _ended(code) if arguments is None else code


def script(verb: str, file: str) -> int:
    """A workspace's own script for one verb: the workspace is the one the script lies in."""
    parser = argparse.ArgumentParser(prog=Path(file).name)
    _configure(parser, verb, VERBS[verb])
    return _ended(_guarded(VERBS[verb], parser.parse_args(), Path(file).parent))


def _configure(parser: argparse.ArgumentParser, name: str, verb: Verb) -> None:
    parser.formatter_class = Help
    parser.epilog = epilog(name, parser.prog, EXIT_CODES)
    verb.configure(parser)
    parser.add_argument(
        "--debug", action="store_true", help="show where in the code a failure came from"
    )


def _guarded(verb: Verb, options: argparse.Namespace, start: Path) -> int:
    # A pod is ended with SIGTERM: unwinding gives the lease back.
    signal.signal(signal.SIGTERM, _terminate)
    try:
        return _called(verb, options, start)
    except LandingError as error:
        complain(error, options)
        suggest(error, options)
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        text = "interrupted; the next run goes on from the last load"
        told_by(options, "warning", "interrupted", text)
        return _INTERRUPTED[isinstance(interrupt, _Terminated)]
    except BrokenPipeError:
        return 0
    except Exception as error:  # a bug, whose traceback is wanted but not the secrets in it
        told_by(options, "error", "bug", "".join(traceback.format_exception(error)))
        return 1


def _called(verb: Verb, options: argparse.Namespace, start: Path) -> int:
    try:
        workspace = find_workspace(start)
    except WorkspaceError as error:
        if verb is not doctor:
            raise
        return doctor.without_workspace(options, error)
    load_env_file(workspace)
    return verb.call(options, workspace)


def _ended(code: int) -> int:
    """The process's end: at once if it was interrupted, whatever requests are still under way."""
    if code in _INTERRUPTED:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    # Python's last collections would look at all that a run has made, and free nothing.
    gc.freeze()
    return code


class _Terminated(KeyboardInterrupt):
    pass


def _terminate(number: int, frame: object) -> None:
    raise _Terminated
