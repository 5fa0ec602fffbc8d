"""Finds and redacts secrets: those of the environment, and those obtained at run time.

Everything that is printed, logged, recorded or stored goes through `redacted`, `masked` or
`replaced`.
"""

from landing.secrets.logs import log_no_secrets
from landing.secrets.redaction import found_in, is_in, masked, redacted, replaced, without_secrets
from landing.secrets.registry import (
    find_by,
    is_secret_name,
    is_secret_variable,
    known,
    make_public,
    members,
    register,
    register_lasting,
    register_sent,
    registered,
    registered_by_kind,
    secrets_of,
)

__all__ = [
    "find_by",
    "found_in",
    "is_in",
    "is_secret_name",
    "is_secret_variable",
    "known",
    "log_no_secrets",
    "make_public",
    "masked",
    "members",
    "redacted",
    "register",
    "register_lasting",
    "register_sent",
    "registered",
    "registered_by_kind",
    "replaced",
    "secrets_of",
    "without_secrets",
]
