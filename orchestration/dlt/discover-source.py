"""`landing discover` for this workspace; works from any folder."""

import sys

try:
    from landing.cli import script
except ModuleNotFoundError as error:
    sys.exit(f"{error}: run `make setup` and `source .venv/bin/activate` first (README.md)")

if __name__ == "__main__":
    sys.exit(script("discover", __file__))
