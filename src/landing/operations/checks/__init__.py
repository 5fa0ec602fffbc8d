"""An acceptance suite for any source: what a run relies on, tried out on the API itself.

A check asks only what a stream's functions are documented to do. Everything that lands does so in
a folder that is thrown away, with a state of its own; the bucket of the settings is never opened.
"""

from landing.operations.checks.subject import Limits
from landing.operations.checks.suite import CHECKS, CONNECTS, Suite
from landing.operations.checks.verdicts import CheckResult

__all__ = ["CHECKS", "CONNECTS", "CheckResult", "Limits", "Suite"]
