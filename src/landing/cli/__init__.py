"""The command line: parses, calls, prints. `landing VERB …`, or a workspace's own scripts."""

from landing.cli.main import main, script

__all__ = ["main", "script"]
