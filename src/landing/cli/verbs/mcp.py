"""`landing mcp`."""

from __future__ import annotations

import argparse
import os
import sys

from landing.catalog.workspace import Workspace
from landing.cli.text.console import say

HELP = "serve read-only tools to an assistant, over the Model Context Protocol"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "An assistant starts it and speaks to it over standard input and output. The tools "
        "discover, preview, check, status, quarantine and docs return what the commands print "
        "with --json. They write neither to the workspace nor to the bucket."
    )


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from dotenv import dotenv_values

    from landing.cli.mcp_server import calls, server

    # Each call reads .env itself, as it is by then.
    settings = dotenv_values(workspace.repository / ".env")
    env = {name: value for name, value in os.environ.items() if settings.get(name) != value}
    if sys.stdin.isatty():
        message = "waits for an assistant on standard input; Ctrl-C ends it (docs/assistants.md)"
        say(message, to=sys.stderr)
    server(calls(workspace, env)).run("stdio")
    return 0
