"""`landing login`."""

from __future__ import annotations

import argparse
import webbrowser
from typing import TYPE_CHECKING

from landing.catalog.workspace import Workspace
from landing.cli.arguments import add_count, add_flag, add_json, add_source
from landing.cli.text.console import put, say
from landing.cli.text.output import print_json
from landing.errors import UsageError

if TYPE_CHECKING:
    from landing.http.auth.authorization_code import Login

HELP = "log in to a source's API in the browser, and keep the refresh token"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "For sources whose client.py has a function auth() that returns an OAuth2RefreshToken."
    )
    add_source(parser)
    add_flag(
        parser,
        "--no-browser",
        "use a browser on another machine, and paste the address that it ends at",
    )
    add_count(parser, "--timeout", "SECONDS", 300, "how long to wait for the browser")
    add_json(parser)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.extraction.sources import load_source
    from landing.http.auth.authorization_code import begin
    from landing.operations.login import source_auth

    auth = source_auth(load_source(workspace, options.source))
    login = begin(auth)
    login.finish(_pasted(login) if options.no_browser else _awaited(login, options.timeout))
    if options.json:
        from landing.cli.json.shapes import LoggedIn

        print_json(LoggedIn(source=options.source, store=repr(auth.store)))
    else:
        say(f"{options.source}: logged in; tokens are kept in {auth.store!r}")
    return 0


def _awaited(login: Login, seconds: int) -> str:
    from landing.http.auth.authorization_code import listening

    with listening(login) as redirect:
        _show(login)
        webbrowser.open(login.url)
        return redirect.address(seconds)


def _show(login: Login) -> None:
    for line in ("Grant access at:", "", login.url, ""):
        put(line)


def _pasted(login: Login) -> str:
    _show(login)
    put("The browser then ends at an address that may not load. Paste it here:")
    try:
        return input()
    except EOFError:
        raise UsageError("no address was pasted; run the command again in a terminal") from None
