"""From the words of a command to a verb, and from whatever it raises to an exit code."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NoReturn, Protocol

from landing import __version__
from landing.catalog.workspace import Workspace, find_workspace, load_env_file, show_names
from landing.cli.examples import Help, epilog
from landing.cli.text.output import complain, print_failed, report_event
from landing.cli.verbs import (
    backfill,
    check,
    compact,
    completion,
    discover,
    doctor,
    env,
    fresh,
    history,
    init,
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
from landing.errors import LandingError, UsageError, WorkspaceError
from landing.extraction import interruption

EXIT_CODES = (
    "exit codes: 0 all done, 1 a stream failed or differs, 2 wrong usage or configuration, "
    "3 another run of the stream is under way"
)


class Verb(Protocol):
    """A module of this package. It imports the engine inside `call`, since `--help` and a wrong
    word should not wait for dlt. One that works without a workspace has a function
    `without_workspace(options, error)`, too."""

    HELP: str

    def configure(self, parser: argparse.ArgumentParser) -> None: ...

    def call(self, options: argparse.Namespace, workspace: Workspace) -> int:
        """Returns the exit code; a LandingError that it raises has one of its own."""


VERBS: dict[str, Verb] = {
    "backfill": backfill,
    "check": check,
    "compact": compact,
    "completion": completion,
    "discover": discover,
    "doctor": doctor,
    "env": env,
    "fresh": fresh,
    "history": history,
    "init": init,
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
    interruption.listen()  # a pod is ended with SIGTERM: unwinding gives the lease back
    try:
        return _main(arguments)
    except KeyboardInterrupt:  # before there is a verb
        print("interrupted", file=sys.stderr)
        return _ended(interruption.code())


def _main(arguments: Sequence[str] | None) -> int:
    parser = _Parser(prog="landing", epilog=EXIT_CODES)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    words = sys.argv[1:] if arguments is None else arguments
    for name in _needed(words):
        _configure(verbs.add_parser(name, help=VERBS[name].HELP), name, VERBS[name])
    completion.complete_if_asked(parser)
    options = _parsed(parser, words)
    code = _guarded(VERBS[options.verb], options, Path.cwd())
    return _ended(code) if arguments is None else code


def script(verb: str, file: str) -> int:
    """A workspace's own script for one verb: the workspace is the one the script lies in."""
    interruption.listen()
    parser = _Parser(prog=Path(file).name)
    _configure(parser, verb, VERBS[verb])
    return _ended(_guarded(VERBS[verb], _parsed(parser, sys.argv[1:]), Path(file).parent))


class _WrongUsage(Exception):
    def __init__(self, parser: argparse.ArgumentParser, message: str) -> None:
        self.parser = parser
        self.message = message


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _WrongUsage(self, message)


def _parsed(parser: _Parser, words: Sequence[str]) -> argparse.Namespace:
    """Wrong usage ends as argparse has it, and for a program with a document."""
    try:
        return parser.parse_args(words)
    except _WrongUsage as wrong:
        prog = wrong.parser.prog
        code = UsageError.exit_code
        if "--json" in words:
            print_failed(UsageError(wrong.message, remedy=f"`{prog} --help` shows examples"), code)
        wrong.parser.print_usage(sys.stderr)
        wrong.parser.exit(code, f"{prog}: error: {wrong.message}\n")


def _needed(words: Sequence[str]) -> Iterable[str]:
    """To make a parser for each verb takes longer than some verbs do."""
    return words[:1] if words and words[0] in VERBS else VERBS


def _configure(parser: argparse.ArgumentParser, name: str, verb: Verb) -> None:
    parser.formatter_class = Help
    parser.epilog = epilog(name, parser.prog, EXIT_CODES)
    verb.configure(parser)
    parser.add_argument(
        "--debug", action="store_true", help="show where in the code a failure came from"
    )


def _guarded(verb: Verb, options: argparse.Namespace, start: Path) -> int:
    try:
        return _called(verb, options, start)
    except LandingError as error:
        complain(error, options)
        return _failed(options, error, error.exit_code)
    except KeyboardInterrupt:
        text = "interrupted; the next run goes on from the last load"
        report_event(options, "warning", "interrupted", text)
        return _failed(options, KeyboardInterrupt(text), interruption.code())
    except BrokenPipeError:
        return 0
    except Exception as error:  # a bug, whose traceback is wanted but not the secrets in it
        report_event(options, "error", "bug", "".join(traceback.format_exception(error)))
        return _failed(options, error, 1)


def _failed(options: argparse.Namespace, error: BaseException, code: int) -> int:
    if getattr(options, "json", False):
        print_failed(error, code)
    return code


def _called(verb: Verb, options: argparse.Namespace, start: Path) -> int:
    try:
        workspace = find_workspace(start)
    except WorkspaceError as error:
        anywhere: Callable[..., int] | None = getattr(verb, "without_workspace", None)
        if anywhere is None:
            raise
        return anywhere(options, error)
    load_env_file(workspace)
    show_names(workspace)
    return verb.call(options, workspace)


def _ended(code: int) -> int:
    """The process's end: at once if it was interrupted, or has given up on something that goes on
    in a thread, which Python would wait for or end amid a request."""
    if code in interruption.CODES.values() or any(map(_is_left_behind, threading.enumerate())):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    # Python's last collections would look at all that a run has made, and free nothing.
    gc.freeze()
    return code


def _is_left_behind(thread: threading.Thread) -> bool:
    return thread.daemon and thread.name.startswith("landing-")
