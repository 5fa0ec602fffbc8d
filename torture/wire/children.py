"""Children of parents that are gone, refused, or answered with something else."""

from __future__ import annotations

from tests.servers.scripted import Exchange
from torture.wire.way import ROWS, Answers, Way, body, in_turn, raw

PARENTS = [{"id": number} for number in range(1, len(ROWS) + 1)]
STREAMS = """\
@dlt.resource(primary_key="id")
def parents():
    yield from api.pages("parents", records="items")


@dlt.transformer(data_from=parents, primary_key="id")
"""
LISTS = f"""{STREAMS}def orders(found):
    for parent in found.rows():
        yield from api.pages(f"orders/{{parent['id']}}", records="items"ARGUMENTS)
"""
LOOP = f"""{STREAMS}def orders(found):
    for parent in found.rows():
        yield api.get(f"orders/{{parent['id']}}").json()["items"]
"""
PLAIN = f"""{STREAMS}def orders(found):
    for parent in found.rows():
        response = requests.get(f"{{URL}}/orders/{{parent['id']}}", timeout=5)
        response.raise_for_status()
        yield response.json()["items"]
"""
DEFERRED = f"""{STREAMS}def orders(found):
    @dlt.defer
    def one(number):
        return api.get(f"orders/{{number}}").json()["items"]

    for parent in found.rows():
        yield one(parent["id"])
"""
ASYNC = f"""{STREAMS}async def orders(found):
    import httpx

    async with httpx.AsyncClient(base_url=URL) as client:
        for parent in found.rows():
            response = await client.get(f"/orders/{{parent['id']}}")
            yield response.raise_for_status().json()["items"]
"""
IN_PAGES = ', paging=NextUrlPages("next")'
REFRESH = {"sync_mode": "full_refresh"}
NOT_FOUND = body({"error": "no such order"}, 404)
NGINX = raw("<html><h1>404 Not Found</h1><center>nginx</center></html>", "text/html", 404)


def _family(odd: Answers, *numbers: int) -> Answers:
    """An order for each parent, but for those with one of the numbers."""

    def answer(exchange: Exchange) -> None:
        place = exchange.seen.path.rpartition("/")[2]
        if place == "parents":
            body({"items": PARENTS})(exchange)
        elif int(place) in numbers:
            odd(exchange)
        else:
            body({"items": [ROWS[int(place) - 1]]})(exchange)

    return answer


def _skipped(what: str, source: str, odd: Answers, stream: str = LISTS) -> Way:
    """All orders land but those of two parents."""
    rows = [row for row in ROWS if row["id"] not in (3, 7)]
    return Way(
        what, source, _family(odd, 3, 7), _plain(stream), "landed", rows=rows, config=REFRESH
    )


def _told(
    what: str, source: str, answers: Answers, says: str, arguments: str = "", stream: str = LISTS
) -> Way:
    return Way(what, source, answers, _plain(stream, arguments), "failed", says, config=REFRESH)


def _plain(stream: str, arguments: str = "") -> str:
    return stream.replace("ARGUMENTS", arguments)


EVERY = range(1, len(ROWS) + 1)

SKIPPED = [
    _skipped("the lists of two parents are a 404", "estuary/connectors#1982", NOT_FOUND),
    _skipped(
        "the lists of two parents are a 410", "dust-tt/dust#27045", body({"error": "gone"}, 410)
    ),
    _skipped(
        "the lists of two parents are a 404 in HTML, of the server before it",
        "estuary/connectors#4903",
        NGINX,
    ),
    _skipped(
        "the lists of two parents are a 404, and the source loops over the parents itself",
        "PostHog/posthog#102868",
        NOT_FOUND,
        LOOP,
    ),
    _skipped(
        "the lists of two parents are a 404, to a loop of plain `requests`",
        "airbytehq/airbyte#24369",
        NOT_FOUND,
        PLAIN,
    ),
    _skipped(
        "the lists of two parents are a 404, to functions of `dlt.defer`",
        "alcionai/corso#4342",
        NOT_FOUND,
        DEFERRED,
    ),
    _skipped(
        "the lists of two parents are a 404, to an `async` function",
        "estuary/connectors#2398",
        NOT_FOUND,
        ASYNC,
    ),
    Way(
        "the list of a parent is a 404 once, and there the next time",
        "dust-tt/dust#28009",
        _family(lambda exchange: in_turn(NOT_FOUND, body({"items": [ROWS[2]]}))(exchange), 3),
        _plain(LISTS),
        "landed",
        config=REFRESH,
    ),
]

REFUSED = [
    _told(
        "the lists of all parents are a 404",
        "dust-tt/dust#28009",
        _family(NOT_FOUND, *EVERY),
        "none of its 12 child lists is there",
    ),
    _told(
        "the lists of all parents are a 404, and the source loops over the parents itself",
        "pimutils/vdirsyncer#658",
        _family(NOT_FOUND, *EVERY),
        "none of its 12 child lists is there",
        stream=LOOP,
    ),
    _told(
        "the list of a parent is a 404 in mid-paging",
        "PostHog/posthog#103686",
        _family(in_turn(body({"items": [], "next": "/orders/3?page=2"}), NOT_FOUND), 3),
        "answered 404.*no such order",
        IN_PAGES,
    ),
    _told(
        "the list of a parent is a 400 in mid-paging",
        "PostHog/posthog#103675",
        _family(
            in_turn(
                body({"items": [], "next": "/orders/3?page=2"}), body({"detail": "too deep"}, 400)
            ),
            3,
        ),
        "answered 400.*too deep",
        IN_PAGES,
    ),
    _told(
        "the list of a parent is refused",
        "mvanhorn/cli-printing-press#3816",
        _family(body({"message": "no access to order 3"}, 400), 3),
        "answered 400.*no access to order 3",
    ),
    _told(
        "the list of a parent is an error with status 200",
        "MicrosoftDocs/azure-docs#42599",
        _family(body({"error": "order 3 is locked"}), 3),
        "it says: order 3 is locked",
    ),
    _told(
        "the list of parents is a 404",
        "PostHog/posthog#102868",
        NOT_FOUND,
        "parents answered 404",
    ),
]

CHILDREN = [*SKIPPED, *REFUSED]
