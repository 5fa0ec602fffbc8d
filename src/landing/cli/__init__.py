"""The command line: parses, calls, prints. `landing VERB …`, or a workspace's own scripts."""

import sys

try:
    from landing.cli.main import main, script
except KeyboardInterrupt:  # Ctrl-C before there is anything to interrupt
    print("interrupted", file=sys.stderr)
    sys.exit(130)

__all__ = ["main", "script"]
