"""Writes a new source from a few answers or an OpenAPI document, and a new workspace."""

from landing.scaffold.files import write_source
from landing.scaffold.kinds import AUTHS, PAGINGS
from landing.scaffold.package import write_package
from landing.scaffold.plan import (
    AuthPlan,
    CursorPlan,
    PagingPlan,
    SourcePlan,
    StreamPlan,
    paging_plan,
    planned_auth,
)

__all__ = [
    "AUTHS",
    "PAGINGS",
    "AuthPlan",
    "CursorPlan",
    "PagingPlan",
    "SourcePlan",
    "StreamPlan",
    "paging_plan",
    "planned_auth",
    "write_package",
    "write_source",
]
