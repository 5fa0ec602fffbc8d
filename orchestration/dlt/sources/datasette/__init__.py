"""Any database that a Datasette instance serves: one stream per table."""

from .streams import datasette

PARALLEL_LOGINS = True  # there is no login; each request has the token, if there is one

__all__ = ["datasette"]
