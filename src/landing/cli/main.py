"""Parses a command, calls its verb, and turns whatever it raises into an exit code."""

from __future__ import annotations

import argparse
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

from landing import __version__
from landing.catalog.workspace import Workspace, find_workspace, load_env_file, show_names
from landing.cli.examples import epilog
from landing.cli.parser import Help, Parser, WrongUsage, add_debug
from landing.cli.text.console import only_documents, presentable, put_trace
from landing.cli.text.output import complain, print_failed, report_event
from landing.cli.verbs import (
    backfill,
    check,
    compact,
    completion,
    dbt,
    discover,
    doctor,
    env,
    fresh,
    history,
    init,
    k8s,
    login,
    mcp,
    new,
    quarantine,
    rebuild,
    report,
    run,
    schema,
    select,
    show,
    state,
    status,
    verify,
)
from landing.errors import LandingError, UsageError, WorkspaceError
from landing.extraction import interruption
from landing.secrets import redacted

EXIT_CODES = (
    "exit codes: 0 success, 1 a stream failed or a check found something, 2 wrong usage or config, "
    "3 another run of the stream is in progress"
)


class Verb(Protocol):
    """A module of this package. It imports the engine inside `call`, so that `--help` and a wrong
    word do not wait for dlt. One that works without a workspace has a function
    `without_workspace(options, error)`, too."""

    __name__: str
    HELP: str

    def configure(self, parser: Parser) -> None: ...

    def call(self, options: argparse.Namespace, workspace: Workspace) -> int:
        """Returns the exit code; a LandingError that it raises has its own."""


TASKS: dict[str, tuple[Verb, ...]] = {
    "write a source": (init, new, env, login, discover, select, check, mcp),
    "run": (run, backfill),
    "inspect": (status, fresh, history, show, schema, verify, report),
    "fix": (doctor, quarantine, state, rebuild, compact),
    "deploy": (k8s, dbt, completion),
}


def _name(verb: Verb) -> str:
    return verb.__name__.rpartition(".")[2]


VERBS = {_name(verb): verb for verbs in TASKS.values() for verb in verbs}


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script `landing`: the workspace is the one of the current folder."""
    return _interruptible(lambda: _main(arguments))


def _interruptible(call: Callable[[], int]) -> int:
    interruption.listen()  # a pod is ended with SIGTERM: unwinding gives the lease back
    threading.excepthook = _thread_failed
    sys.excepthook = lambda _, error, trace: _put_error(error)
    try:
        return call()
    except KeyboardInterrupt:  # before there is a verb
        print("interrupted", file=sys.stderr)
        return interruption.end_process(interruption.code())


def _main(arguments: Sequence[str] | None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    parser = Parser(prog="landing", description=_tasks(), epilog=EXIT_CODES, formatter_class=Help)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    verbs = parser.add_subparsers(
        dest="verb", required=True, metavar="VERB", help="`landing VERB --help` shows examples"
    )
    # To make a parser for every verb takes longer than some verbs do.
    for name in words[:1] if words and words[0] in VERBS else VERBS:
        _configure(verbs.add_parser(name), name, VERBS[name])
    completion.complete_if_asked(parser)
    if not words:
        parser.print_help(sys.stderr)
        return UsageError.exit_code
    options = _parsed(parser, words)
    try:
        here = Path.cwd()
    except FileNotFoundError:
        complain(UsageError("the current folder no longer exists: change to another"), options)
        return UsageError.exit_code
    code = _guarded(VERBS[options.verb], options, here)
    return interruption.end_process(code) if arguments is None else code


def _tasks() -> str:
    """The verbs by what they are for, a line each."""
    return "\n\n".join(
        "\n".join([f"{task}:", *(f"  {_name(verb):<12}{verb.HELP}" for verb in verbs)])
        for task, verbs in TASKS.items()
    )


def script(verb: str, file: str) -> int:
    """A workspace's own script for one verb: the workspace is the one the script lies in."""
    return _interruptible(lambda: _script(verb, file))


def _script(verb: str, file: str) -> int:
    parser = Parser(prog=Path(file).name)
    _configure(parser, verb, VERBS[verb])
    return interruption.end_process(
        _guarded(VERBS[verb], _parsed(parser, sys.argv[1:]), Path(file).parent)
    )


def _parsed(parser: Parser, words: Sequence[str]) -> argparse.Namespace:
    """Wrong usage ends as argparse has it, and with a document for a program."""
    try:
        return parser.parse_args(words)
    except WrongUsage as wrong:
        prog = wrong.parser.prog
        code = UsageError.exit_code
        if "--json" in words:
            print_failed(UsageError(str(wrong), remedy=f"`{prog} --help` shows examples"), code)
        wrong.parser.print_usage(sys.stderr)
        wrong.parser.exit(code, f"{prog}: error: {presentable(str(wrong))}\n")


def _configure(parser: Parser, name: str, verb: Verb) -> None:
    parser.formatter_class = Help
    parser.epilog = epilog(name, parser.prog, EXIT_CODES)
    verb.configure(parser)
    add_debug(parser)


def _guarded(verb: Verb, options: argparse.Namespace, start: Path) -> int:
    try:
        return _called(verb, options, start)
    except LandingError as error:
        complain(error, options)
        return _failed(options, error, error.exit_code)
    except KeyboardInterrupt:
        text = "interrupted"
        if getattr(options, "verb", "run") == "run":
            text += "; the next run continues from the last load"
        report_event(options, "warning", "interrupted", text)
        return _failed(options, KeyboardInterrupt(text), interruption.code())
    except BrokenPipeError:
        return 0
    except Exception as error:  # a bug: its traceback is needed, without the secrets in it
        trace = "".join(traceback.format_exception(error))
        what = f"a bug of dlt-landing, or of a library: {type(error).__name__}: {error}"
        report_event(options, "error", "bug", f"error: {what}", trace)
        return _failed(options, error, 1)


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    """As Python does for a thread of a source that raises, but without secrets."""
    if failed.exc_value is not None and not isinstance(failed.exc_value, SystemExit):
        _put_error(failed.exc_value)


def _put_error(error: BaseException) -> None:
    put_trace(redacted("".join(traceback.format_exception(error)).rstrip()))


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
        with _output_of(options):
            return anywhere(options, error)
    load_env_file(workspace)
    show_names(workspace)
    with _output_of(options):
        return verb.call(options, workspace)


def _output_of(options: argparse.Namespace) -> AbstractContextManager[None]:
    return only_documents() if getattr(options, "json", False) else nullcontext()
