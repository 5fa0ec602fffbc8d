"""An API whose records change while they are read, with a clock of its own.

It answers inside this process, over `requests` and `http.client` as a socket would, so that tens of
thousands of histories are affordable; `serving` puts the same API on a real one.
"""

from __future__ import annotations

import http.client
import io
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol
from urllib.parse import parse_qsl, urlsplit

import requests
import urllib3

from tests.servers.scripted import Exchange, serve

Order = Literal["oldest", "newest", "key", "falling key", "scrambled"]
Paging = Literal["token", "offset", "page", "single", "time"]
"""`time`: a page starts at the time of the last row of the page before."""
HOST = "http://api.test"
_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
_INTEGER = {"type": "integer"}


@dataclass(frozen=True)
class Spelling:
    """How an API writes the moment of a change, and reads it from a query."""

    write: Callable[[datetime], Any]
    read: Callable[[str], datetime]
    type: dict[str, str]
    is_fine: bool = True
    """The API goes by fractions of a second, whether its answers have them or not."""
    is_local: bool = False
    """Without offset, by a clock that is not UTC's."""


def _iso(text: str) -> datetime:
    text = text.strip().replace("Z", "+00:00")
    head, point, rest = text.partition(".")
    if point:
        digits = rest[: next((n for n, c in enumerate(rest) if not c.isdigit()), len(rest))]
        text = f"{head}.{digits[:6]:0<6}{rest[len(digits) :]}"
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _fractions(at: datetime) -> str:
    """As many digits as it takes, as Java's Instant has it, or nanoseconds, or .NET's ticks."""
    micros = at.microsecond
    digits = f".{micros:06}".rstrip("0") if micros % 100_000 == 0 else f".{micros:06}789"
    digits = digits.rstrip(".") if micros % 2 == 0 else digits[:8]
    return f"{at:%Y-%m-%dT%H:%M:%S}{digits}Z"


def _fraction(number: int) -> timedelta:
    """Of a second, of any length; it is the same for several records in turn."""
    micros = (0, number % 10 * 100_000, number // 3 * 97_001 % 1_000_000)
    return timedelta(microseconds=micros[number % 3])


def _offsets(at: datetime) -> str:
    hours = at.microsecond % 23 - 11
    return f"{at + timedelta(hours=hours):%Y-%m-%dT%H:%M:%S.%f}{hours:+03}:00"


def _local(hours: int) -> Spelling:
    shift = timedelta(hours=hours)
    return Spelling(
        lambda at: f"{at + shift:%Y-%m-%d %H:%M:%S}",
        lambda text: _iso(text) - shift,
        _TIME,
        is_fine=False,
        is_local=True,
    )


SPELLINGS: Mapping[str, Spelling] = {
    "ISO times": Spelling(lambda at: f"{at:%Y-%m-%dT%H:%M:%S.%f}Z", _iso, _TIME),
    "ISO times, fractions of any length": Spelling(_fractions, _iso, _TEXT),
    "ISO times, any offset": Spelling(_offsets, _iso, _TEXT),
    "ISO times, cut to seconds": Spelling(lambda at: f"{at:%Y-%m-%dT%H:%M:%SZ}", _iso, _TIME),
    "ISO times, no offset, UTC": Spelling(lambda at: f"{at:%Y-%m-%d %H:%M:%S}", _iso, _TIME),
    "ISO times, no offset, 8 hours behind": _local(-8),
    "ISO times, no offset, 9 hours ahead": _local(9),
    "dates": Spelling(lambda at: f"{at:%Y-%m-%d}", _iso, {"type": "string", "format": "date"}),
    "seconds since 1970": Spelling(
        lambda at: int(at.timestamp()),
        lambda text: datetime.fromtimestamp(int(text), UTC),
        _INTEGER,
    ),
    "seconds since 1970, with fractions": Spelling(
        lambda at: at.timestamp(),
        lambda text: datetime.fromtimestamp(float(text), UTC),
        {"type": "number"},
    ),
    "milliseconds since 1970": Spelling(
        lambda at: int(at.timestamp() * 1_000),
        lambda text: datetime.fromtimestamp(int(text) / 1_000, UTC),
        _INTEGER,
    ),
}
NUMBERED: Mapping[str, tuple[Callable[[int], Any], Callable[[str], int], dict[str, str]]] = {
    "version numbers": (int, int, _INTEGER),
    "version numbers, as text": (
        lambda number: f"v{number:08}",
        lambda text: int(text[1:]),
        _TEXT,
    ),
    "ids": (int, int, _INTEGER),
}
EQUAL = "ISO times, equal ones, paged by time alone"
KINDS = (*SPELLINGS, *NUMBERED, EQUAL)


@dataclass(frozen=True)
class Edit:
    """A record that is changed, or inserted if there is none at that place."""

    place: int
    late: float = 0.0
    """Seconds from when the record took its time until anyone can see it."""
    ahead: float = 0.0
    """Days by which the record is dated into the future."""
    fits: bool = True
    """With the types of the stream config."""


@dataclass
class MovingApi:
    kind: str
    order: Order
    paging: Paging
    size: int
    """Rows a page."""
    filters: bool = True
    """By `since`; others answer with all rows."""
    tells_time: bool = True
    """In the `Date` of its answers; one that does not goes by this machine's clock."""
    pace: float = 0.0
    """Seconds from one answer to the next."""
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    moments: dict[int, Any] = field(default_factory=dict)
    edits: Mapping[int, Sequence[Edit]] = field(default_factory=dict)
    """Of this run, by the number of answers after which they are made."""
    answered: int = 0
    """Requests of this run."""
    version: int = 0
    rows_given: int = 0
    asked: list[str] = field(default_factory=list)
    """Each `since`."""
    _now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def now(self) -> datetime:
        return self._now if self.tells_time else datetime.now(UTC)

    def wait(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)

    @property
    def is_timed(self) -> bool:
        return self.kind not in NUMBERED

    @property
    def field_type(self) -> dict[str, str]:
        return self._spelling.type if self.is_timed else NUMBERED[self.kind][2]

    @property
    def _spelling(self) -> Spelling:
        return SPELLINGS["ISO times, cut to seconds" if self.kind == EQUAL else self.kind]

    def begin(self, edits: Mapping[int, Sequence[Edit]], pace: float) -> None:
        """A run begins, during which these edits are made."""
        self.edits, self.pace, self.answered = edits, pace, 0

    def make(self, edit: Edit) -> None:
        key = edit.place + 1
        if self.kind == "ids":
            key = max(self.rows, default=0) + 1  # which can't be edited
        at = self.now - timedelta(seconds=edit.late) + timedelta(days=edit.ahead)
        self.put(key, at, fits=edit.fits)

    def put(self, key: int, at: datetime, *, fits: bool = True, version: int = 0) -> None:
        self.version = max(self.version + 1, version)
        number = key if self.kind == "ids" else version or self.version
        if self.is_timed:
            at -= _fraction(self.version) * (self._spelling.is_fine and self.kind != EQUAL)
            self.moments[key], value = at, self._spelling.write(at)
        else:
            self.moments[key], value = number, NUMBERED[self.kind][0](number)
        text = f"{key} in version {self.version}"
        self.rows[key] = {"id": key, "at": value, "text": text, "n": key if fits else "none"}

    def answer(self, query: Mapping[str, str]) -> bytes:
        with self._lock:
            self.asked += [query["since"]] if "since" in query else []
            body = json.dumps(self._page(query)).encode()
            self.answered += 1
            self.wait(self.pace)
            for edit in self.edits.get(self.answered, ()):
                self.make(edit)
            return body

    def _page(self, query: Mapping[str, str]) -> dict[str, Any]:
        found = sorted(filter(self._due(query), self.rows), key=self._place)
        if self.order in ("newest", "falling key"):
            found.reverse()
        if self.paging == "single":
            page, more = found, None
        elif self.paging == "time":
            page, more = found[: min(self.size, int(query.get("limit", self.size)))], None
        elif self.paging == "token":
            start = self._after(found, query.get("token"))
            page = found[start : start + self.size]
            more = json.dumps(self._place(page[-1]), default=str) if page else None
        else:
            start = int(query.get("token", 0)) * (self.size if self.paging == "page" else 1)
            page = found[start : start + self.size]
            # After a short page, the next number would pass rows that were added meanwhile.
            is_last = not page or (self.paging == "page" and len(page) < self.size)
            step = 1 if self.paging == "page" else len(page)
            more = None if is_last else str(int(query.get("token", 0)) + step)
        self.rows_given += len(page)
        return {"rows": [self.rows[key] for key in page], "next": more}

    def _due(self, query: Mapping[str, str]) -> Callable[[int], bool]:
        if not self.filters or "since" not in query:
            return lambda key: True
        if not self.is_timed:
            number = NUMBERED[self.kind][1](query["since"])
            return lambda key: bool(self.moments[key] >= number)
        since = self._spelling.read(query["since"])
        return lambda key: bool(self.moments[key] >= since)

    def _place(self, key: int) -> tuple[Any, ...]:
        match self.order:
            case "oldest" | "newest":
                moment = self.moments[key]
                return (moment.timestamp() if self.is_timed else moment, key)
            case "scrambled":
                return (key * 7_919 % 104_729, key)
        return (key,)

    def _after(self, found: Sequence[int], token: str | None) -> int:
        if token is None:
            return 0
        last = tuple(json.loads(token))
        falls = self.order in ("newest", "falling key")
        passed = (
            key for key in found if (self._place(key) < last) == falls and self._place(key) != last
        )
        first = next(passed, None)
        return len(found) if first is None else found.index(first)

    @property
    def date(self) -> str | None:
        return f"{self.now:%a, %d %b %Y %H:%M:%S} GMT" if self.tells_time else None


class Answering(Protocol):
    @property
    def date(self) -> str | None:
        """The header of its next answer."""

    def answer(self, query: Mapping[str, str]) -> bytes: ...


class InProcess(requests.adapters.BaseAdapter):
    """Answers the requests of a session without a socket."""

    def __init__(self, api: Answering) -> None:
        super().__init__()
        self._api = api

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]

        date = self._api.date
        body = self._api.answer(dict(parse_qsl(urlsplit(request.url or "").query)))
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        )
        if date is not None:
            head += f"Date: {date}\r\n"
        heard = http.client.HTTPResponse(_Socket(f"{head}\r\n".encode() + body))  # type: ignore[arg-type]
        heard.begin()
        response = requests.Response()
        response.status_code = heard.status
        response.headers.update(heard.headers)
        response.raw = urllib3.HTTPResponse(
            body=heard, headers=dict(heard.headers), preload_content=False
        )
        response.request, response.url = request, request.url or ""
        return response

    def close(self) -> None:
        pass


class _Socket:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: Any) -> io.BytesIO:
        return io.BytesIO(self._data)


@contextmanager
def serving(api: MovingApi) -> Iterator[str]:
    """The API's address on a real socket."""

    def answer(exchange: Exchange) -> None:
        date = api.date
        if date is not None:
            exchange.handler.date_time_string = lambda timestamp=None: date  # type: ignore[method-assign]
        body = api.answer(exchange.seen.query)
        exchange.reply(200, body, Content_Type="application/json")

    with serve(answer) as server:
        yield server.url
