"""Take over into `landing init`'s template what this repository has itself, or check that it is."""

from __future__ import annotations

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
)
SETTINGS = ".env.example"


def texts() -> Iterator[tuple[str, str]]:
    for name in SAME:
        yield name, (REPOSITORY / name).read_text()
    # The sources of this repository are not the new one's.
    yield SETTINGS, (REPOSITORY / SETTINGS).read_text().partition("\n# Source ")[0]


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
