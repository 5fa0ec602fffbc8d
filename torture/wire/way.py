"""One way in which an API misbehaves, and how a run that meets it has to end."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from tests.servers.scripted import Exchange
from tests.servers.styles import Answer, Asked, asked

Outcome: TypeAlias = Literal["landed", "quarantined", "warned", "failed", "silent"]
"""Warned: what the API gives has landed, and the run says why there may be more."""
Answers: TypeAlias = Callable[[Exchange], None]
Row: TypeAlias = dict[str, Any]

FIELDS: dict[str, Any] = {
    "id": {"type": "integer"},
    "updated_at": {"type": "string", "format": "date-time"},
    "note": {"type": "string"},
    "total": {"type": "number"},
    "more": {"type": "object"},
}


def row(number: int, **values: Any) -> Row:
    """An order, with a name that tells one charset from another."""
    updated_at = f"2026-01-{number:02}T00:00:00Z"
    note, total = f"Größe {number}", number + 0.25
    return {"id": number, "updated_at": updated_at, "note": note, "total": total} | values


ROWS = [row(number) for number in range(1, 13)]
SIZE = 5


@dataclass(frozen=True)
class Way:
    what: str
    """What the API does."""
    source: str
    """A public report of it, as `owner/repo#number`."""
    answers: Answers
    stream: str
    """The statements of the stream's function, or a module of functions."""
    outcome: Outcome
    says: str = ""
    """A pattern of what the message has of the cause, or the quarantined record's reason."""
    rows: Sequence[Row] = tuple(ROWS)
    """Those of the API that have to land."""
    odd: int = 1
    """Its other records, where they go to quarantine."""
    earlier: Answers | None = None
    """What it answered to a run before, which landed."""
    config: Mapping[str, Any] = field(default_factory=dict)
    waits: tuple[float, float] = (0.0, 5.0)
    """Seconds between the first two requests, at least and at most."""


def pages(arguments: str = "") -> str:
    """The statement of a stream that yields the pages of the orders."""
    return f'yield from api.pages("orders", {arguments})'


def listed(paging: str = "", records: str = "items") -> str:
    return pages(f'records="{records}"' + (f", paging={paging}" if paging else ""))


def raw(
    content: bytes | str, kind: str = "application/json", status: int = 200, **headers: str
) -> Answers:
    body = content if isinstance(content, bytes) else content.encode()
    return lambda exchange: exchange.reply(status, body, **{"Content_Type": kind} | headers)


def body(value: Any, status: int = 200, **headers: str) -> Answers:
    return raw(spelled(value), status=status, **headers)


def whole(status: int = 200, **headers: str) -> Answers:
    """All rows in one answer."""
    return body({"items": ROWS}, status, **headers)


def spelled(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def records(*texts: str) -> str:
    """All rows, and between them other records as they are spelled."""
    rows = list(map(spelled, ROWS))
    return f'{{"items": [{", ".join([*rows[:6], *texts, *rows[6:]])}]}}'


def by_path(**answers: Answers) -> Answers:
    """Each path of the API has its own answers: `lines_3` are those of `/lines/3`."""
    return lambda exchange: answers[exchange.seen.path.strip("/").replace("/", "_")](exchange)


def in_turn(*answers: Answers) -> Answers:
    """Each request for a path gets the next answer, those after the last one that again."""
    return lambda exchange: answers[min(exchange.of_path, len(answers)) - 1](exchange)


def paged(
    make: Callable[[Asked], Any], size: int = SIZE, rows: Sequence[Any] = tuple(ROWS)
) -> Answers:
    """An API that pages as it is asked to, by cursor, offset or number."""

    def answer(exchange: Exchange) -> None:
        made = make(page_of(exchange, size, rows))
        made = made if isinstance(made, Answer) else Answer(made)
        body(made.body, made.status, **made.headers)(exchange)

    return answer


def page_of(exchange: Exchange, size: int = SIZE, rows: Sequence[Any] = tuple(ROWS)) -> Asked:
    url = f"http://{exchange.seen.headers['Host']}{exchange.seen.path}"
    query = dict(exchange.seen.query)
    if exchange.seen.body:  # of GraphQL
        variables = json.loads(exchange.seen.body)["variables"]
        query |= {"cursor": variables["after"]} if variables.get("after") else {}
    return asked(url, query, size, rows)


def last_again(asked: Asked, **members: Any) -> Row:
    """An API that gives its last page to whoever asks for one beyond."""
    start = min(asked.start, (len(asked.all) - 1) // asked.size * asked.size)
    return {"items": list(asked.all[start : start + asked.size])} | members


def rows_and(a: Asked, **members: Any) -> Row:
    """A page's rows, and what is beside them; `...` stands for no such member."""
    return {"items": a.rows} | {key: value for key, value in members.items() if value is not ...}


ONE_PAGE = listed()
BY_CURSOR = listed('CursorPages("next_cursor")')
BY_URL = listed('NextUrlPages("next")')
BY_NUMBER = listed(f"NumberedPages({SIZE})")
BY_OFFSET = listed(f"OffsetPages({SIZE})")
LINES = pages("records=JsonLines()")
CSV = pages('records=Csv({"id": int, "total": float})')
PLAIN = 'yield requests.get(f"{URL}/orders", timeout=5).json()["items"]'

ALL = spelled({"items": ROWS}).encode()
NDJSON = "".join(f"{spelled(row)}\n" for row in ROWS).encode()
TABLE = "id,updated_at,note,total\n" + "".join(
    f"{r['id']},{r['updated_at']},{r['note']},{r['total']}\n" for r in ROWS
)
