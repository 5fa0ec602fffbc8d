"""Plans a source from an OpenAPI 3 or Swagger 2 document, or from a Postman collection: a stream
for each GET of a list.

What the document does not say, such as which field is the key, is guessed from the names that APIs
use. The written files mark each guess.
"""

from landing.scaffold.openapi.document import Document, read_document
from landing.scaffold.openapi.source import FoundStreams, source_plan

__all__ = ["Document", "FoundStreams", "read_document", "source_plan"]
