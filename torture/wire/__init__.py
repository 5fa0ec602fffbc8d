"""What APIs answer that a client has to notice, each way as an API of a few rows."""

from torture.wire.bodies import BODIES
from torture.wire.limits import LIMITS
from torture.wire.paging import PAGING

WAYS = [*PAGING, *BODIES, *LIMITS]
