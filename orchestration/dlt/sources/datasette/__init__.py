"""Any database that a Datasette instance serves: one stream per table."""

from .streams import datasette

__all__ = ["datasette"]
