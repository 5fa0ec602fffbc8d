"""All pages, discarded: what the wire and the server cost."""

from __future__ import annotations

from benchmarks.programs.api import bodies

for _ in bodies():
    pass
