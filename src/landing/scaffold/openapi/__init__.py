"""A source from an OpenAPI 3 document: a stream for each endpoint that gives a list.

What the document says is taken from it; what it can't say, such as which field is the key, is
guessed by the names that APIs use, and marked as a guess in the files that are written.
"""

from landing.scaffold.openapi.document import Document, read_document
from landing.scaffold.openapi.source import FoundStreams, source_plan

__all__ = ["Document", "FoundStreams", "read_document", "source_plan"]
