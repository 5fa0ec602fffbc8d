"""Choosing what lands of a stream: its discovered schema merged into its stream config."""

from landing.operations.selection.base import base_of, with_left_out
from landing.operations.selection.choices import FieldChoice, Selection, selection_of
from landing.operations.selection.edit import Decisions, edited, edits

__all__ = [
    "Decisions",
    "FieldChoice",
    "Selection",
    "base_of",
    "edited",
    "edits",
    "selection_of",
    "with_left_out",
]
