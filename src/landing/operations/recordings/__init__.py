"""The HTTP traffic of a check, kept with its source, so that the check runs again without the API.

vcrpy records and replays; what it may write is `scrubbing`'s matter. A recording holds for one
check: it has the answers to the requests that this check made and no others.
"""

from landing.operations.recordings.recording import Facts, Recording, missing_answer
from landing.operations.recordings.scrubbing import SCRUBBED

__all__ = ["SCRUBBED", "Facts", "Recording", "missing_answer"]
