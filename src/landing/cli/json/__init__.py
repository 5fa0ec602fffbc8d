"""Results as `--json` prints them."""
