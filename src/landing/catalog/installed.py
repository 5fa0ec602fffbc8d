"""Sources that are installed as packages, which name them in their entry points."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from landing.errors import SourceError

GROUP = "landing.sources"


@cache
def installed_sources() -> Mapping[str, EntryPoint]:
    """By the name of the source; the value of an entry point is the package that exports its
    streams.

    Raises SourceError if two packages name the same source.
    """
    found: dict[str, EntryPoint] = {}
    for one in entry_points(group=GROUP):
        other = found.setdefault(one.name, one)
        if other.value != one.value:
            raise SourceError(
                f"source '{one.name}' is installed twice, by {_package(other)} and by "
                f"{_package(one)}: uninstall one of them, or write dlt/sources/{one.name}/, which "
                "comes first"
            )
    return found


def installed_folder(name: str) -> Path:
    """Where the code of an installed source is; does not import it.

    Raises SourceError if there is no such package.
    """
    one = installed_sources()[name]
    try:
        spec = find_spec(one.module)
    except ImportError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise SourceError(
            f"source '{name}': {_package(one)} names '{one.module}' as its package, but no folder "
            "of that name is installed: correct its entry point, or install it again"
        )
    return Path(spec.submodule_search_locations[0])


def _package(one: EntryPoint) -> str:
    return one.dist.name if one.dist is not None else one.value
