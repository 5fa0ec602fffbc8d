"""The proof that nothing is lost: `python -m torture`. The servers between whose real processes
the faults happen are those of `demo/` and `tests/servers/`."""
