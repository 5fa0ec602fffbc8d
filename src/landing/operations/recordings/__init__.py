"""Records the HTTP traffic of a check with its source, so that the check runs without the API.

vcrpy records and replays; `scrubbing` removes secrets. A recording belongs to one check: it only
has answers to the requests of that check.
"""

from landing.operations.recordings.recording import Facts, Recording, missing_answer
from landing.operations.recordings.scrubbing import SCRUBBED

__all__ = ["SCRUBBED", "Facts", "Recording", "missing_answer"]
