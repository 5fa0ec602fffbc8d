"""The environment, read while other threads may change it."""

from __future__ import annotations

import os


def variables() -> dict[str, str]:
    """The environment's variables now. `dict(os.environ)` fails if a thread, such as one of a
    source's library, removes a variable meanwhile."""
    while True:
        try:
            return dict(os.environ)
        except (KeyError, RuntimeError):
            continue
