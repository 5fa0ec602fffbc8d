"""What APIs answer that a client has to notice, each way as an API of a few rows."""

from torture.wire.bodies import BODIES
from torture.wire.children import CHILDREN
from torture.wire.ends import ODD_ENDS
from torture.wire.failures import LOST, NAMED_FAILURES
from torture.wire.first_pages import FEWER, WRONG_FIRST
from torture.wire.formats import FORMATS
from torture.wire.graphql import GRAPHQL
from torture.wire.limits import LIMITS
from torture.wire.links import LINKS
from torture.wire.logins import LOGINS
from torture.wire.more_pages import NOT_ALL
from torture.wire.odd_records import RECORDS
from torture.wire.wrong_paging import WRONG

WAYS = [
    *NOT_ALL,
    *WRONG,
    *WRONG_FIRST,
    *FEWER,
    *ODD_ENDS,
    *LOST,
    *LINKS,
    *BODIES,
    *FORMATS,
    *NAMED_FAILURES,
    *RECORDS,
    *CHILDREN,
    *GRAPHQL,
    *LIMITS,
    *LOGINS,
]
