"""Take over into `landing init`'s template what this repository has itself, or check that it is."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from landing.scaffold.workspace import SUFFIX, TEMPLATE

REPOSITORY = Path(__file__).parent.parent
SAME = (
    "workspace.yaml",
    "orchestration/definitions.py",
    "orchestration/feeder.py",
    "orchestration/dlt/discover-source.py",
    "orchestration/dlt/pipeline.py",
    "deploy/dagster/dagster.yaml",
    "deploy/dagster/values.yaml",
)
SETTINGS = ".env.example"
OVERLAY = "deploy/kubernetes/overlay"
EXAMPLE = "deploy/kubernetes/example/overlay"
DOCKERFILE = "deploy/Dockerfile"
SHARED_STAGES = "FROM python:${PYTHON}-slim-bookworm AS workspace\n"


def texts() -> Iterator[tuple[str, str]]:
    for name in SAME:
        yield name, _here(name)
    yield ".sops.yaml", _without_recipient(_here(".sops.yaml"))
    # The sources of this repository are not the new one's.
    yield SETTINGS, _here(SETTINGS).partition("\n# Source ")[0]
    yield (
        f"{OVERLAY}/kustomization.yaml",
        _here(f"{EXAMPLE}/kustomization.yaml").partition("patches:")[0],
    )
    yield f"{OVERLAY}/service-account.yaml", _here(f"{EXAMPLE}/service-account.yaml")
    # An image of this repository has the engine from its folder, another one as a package.
    own = "!pyproject.toml\n!constraints.txt\n!README.md\n!LICENSE\n!src\n"
    package = "!requirements.txt\n!constraints.txt\n"
    yield ".dockerignore", _here(".dockerignore").replace(own, package)
    build = (TEMPLATE / f"{DOCKERFILE}{SUFFIX}").read_text().partition(SHARED_STAGES)[0]
    yield DOCKERFILE, "".join((build, *_here(DOCKERFILE).partition(SHARED_STAGES)[1:]))


def _without_recipient(rules: str) -> str:
    """With a placeholder that sops refuses: nobody can decrypt what is for our example's key."""
    comment, begin, rest = rules.partition("creation_rules:")
    first = comment.partition(" The recipient")[0]
    change = "Put the public parts of\n# your own keys in place of the placeholder"
    own = re.sub(r"age: age1\w+", "age: PUT-YOUR-age1-KEY-HERE", rest)
    return f"{first} {change} (docs/deployment.md).\n{begin}{own}"


def _here(name: str) -> str:
    return (REPOSITORY / name).read_text()


def main() -> int:
    stale = False
    for name, text in texts():
        file = TEMPLATE / f"{name}{SUFFIX}"
        if "--check" not in sys.argv:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        elif not file.is_file() or file.read_text() != text:
            stale = True
            print(f"{file.relative_to(REPOSITORY)} is not what {name} is: run `make schemas`")
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
