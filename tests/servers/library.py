"""A library's API on FastAPI, whose OpenAPI 3.1 document is what FastAPI makes of it.

Each list has a paging of its own; all need the bearer token.
"""

# No `from __future__ import annotations`: FastAPI looks up what is local to `library_app`.

import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Query, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AnyUrl, BaseModel

HOST = "127.0.0.1"
COUNTS = {"books": 730, "authors": 260, "loans": 333, "members": 45, "shelves": 120, "copies": 210}

_START = datetime(2024, 1, 1, tzinfo=UTC)


class Book(BaseModel):
    id: int
    title: str
    author_id: int
    updated_at: datetime


class Author(BaseModel):
    author_id: int
    name: str


class Loan(BaseModel):
    uuid: str
    book_id: int


class Member(BaseModel):
    id: int
    name: str | None


class Shelf(BaseModel):
    id: int
    room: str


class Books(BaseModel):
    total: int
    items: list[Book]


class Meta(BaseModel):
    next_cursor: str | None


class Loans(BaseModel):
    data: list[Loan]
    meta: Meta


class Shelves(BaseModel):
    next: AnyUrl | None
    results: list[Shelf]


@dataclass(frozen=True)
class Library:
    url: str
    token: str

    @property
    def document(self) -> str:
        return f"{self.url}/openapi.json"


def library_app(token: str) -> FastAPI:
    bearer = HTTPBearer()

    def signed_in(given: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> None:
        if given.credentials != token:
            raise HTTPException(401)

    app = FastAPI(title='The "library" \\ and its books', dependencies=[Depends(signed_in)])
    books = [
        Book(id=n, title=f"Book {n}", author_id=n % 9, updated_at=_START + timedelta(hours=n // 3))
        for n in range(COUNTS["books"])
    ]

    @app.get("/v1/books", summary='Books, "changed" ones last')
    def list_books(
        limit: Annotated[int, Query(le=200)] = 50,
        offset: int = 0,
        updated_since: datetime | None = None,
    ) -> Books:
        found = [one for one in books if not updated_since or one.updated_at >= updated_since]
        return Books(total=len(found), items=found[offset : offset + limit])

    @app.get("/v1/books/{book_id}")
    def book(book_id: int) -> Book:
        return books[book_id]

    @app.get("/v1/authors/{author_id}/books")
    def books_of(author_id: int) -> list[Book]:
        return [one for one in books if one.author_id == author_id]

    @app.get("/v1/authors")
    def list_authors(page: int = 1, per_page: Annotated[int, Query(le=100)] = 20) -> list[Author]:
        numbers = range(COUNTS["authors"])[(page - 1) * per_page : page * per_page]
        return [Author(author_id=n, name=f"Author {n}") for n in numbers]

    @app.get("/v1/loans")
    def list_loans(cursor: str | None = None, limit: int = 40) -> Loans:
        start = int(cursor or 0)
        numbers = range(COUNTS["loans"])[start : start + limit]
        data = [Loan(uuid=f"{n:08x}", book_id=n) for n in numbers]
        following = str(start + limit) if start + limit < COUNTS["loans"] else None
        return Loans(data=data, meta=Meta(next_cursor=following))

    @app.get("/v1/members")
    def list_members() -> list[Member]:
        return [Member(id=n, name=None if n % 2 else f"M {n}") for n in range(COUNTS["members"])]

    @app.get("/v1/shelves")
    def list_shelves(after: int = 0, page_size: int = 30) -> Shelves:
        numbers = range(COUNTS["shelves"])[after : after + page_size]
        more = after + page_size < COUNTS["shelves"]
        url = f"{app.state.url}/v1/shelves?after={after + page_size}&page_size={page_size}"
        results = [Shelf(id=n, room=f"R{n % 4}") for n in numbers]
        return Shelves(next=AnyUrl(url) if more else None, results=results)

    @app.get("/v1/copies", responses={200: {"headers": {"Link": {"schema": {"type": "string"}}}}})
    def list_copies(response: Response, page: int = 1, per_page: int = 30) -> list[Shelf]:
        end = page * per_page
        if end < COUNTS["copies"]:
            url = f"{app.state.url}/v1/copies?page={page + 1}&per_page={per_page}"
            response.headers["Link"] = f'<{url}>; rel="next"'
        numbers = range(COUNTS["copies"])[end - per_page : end]
        return [Shelf(id=n, room="x") for n in numbers]

    return app


@contextmanager
def library() -> Iterator[Library]:
    token = secrets.token_hex(16)
    app = library_app(token)
    with socket.create_server((HOST, 0)) as listener:
        app.state.url = f"http://{HOST}:{listener.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        arguments: dict[str, Any] = {"sockets": [listener]}
        thread = threading.Thread(target=server.run, kwargs=arguments, daemon=True)
        thread.start()
        try:
            yield Library(app.state.url, token)  # the socket listens already
        finally:
            server.should_exit = True
            thread.join()
