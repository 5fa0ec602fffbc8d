from .streams import dictionaries

PARALLEL_LOGINS = True

__all__ = ["dictionaries"]
