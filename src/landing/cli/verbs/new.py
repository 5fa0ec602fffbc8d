"""`landing new`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from landing.catalog.workspace import Workspace
from landing.cli.answers import pairs, plan_from_answers
from landing.cli.arguments import add_flag, add_json, add_source
from landing.cli.text.console import say
from landing.cli.text.output import print_json
from landing.errors import UsageError, WorkspaceError, counted

if TYPE_CHECKING:
    from landing.cli.json.shapes import NewSource
    from landing.scaffold import AuthPlan, SourcePlan
    from landing.scaffold.kinds import Kind
    from landing.scaffold.trial import Tried

Planned: TypeAlias = "tuple[Tried, Sequence[str]]"
HELP = "write a new source: client, streams, a test, lines for .env.example"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "In a terminal, it asks for whatever the options leave out."
    add_source(parser, is_optional=True)  # --auth=help needs none
    add_answers(parser)
    add_flag(
        parser,
        "--package",
        "write it as a Python package of its own, landing-source-SOURCE/, which `pip install` "
        "gives to every workspace; needs no workspace",
    )
    add_json(parser)


def without_workspace(options: argparse.Namespace, error: WorkspaceError) -> int:
    if not options.package and "help" not in (options.auth, options.paging):
        raise error
    return call(options)


def add_answers(parser: argparse._ActionsContainer) -> None:
    """The options that describe a source."""
    parser.add_argument(
        "--base-url", metavar="URL", help="the address that all paths are relative to"
    )
    parser.add_argument(
        "--openapi",
        metavar="FILE|URL",
        help="an OpenAPI 3 or Swagger 2 document, or a Postman collection: each list becomes a "
        "stream",
    )
    _add_kind(parser, "auth", "how to authenticate")
    _add_kind(parser, "paging", "how to get from one page to the next")
    parser.add_argument(
        "--streams",
        nargs="+",
        metavar="NAME[=PATH]",
        help="the streams to write; PATH is relative to the base URL and defaults to NAME; with "
        "--openapi, only these of the document's lists, by name or with a name for its PATH",
    )
    parser.add_argument(
        "--records",
        metavar="PATH",
        help="where the records are in the response, such as data.items",
    )
    parser.add_argument(
        "--primary-key", metavar="FIELD", help="the field that identifies a record, such as id"
    )
    parser.add_argument("--cursor", metavar="FIELD", help="the field that grows with every change")
    parser.add_argument(
        "--since",
        metavar="PARAMETER",
        help="the query parameter for records from a cursor value on; with a template if it takes "
        "more than the value, such as 'filter=updated_at ge {value}'",
    )
    parser.add_argument(
        "--initial-value",
        metavar="VALUE",
        help="the cursor's value before the first run, such as 0 for numbers; by default, "
        "1970-01-01T00:00:00Z",
    )
    parser.add_argument(
        "--method",
        choices=("get", "post"),
        default="get",
        help="post for a search: parameters are paths in a JSON body",
    )

    parser.add_argument(
        "--no-trial",
        action="store_true",
        help="do not read the streams' first pages, which is done if the source's environment "
        "variables are set, to correct what does not work",
    )


def _add_kind(parser: argparse._ActionsContainer, name: str, what: str) -> None:
    parser.add_argument(f"--{name}", metavar="KIND", help=f"{what}; --{name}=help lists the kinds")
    parser.add_argument(
        f"--{name}-arg",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"a detail of it; --{name}=help lists the names",
    )


def call(options: argparse.Namespace, workspace: Workspace | None = None) -> int:
    if print_kinds(options):
        return 0
    if options.source is None:
        raise UsageError("SOURCE is missing: name the source to write, as in `landing new shop`")
    planned = planned_source(options)
    if options.package or workspace is None:
        made = package_written(planned)
        steps = [f"cd {made.files[0].partition('/')[0]} && pip install -e '.[dev]'"]
    else:
        made, steps = written(workspace, planned), []
    code = 1 if made.failed else 0
    if options.json:
        print_json(made)
        return code
    print_made(made)
    missing = [name for name in made.variables if name not in os.environ]
    if missing:
        steps.append(f"set {', '.join(missing)} in .env")
    elif made.failed:
        steps.append(f"correct what failed, which `landing check {made.source}` tests")
    say(f"Next: {', then '.join([*steps, f'`landing discover {made.source}`'])}.")
    return code


def print_kinds(options: argparse.Namespace) -> bool:
    """Whether the options asked for the kinds, and not for a source."""
    from landing.scaffold import AUTHS, PAGINGS

    if "help" not in (options.auth, options.paging):
        return False
    _print_kinds("paging" if options.auth != "help" else "auth", PAGINGS, AUTHS)
    return True


def planned_source(options: argparse.Namespace) -> Planned:
    """From a document or from answers, with notes about it; nothing is written."""
    from landing.scaffold.trial import Tried, tried

    if options.openapi:
        plan, notes = _from_document(options)
    else:
        plan, notes = plan_from_answers(options), []
    if options.no_trial:
        return Tried(plan), notes
    return tried(plan, is_trusted=not options.openapi or options.auth is not None), notes


def written(workspace: Workspace, planned: Planned) -> NewSource:
    from landing.scaffold import write_source

    files = write_source(workspace, planned[0].plan)
    return _made(planned, [workspace.shown(file) for file in files])


def package_written(planned: Planned) -> NewSource:
    from landing.scaffold import write_package

    here = Path.cwd()
    files = write_package(here, planned[0].plan)
    return _made(planned, [str(file.relative_to(here)) for file in files])


def _made(planned: Planned, files: list[str]) -> NewSource:
    from landing.cli.json.shapes import NewSource

    found, notes = planned
    return NewSource(
        source=found.plan.name,
        files=files,
        variables=[name for name, _ in found.plan.variables()],
        notes=[*notes, *found.notes],
        works=found.works,
        failed=found.failed,
    )


def print_made(made: NewSource, indent: str = "") -> None:
    for file in made.files:
        say(f"{indent}{file}")
    for note in (*made.notes, *made.failed):
        say(note, mark="! ")
    if made.works:
        say(f"{indent}the first pages of {counted(len(made.works), 'stream')} were read")


def _print_kinds(what: str, pagings: Mapping[str, Kind], auths: Mapping[str, Kind]) -> None:
    for name, kind in (pagings if what == "paging" else auths).items():
        say(kind.summary, mark=f"--{what}={name}: ")
        for argument in kind.arguments:
            default = "" if argument.default in (None, "") else f" (default {argument.default})"
            needed = " (required)" if argument.default is None else default
            say(f"{argument.question}{needed}", mark=f"    --{what}-arg {argument.name}=…: ")


def _from_document(options: argparse.Namespace) -> tuple[SourcePlan, Sequence[str]]:
    from landing.scaffold.openapi import read_document, source_plan

    found = source_plan(
        read_document(options.openapi),
        options.source,
        base_url=options.base_url,
        auth=_given_auth(options),
        only=options.streams or (),
    )
    return found.plan, found.notes


def _given_auth(options: argparse.Namespace) -> AuthPlan | None:
    from landing.scaffold import planned_auth

    return planned_auth(options.auth, pairs("auth", options.auth_arg)) if options.auth else None
