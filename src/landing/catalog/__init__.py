"""The files that a person keeps: the workspace, discovered schemas and stream configs, as validated
models.

Nothing here is public: neither a source nor a Dagster code location imports it.
"""
