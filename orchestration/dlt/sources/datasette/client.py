"""One database of a Datasette instance, over HTTP. Works with Datasette 0.65 and 1.0.

Environment:
    DATASETTE_URL    address of the database, such as http://127.0.0.1:8001/flights
    DATASETTE_TOKEN  optional; sent as a bearer token to instances that ask for one
"""

import json
import os
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from requests import Response

from landing.http import Bearer, Session

Row = dict[str, Any]
Query = Mapping[str, str | int | float | Sequence[str]]

# Counts and facets are queries of their own, which nobody reads here. Arrays are half the bytes
# of objects; `_extra` makes Datasette 1.0 name the columns, which 0.65 always does.
_LEAN = {"_shape": "arrays", "_extra": "columns", "_nocount": "1", "_nofacet": "1"}

# One row, so that max_returned_rows can't cut it off. Virtual tables may need an extension.
_DECLARED_TYPES = """
select json_group_array(json_array(t.name, c.name, c.type)) as declared
from sqlite_master t join pragma_table_info(t.name) c
where t.type = 'table' and t.sql not like 'create virtual%'
"""

_HELP = "DATASETTE_URL has to be a database's address, such as http://127.0.0.1:8001/flights"

_TILDE_SAFE = frozenset((string.ascii_letters + string.digits + "_-").encode())


class DatasetteError(Exception):
    """Datasette refused or failed. The message says why, where, and what to do."""


@dataclass(frozen=True)
class Table:
    """A table. `declared` has the SQL types of its columns, if Datasette allows SQL."""

    name: str
    columns: tuple[str, ...]
    primary_keys: tuple[str, ...]
    declared: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, ...]:
        """The primary key; without one, `rowid`, which Datasette adds."""
        return self.primary_keys or ("rowid",)


@dataclass(frozen=True)
class Page:
    rows: list[Row]
    next: str | None


class DatasetteDatabase:
    def __init__(self) -> None:
        self.url = database_url(os.environ["DATASETTE_URL"])
        token = os.environ.get("DATASETTE_TOKEN", "").strip()
        self.session = Session(auth=Bearer(token) if token else None)

    def tables(self) -> list[Table]:
        """The tables, without hidden ones, such as full-text indexes, and without views.

        Views have no key, so Datasette pages through them by offset, which skips rows when others
        change.
        """
        database = self._get(f"{self.url}.json")
        if not isinstance(database.get("tables"), list):
            raise DatasetteError(f"{self.url} is not a Datasette database; {_HELP}")
        declared = self._declared_types() if database.get("allow_execute_sql") else {}
        return [
            Table(
                name=table["name"],
                columns=tuple(table["columns"]),
                primary_keys=tuple(table["primary_keys"]),
                declared=declared.get(table["name"], {}),
            )
            for table in database["tables"]
            if not table["hidden"]
        ]

    def page(self, table: Table, limit: int, query: Query, after: str | None = None) -> Page:
        """One page of at most `limit` rows, fewer if the instance allows fewer."""
        url = f"{self.url}/{tilde_encoded(table.name)}.json"
        size = min(limit, self._max_rows) if self._max_rows else "max"
        position = {"_next": after} if after else {}
        answer = self._get(url, {**_LEAN, **query, **position, "_size": size})
        columns, rows = answer.get("columns"), answer.get("rows")
        if columns is None or rows is None or "next" not in answer:
            # A page that is taken for the last one would lose all rows after it.
            raise DatasetteError(f"{url} gave no page of rows; is the server a Datasette?")
        return Page([dict(zip(columns, row, strict=True)) for row in rows], answer["next"])

    @cached_property
    def _max_rows(self) -> int | None:
        """The instance's max_returned_rows; None if the token is only valid for the database."""
        instance = self.url.rpartition("/")[0]
        try:
            return int(self._get(f"{instance}/-/settings.json")["max_returned_rows"])
        except (DatasetteError, KeyError):
            return None

    def _declared_types(self) -> dict[str, dict[str, str]]:
        try:
            answer = self._get(f"{self.url}.json", {"sql": _DECLARED_TYPES, "_shape": "array"})
        except DatasetteError:
            return {}  # types are a help: without them, the sample decides
        types: dict[str, dict[str, str]] = {}
        for table, column, declared in json.loads(answer[0]["declared"]):
            types.setdefault(table, {})[column] = declared.upper()
        return types

    def _get(self, url: str, query: Query | None = None) -> Any:
        response = self.session.get(url, params=query)
        try:
            answer = response.json()
        except ValueError:
            if response.status_code in (200, 404):
                raise DatasetteError(_not_json(url, response)) from None
            answer = None  # Datasette, and proxies before it, refuse with pages for people
        if response.status_code != 200:
            raise DatasetteError(_refusal(url, response.status_code, answer))
        return answer


def database_url(given: str) -> str:
    """`given` without what people copy along with it; DatasetteError if it names no database."""
    url = given.strip().rstrip("/").removesuffix(".json")
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise DatasetteError("DATASETTE_URL holds a password; it would show in messages and logs")
    if parts.scheme not in ("http", "https") or not parts.netloc or not parts.path:
        raise DatasetteError(f"DATASETTE_URL is '{given}'; {_HELP}")
    return url


def tilde_encoded(name: str) -> str:
    """`name` as Datasette spells it in a path."""
    return "".join(
        chr(byte) if byte in _TILDE_SAFE else "+" if byte == 0x20 else f"~{byte:02X}"
        for byte in name.encode()
    )


def _not_json(url: str, response: Response) -> str:
    kind = response.headers.get("Content-Type", "no content type").partition(";")[0]
    return f"{url} answered {response.status_code} with {kind} instead of JSON; {_HELP}"


def _refusal(url: str, status: int, answer: Any) -> str:
    said = str(answer.get("error") or "") if isinstance(answer, dict) else ""
    said = " ".join(re.sub(r"<[^>]*>", " ", said).split()) or "no reason given"
    if status in (401, 403):
        return f"{url} refused with {status}: {said}; DATASETTE_TOKEN has to be one that may read"
    if status == 404:
        return f"{url} does not exist: {said}; {_HELP}"
    if "took too long" in said or "interrupted" in said.lower():
        return (
            f"{url} took longer than the instance's sql_time_limit_ms; have that limit raised or "
            "the cursor's column indexed, or ask for smaller pages"
        )
    return f"{url} answered {status}: {said}"
