"""What buckets do: each fault at requests of a run that chance picks."""

from __future__ import annotations

from collections.abc import Callable

import obstore

from demo.servers import S3Server
from tests.servers import proxy
from tests.servers.proxy import Exchange, Request, Spoiled, refuses
from torture.faults import FOR_EVER, Fault, Torment, run_torments
from torture.figures import Section, Tally
from torture.fleet import Fleet
from torture.sources import PLAIN

Matcher = Callable[[Request], bool]
_LAST = 9
"""Requests of a run that may pass before one is spoiled: fewer than there are."""


def _any(fleet: Fleet, stream: str) -> Matcher:
    name = f"/{fleet.source}/{stream}/"

    def matches(request: Request) -> bool:
        listed = request.query.get("prefix", "")
        return name in request.path or name in f"/{listed}" or name.encode() in request.body

    return matches


def _uploads(fleet: Fleet, stream: str) -> Matcher:
    own = _any(fleet, stream)
    return lambda request: request.path.endswith(".parquet") and own(request)


def _writes(fleet: Fleet, stream: str) -> Matcher:
    own = _any(fleet, stream)
    return lambda request: request.method == "PUT" and own(request)


def _listings(fleet: Fleet, stream: str) -> Matcher:
    own = _any(fleet, stream)
    return lambda request: "list-type" in request.query and own(request)


def _emptied(fleet: Fleet, stream: str) -> Spoiled:
    """All that the stream has in the bucket is deleted, while the run goes on writing there."""

    def fault(exchange: Exchange) -> None:
        store = fleet.zone.store
        for path in fleet.zone.paths():
            if f"{fleet.source}/{stream}/" in path:
                obstore.delete(store, path)
        fleet.landed[stream].forget()
        proxy.passed_on(exchange)

    after = fleet.random.randint(0, 2)
    return fleet.bucket_proxy.spoil(fault, when=_uploads(fleet, stream), after=after)


def _at(
    fault: proxy.Fault,
    requests: Callable[[Fleet, str], Matcher],
    *,
    after: int = 0,
    times: float = 1,
) -> Callable[[Fleet, str], Spoiled]:
    """At those requests, once up to `after` of them have passed."""
    return lambda fleet, stream: fleet.bucket_proxy.spoil(
        fault,
        when=requests(fleet, stream),
        after=fleet.random.randint(0, after),
        times=times,
    )


_WRITES_OF_A_RUN = 5
_SLOW_DOWN = refuses(503, "SlowDown")
_ERROR = refuses(500, "InternalError")
_REVOKED = refuses(403, "AccessDenied")
_GONE = refuses(404, "NoSuchBucket")

# Where no cause is given, the run has to recover by itself.
FAULTS = [
    Fault("hurried", "503 SlowDown, twice", _at(_SLOW_DOWN, _any, after=_LAST, times=2)),
    Fault(
        "crowded",
        "503 SlowDown, every time",
        _at(_SLOW_DOWN, _uploads, after=2, times=FOR_EVER),
        r"could not write .*503",
    ),
    Fault(
        "cut", "reset in the middle of an upload", _at(proxy.reset_in_mid_upload, _uploads, after=2)
    ),
    Fault(
        "unheard",
        "an upload whose response is lost",
        _at(proxy.answer_lost, _writes, after=_WRITES_OF_A_RUN),
    ),
    Fault("listed", "a listing that fails twice", _at(_ERROR, _listings, times=2)),
    Fault(
        "unlisted",
        "a listing that fails every time",
        _at(_ERROR, _listings, times=FOR_EVER),
        r"could not list .*500",
    ),
    Fault(
        "revoked",
        "credentials revoked during the run",
        _at(_REVOKED, _any, after=_LAST, times=FOR_EVER),
        "refuses to .*S3_ACCESS_KEY_ID",
    ),
    Fault(
        "gone",
        "bucket deleted during the run",
        _at(_GONE, _any, after=_LAST, times=FOR_EVER),
        "does not exist",
    ),
    Fault("emptied", "all objects deleted during the run", _emptied, "lost its lease"),
    Fault("slow", "every response 0.3 s late", _at(proxy.slow(0.3), _any, times=FOR_EVER)),
]


def bucket_faults(s3: S3Server, rounds: int, lanes: int, *, waits: bool) -> Section:
    """Each fault in at least so many runs."""
    torments = [Torment(PLAIN, FAULTS, -(-rounds // lanes), waits) for _ in range(lanes)]
    tallies = [Tally(fault.what) for fault in FAULTS]
    return run_torments("Bucket faults", torments, tallies, s3, at_once=2)
