"""The requirement by which a new workspace installs the engine: that of the running one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from landing.errors import UsageError, listed

PACKAGE = "dlt-landing"


@dataclass(frozen=True)
class Engine:
    requirement: str
    is_of_this_machine: bool
    """Whether it is a path on this machine, which others don't have."""
    published: str
    """What an image can install: the requirement itself, or the same version from an index."""


def engine(extras: Iterable[str], given: str | None = None) -> Engine:
    """`given` is the requirement of `--engine`, without extras.

    Raises UsageError if it is not a requirement of this package.
    """
    requirement = _parsed(given) if given is not None else Requirement(_as_installed())
    requirement.extras |= set(extras)
    written = str(requirement)
    if urlsplit(requirement.url or "").scheme.rpartition("+")[2] != "file":
        return Engine(written, False, written)
    version = metadata.distribution(PACKAGE).version
    return Engine(written, True, f"{PACKAGE}[{','.join(sorted(requirement.extras))}]=={version}")


def lacking_in(requirements: str, wanted: Engine) -> str | None:
    """What an existing requirements.txt lacks, as the end of a sentence; None if nothing."""
    found = next(_own_requirements(requirements), None)
    if found is None:
        return f"does not require {PACKAGE}: add the line {wanted.published}"
    if urlsplit(found.url or "").scheme == "file":
        return (
            f"has a path of one machine, which an image can't install: put {wanted.published} there"
        )
    if lacking := Requirement(wanted.published).extras - found.extras:
        return f"requires {PACKAGE} without the extras {listed(lacking)}: add them there"
    return None


def _own_requirements(requirements: str) -> Iterator[Requirement]:
    for line in requirements.splitlines():
        try:
            found = Requirement(line.partition(" #")[0].partition(" --")[0].strip())
        except InvalidRequirement:  # a comment, or an option of pip
            continue
        if canonicalize_name(found.name) == PACKAGE:
            yield found


def packages_of(extras: Iterable[str]) -> list[str]:
    """The packages of these extras as separate requirements: pip can't install `dlt-landing[dev]`
    from an index that does not have this package."""
    found = []
    for one in map(Requirement, metadata.requires(PACKAGE) or ()):
        marker, one.marker = one.marker, None
        if marker is not None and one.name != PACKAGE:
            found += [str(one) for extra in extras if marker.evaluate({"extra": extra})]
    return sorted(set(found))


def _parsed(text: str) -> Requirement:
    example = f"'{PACKAGE}==1.0' or '{PACKAGE} @ git+https://git.example.com/data/landing@v1.0'"
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"--engine '{text}': {reason}; write it like {example}") from None
    if canonicalize_name(requirement.name) != PACKAGE:
        raise UsageError(f"--engine '{text}' is not {PACKAGE}; write it like {example}")
    return requirement


def _as_installed() -> str:
    """From `direct_url.json` (PEP 610), which pip writes if the package is not from an index."""
    found = metadata.distribution(PACKAGE)
    written = found.read_text("direct_url.json")
    if written is None:
        return f"{PACKAGE}=={found.version}"
    return f"{PACKAGE} @ {_address(json.loads(written))}"


def _address(origin: dict[str, Any]) -> str:
    url = _without_password(origin["url"])
    fragment = f"subdirectory={origin['subdirectory']}" if origin.get("subdirectory") else ""
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    elif digest := origin.get("archive_info", {}).get("hashes", {}).get("sha256"):
        fragment = "&".join(filter(None, (f"sha256={digest}", fragment)))
    return f"{url}#{fragment}" if fragment else url


def _without_password(url: str) -> str:
    """`url` without credentials; in HTTP URLs a user alone may be a token."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    is_secret = ":" in user or parts.scheme in ("http", "https")
    return parts._replace(netloc=host).geturl() if is_secret else url
