"""The auth of a source's client, for `landing login`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from landing.errors import SourceError
from landing.extraction.failures import explained
from landing.extraction.sources import Source

if TYPE_CHECKING:
    from landing.http.auth.oauth import OAuth2RefreshToken


def source_auth(source: Source) -> OAuth2RefreshToken:
    """Call `auth()` of the source's client.py.

    Raises SourceError if there is no such function or its result needs no login, and
    SettingsError if a variable that it reads is not set.
    """
    from landing.http.auth.oauth import OAuth2RefreshToken

    workspace = source.workspace
    shown = workspace.shown(workspace.source_dir(source.name) / "client.py")
    try:
        client = importlib.import_module(f"{source.module.__name__}.client")
        make = getattr(client, "auth", None)
        made = make() if callable(make) else None
    except Exception as error:
        raise explained(workspace, source.name, f"auth() of {shown}", error) from error
    if made is None:
        raise SourceError(
            f"{shown}: has no function auth() that returns an OAuth2RefreshToken, which `landing "
            "login` needs (docs/auth.md)"
        )
    if not isinstance(made, OAuth2RefreshToken):
        raise SourceError(
            f"{shown}: auth() returns {type(made).__name__}, which needs no login by a person; "
            "only OAuth2RefreshToken does"
        )
    return made
