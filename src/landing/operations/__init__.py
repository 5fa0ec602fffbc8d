"""What a person or a scheduler starts: a run, discovery, a backfill, a check, a compaction.

Only `landing.operations.backfill` is public. The rest may change at any time.
"""
