"""Render the example of deploy/kubernetes/ from its stream configs, or check that it is current."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from landing.cli import main as landing

REPOSITORY = Path(__file__).parent.parent
EXAMPLE = REPOSITORY / "deploy" / "kubernetes" / "example"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "orchestration"
        (root / "dag").mkdir(parents=True)
        (root / "dlt").symlink_to(REPOSITORY / "orchestration" / "dlt")
        (root / "dag" / "streams").symlink_to(EXAMPLE / "streams")
        os.chdir(root)
        return landing(["k8s", "--output", str(EXAMPLE / "base"), *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
