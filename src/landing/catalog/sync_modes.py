"""Explains a stream config's two sync modes in sentences."""

from __future__ import annotations

from landing.catalog.stream_config import StreamConfig


def in_words(config: StreamConfig) -> str:
    """What a run reads and adds, and what it leaves behind."""
    return f"{_reads(config)}; {_leaves(config)}"


def _reads(config: StreamConfig) -> str:
    if config.is_incremental:
        return f"reads what has changed by {config.cursor_field} and adds it to the files"
    return "reads everything and adds all of it to the files"


def _leaves(config: StreamConfig) -> str:
    key = ", ".join(config.primary_key)
    match config.destination_sync_mode:
        case "merge":
            deletes = ", and removes what was deleted" if config.has_deletes else ""
            return f"then updates the {config.table_format} table, one row for each {key}{deletes}"
        case "overwrite":
            return f"then replaces the {config.table_format} table with these rows"
    if config.has_deletes or (config.is_incremental and key):
        unless = ", unless it marks a deletion" if config.has_deletes else ""
        return f"no table is kept: the newest row for each {key} is the current one{unless}"
    if config.is_incremental:
        return "no table is kept, and without a key no row is known to be the current one"
    return "no table is kept: the rows of the newest load are the current ones"


def deletes_in_words(config: StreamConfig) -> str | None:
    """How deleted records are detected; None if they are not."""
    message = []
    if config.hard_delete is not None:
        marks = (
            "true"
            if config.hard_delete.is_boolean
            else "true, or a value that is not zero or empty"
        )
        message.append(f"the source marks them: {config.hard_delete.column} is {marks}")
    if config.deletes == "snapshot":
        limit = config.deletes_limit
        share = "all of them" if limit is None else f"more than {limit:g} of them"
        fails = "" if limit == 1 else f"; {share} in one run make it fail"
        message.append(f"known records that a full refresh does not have{fails}")
    return "; ".join(message) or None
