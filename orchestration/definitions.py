"""The streams of this workspace for Dagster: `dagster dev` in the repository's root."""

from pathlib import Path

from landing.dagster import definitions

defs = definitions(Path(__file__).parent)
