"""`landing completion`, and the answers to a shell when Tab is pressed."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from landing.catalog.workspace import Workspace, find_workspace
from landing.cli import arguments
from landing.cli.arguments import add_json
from landing.cli.parser import Parser
from landing.cli.text.output import print_json
from landing.errors import WorkspaceError

HELP = "print the shell script that completes verbs, options, sources and streams"
SHELLS = ("bash", "zsh", "fish")
_NEW_NAMES = ("landing new",)
"""Verbs whose SOURCE does not exist yet."""

Completer: TypeAlias = Callable[..., list[str]]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS)
    add_json(parser)


def without_workspace(options: argparse.Namespace, error: WorkspaceError) -> int:
    return call(options)


def call(options: argparse.Namespace, workspace: Workspace | None = None) -> int:
    from argcomplete.shell_integration import shellcode

    script = shellcode(["landing"], shell=options.shell)
    if options.json:
        from landing.cli.json.shapes import Completion

        print_json(Completion(shell=options.shell, script=script))
    else:
        print(script)
    return 0


def complete_if_asked(parser: argparse.ArgumentParser) -> None:
    """Answers the shell and ends the process, if a shell has started it for completions.

    Nothing of dlt is imported: it looks only at names of files in the workspace.
    """
    if "_ARGCOMPLETE" not in os.environ:
        return
    import argcomplete

    _attach(parser)
    argcomplete.autocomplete(parser, always_complete_options=False)


def _attach(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb in action.choices.values():
                _attach(verb)
            if isinstance(parser, Parser) and parser.reordered is not None:
                # A source may stand in the place of the verb.
                action.completer = _completer_of(arguments.SOURCE)  # type: ignore[attr-defined]
        elif parser.prog not in _NEW_NAMES and (completer := _completer_of(action.metavar)):
            action.completer = completer  # type: ignore[attr-defined]


def _completer_of(metavar: object) -> Completer | None:
    """By an argument's name in the help, so that a new verb is completed like the others."""
    match metavar:
        case arguments.SOURCE:
            return lambda **_: list(_sources())
        case arguments.STREAM:
            return lambda parsed_args, **_: list(_streams(parsed_args.source))
        case "SOURCE/STREAM":
            return lambda **_: [f"{one}/{stream}" for one in _sources() for stream in _streams(one)]
    return None


def _sources() -> Iterator[str]:
    workspace = _workspace()
    if workspace is not None:
        yield from workspace.source_names()


def _streams(source: str | None) -> Iterator[str]:
    """Those that are configured or were discovered."""
    workspace = _workspace()
    if workspace is None or source is None:
        return
    folders = workspace.config_dir(source), workspace.discovered_dir(source)
    yield from sorted({file.stem for folder in folders for file in folder.glob("[!_.]*.json")})


def _workspace() -> Workspace | None:
    try:
        return find_workspace(Path.cwd())
    except WorkspaceError:
        return None
