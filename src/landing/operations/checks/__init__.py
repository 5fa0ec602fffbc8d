"""An acceptance suite for any source: tests against its API what a run relies on.

A check only uses documented behaviour of a stream's functions. It lands into a temporary folder,
with its own state; the configured bucket is never opened.
"""

from landing.operations.checks.subject import Limits
from landing.operations.checks.suite import CHECKS, CONNECTS, Suite
from landing.operations.checks.verdicts import CheckResult

__all__ = ["CHECKS", "CONNECTS", "CheckResult", "Limits", "Suite"]
