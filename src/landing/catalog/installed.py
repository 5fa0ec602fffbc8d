"""Sources that are installed as packages, which name them in their entry points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from landing.errors import SourceError

GROUP = "landing.sources"


@cache
def installed_sources() -> Mapping[str, Sequence[EntryPoint]]:
    """By the name of the source, the entry points that name it: more than one is a mistake, which
    matters once the source is used. The value of one is the package that exports the streams."""
    found: dict[str, list[EntryPoint]] = {}
    for one in entry_points(group=GROUP):
        found.setdefault(one.name, []).append(one)
    return found


def installed_module(name: str) -> str:
    """The package of an installed source. Raises SourceError if its entry point is wrong, or if
    several packages name the source."""
    one, *others = {one.value: one for one in installed_sources()[name]}.values()
    if others:
        raise SourceError(
            f"source '{name}' is installed twice, by {_package(one)} and by "
            f"{_package(others[0])}: uninstall one of them, or write dlt/sources/{name}/, which "
            "comes first"
        )
    if not all(part.isidentifier() for part in one.value.split(".")):
        raise SourceError(
            f"source '{name}': the entry point of {_package(one)} is '{one.value}', which is not "
            "the name of a Python package: correct it"
        )
    return one.value


def installed_folder(name: str) -> Path:
    """Where the code of an installed source is; imports only the packages above it.

    Raises SourceError if there is no such package.
    """
    module = installed_module(name)
    try:
        spec = find_spec(module)
    except Exception:  # whatever the packages above it raise
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise SourceError(
            f"source '{name}': {_package(installed_sources()[name][0])} names '{module}' as its "
            "package, but no folder of that name is installed: correct its entry point, or install "
            "it again"
        )
    return Path(spec.submodule_search_locations[0])


def _package(one: EntryPoint) -> str:
    return one.dist.name if one.dist is not None else one.value
