"""A process that imports what a run of this project does, and in the same way."""

from __future__ import annotations

import importlib

from landing.extraction.tuning import import_faster, tune_process

if __name__ == "__main__":
    import_faster()
    importlib.import_module("landing.operations.run")
    tune_process()
