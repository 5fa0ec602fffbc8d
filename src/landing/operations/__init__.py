"""What a person or a scheduler starts: a run, discovery, a backfill, a check, a compaction.

Public in it: `landing.operations.backfill`. The rest is free to change.
"""
