"""`landing env`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from landing.catalog.workspace import Workspace
from landing.cli.arguments import add_flag, add_source
from landing.cli.text.console import put, say
from landing.cli.text.output import print_json
from landing.errors import counted

if TYPE_CHECKING:
    from landing.catalog.variables import Variable

HELP = "list the environment variables that a source reads, and which are set"
_NAMES_WIDTH = 28


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Finds the variables in the source's modules without running them, and never shows a "
        "value. Without SOURCE, lists the bucket's variables."
    )
    add_source(parser, is_optional=True)
    form = parser.add_mutually_exclusive_group()
    add_flag(form, "--json", "print one JSON document (docs/json.md)")
    add_flag(form, "--dotenv", "print lines for .env, without values")
    add_flag(
        form, "--secret", "print the Kubernetes Secret that `landing k8s` refers to, without values"
    )


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.catalog.names import check_source
    from landing.catalog.variables import bucket_variables, described_variables

    source: str | None = options.source
    if source is None:
        variables = bucket_variables()
    else:
        variables = described_variables(workspace, check_source(workspace, source))
    if options.json:
        print_json(variables)
    elif options.dotenv:
        _print_dotenv(variables)
    elif options.secret:
        _print_secret(_secret_name(workspace, source), variables)
    else:
        _print_list(source or "the bucket", variables)
    return 0


def _print_list(what: str, variables: Sequence[Variable]) -> None:
    missing = sum(v.required and v.state != "set" for v in variables)
    message = f"{missing} of the required ones not set" if missing else "all required ones are set"
    say(f"{what}: {counted(len(variables), 'variable')}, {message}")
    width = min(_NAMES_WIDTH, max((len(v.name) for v in variables), default=0))
    for variable in variables:
        need = "required" if variable.required else "optional"
        mark = f"  {variable.name:<{width}}  {need}  {variable.state:<7}  "
        say(variable.description, mark=mark)


def _print_dotenv(variables: Sequence[Variable]) -> None:
    for variable in variables:
        if variable.description:
            put(f"# {variable.description}")
        put(f"{'' if variable.required else '# '}{variable.name}=")


def _print_secret(name: str, variables: Sequence[Variable]) -> None:
    put("# Fill in the values, and encrypt the file before you commit it (docs/deployment.md).")
    head = ("apiVersion: v1", "kind: Secret", "metadata:", f"  name: {name}", "type: Opaque")
    for line in (*head, "stringData:"):
        put(line)
    for variable in variables:
        if variable.description:
            put(f"  # {variable.description}")
        put(f'  {"" if variable.required else "# "}{variable.name}: ""')


def _secret_name(workspace: Workspace, source: str | None) -> str:
    from landing.kubernetes import BUCKET_SECRET, source_secret, source_slugs

    return source_secret(source_slugs(workspace)[source]) if source else BUCKET_SECRET
