"""This project: the script given, with the arguments given, as if it had been started itself."""

from __future__ import annotations

import runpy
import sys

from benchmarks.programs.clock import framework_import

with framework_import():
    import dlt  # noqa: F401

if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
