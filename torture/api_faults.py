"""What APIs do: each fault of theirs, to a client that tries again and to one that does not."""

from __future__ import annotations

from collections.abc import Callable

from demo.servers import S3Server
from tests.servers import proxy
from tests.servers.proxy import Exchange, Spoiled, answers
from torture.faults import FOR_EVER, Fault, Torment, of_stream, run_torments
from torture.figures import Section, Tally
from torture.fleet import Fleet
from torture.sources import PLAIN, RETRYING

_CLOSED = "no connection, or one that was closed"


def _once(fault: proxy.Fault) -> Callable[[Fleet, str], Spoiled]:
    """At the first, second or third request of a run."""
    return lambda fleet, stream: fleet.api_proxy.spoil(
        fault, when=of_stream(stream), after=fleet.random.randrange(3)
    )


def _from_then_on(fault: proxy.Fault) -> Callable[[Fleet, str], Spoiled]:
    return lambda fleet, stream: fleet.api_proxy.spoil(
        fault, when=of_stream(stream), after=fleet.random.randrange(3), times=FOR_EVER
    )


def _changing(fleet: Fleet, stream: str) -> Spoiled:
    def fault(exchange: Exchange) -> None:
        response = exchange.forward()
        fleet.change(stream, 20)
        exchange.answer(response)

    return fleet.api_proxy.spoil(fault, when=of_stream(stream), times=3)


def _round_and_round(pages: int) -> Callable[[Fleet, str], Spoiled]:
    """After so many pages the API begins again with the first of them."""

    def spoil(fleet: Fleet, stream: str) -> Spoiled:
        asked: list[dict[str, str]] = []

        def fault(exchange: Exchange) -> None:
            if len(asked) < pages:
                asked.append(exchange.request.query)
            else:
                asked.append(asked[len(asked) % pages])
            proxy.with_query(lambda _: asked[-1])(exchange)

        return fleet.api_proxy.spoil(fault, when=of_stream(stream), times=FOR_EVER)

    return spoil


def _answers(status: int, **headers: str) -> proxy.Fault:
    return answers(status, b'{"error": "no"}', Content_Type="application/json", **headers)


ORDINARY = [
    Fault("hurried", "429 with Retry-After", _once(_answers(429, Retry_After="1")), "answered 429"),
    Fault("crowded", "429 without Retry-After", _once(_answers(429)), "answered 429"),
    Fault("failing", "500", _once(_answers(500)), "answered 500"),
    Fault("proxied", "502", _once(_answers(502)), "answered 502"),
    Fault("unavailable", "503", _once(_answers(503)), "answered 503"),
    Fault("silent", "no response, then a reset", _once(proxy.silent(3.0)), f"in time|{_CLOSED}"),
    Fault(
        "cut",
        "reset in the middle of a body",
        _once(proxy.reset_in_mid_answer),
        "cut off in mid-answer",
    ),
    Fault("short", "truncated JSON", _once(proxy.truncated_json), "not JSON"),
    Fault("signed_out", "an HTML page with status 200", _once(proxy.sign_in_page), "not JSON"),
    Fault(
        "expired", "a token that expires during the run", _from_then_on(_answers(401)), "401.*cred"
    ),
]
CHANGING = Fault("edited", "rows that change during paging", _changing, changes_rows=True)
ENDLESS = [
    Fault("repeated", "the same page again and again", _round_and_round(1), "same page"),
    Fault("dead", "no response at all", _once(proxy.silent(90.0)), "has returned nothing for"),
    Fault("circling", "a cursor that goes backwards", _round_and_round(2), "same page"),
]


def api_faults(s3: S3Server, rounds: int, lanes: int, *, waits: bool) -> Section:
    """Each fault in at least so many runs, half of them of either client."""
    own = -(-rounds // (2 * lanes))
    torments = [
        *[Torment(PLAIN, ORDINARY, own, waits) for _ in range(lanes)],
        *[Torment(RETRYING, [*ORDINARY, CHANGING], own, waits) for _ in range(lanes)],
        *[Torment(PLAIN, ENDLESS, own, waits) for _ in range(lanes)],
        *[Torment(RETRYING, [*ENDLESS, CHANGING], own, waits) for _ in range(lanes)],
    ]
    tallies = [Tally(fault.what) for fault in [*ORDINARY, CHANGING, *ENDLESS]]
    return run_torments("API faults", torments, tallies, s3)
