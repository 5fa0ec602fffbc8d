"""Stops dlt's RESTClient from following links to another host."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from urllib.parse import urlsplit

import requests

from landing.http.retries import GaveUp

_CLIENT = "dlt.sources.helpers.rest_client.client"
_FIRST = "_landing_first_url"


def guard() -> None:
    """Make every RESTClient in this process raise if a link to the next page leads to another host.

    Otherwise it sends auth, headers and cookies to any address that a response links to. Its module
    is not imported here, since few sources use it: it is guarded when it is imported.
    """
    if _CLIENT in sys.modules:
        _guard_client()
    elif not any(isinstance(finder, _GuardsWhenImported) for finder in sys.meta_path):
        sys.meta_path.insert(0, _GuardsWhenImported())


def _guard_client() -> None:
    from landing.http.dlt_sending import check_requests, count_offsets_in_rows

    check_requests(_stays_on_one_host)
    count_offsets_in_rows()


class _GuardsWhenImported(MetaPathFinder):
    """Finds the client's module as Python does, and guards the client after it was imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != _CLIENT:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_guard(module: ModuleType) -> None:
            execute(module)
            _guard_client()

        spec.loader.exec_module = execute_and_guard  # type: ignore[method-assign]
        return spec


def _stays_on_one_host(request: requests.Request) -> None:
    """`request` is the same object for all pages, and its paginator changes the address."""
    first = vars(request).setdefault(_FIRST, str(request.url))
    then = str(request.url)
    with requests.Session() as session:
        goes_elsewhere = session.should_strip_auth(first, then)  # type: ignore[no-untyped-call]
    if goes_elsewhere:
        raise GaveUp(
            f"gave a link to the next page on another host, {urlsplit(then).netloc}, which would "
            "get the credentials; nothing was sent there: page by a cursor, or make that host "
            "the base_url",
            request=requests.Request(request.method, first).prepare(),
        )
