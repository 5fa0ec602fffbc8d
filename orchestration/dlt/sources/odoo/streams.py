"""Streams of Odoo. A further model is a resource that yields from `changed_records`."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dlt

from .client import Odoo, OdooError

Page = list[dict[str, Any]]

BEGINNING = "1970-01-01 00:00:00"
DATETIME_FORMAT = "%Y-%m-%d %H:%M:%S"

DATA_TYPES = {
    "boolean": "bool",
    "integer": "bigint",
    "many2one_reference": "bigint",
    "float": "double",
    "monetary": "double",
    "char": "text",
    "text": "text",
    "html": "text",
    "selection": "text",
    "reference": "text",
    "binary": "text",
    "date": "date",
    "datetime": "timestamp",
    "many2one": "json",
    "one2many": "json",
    "many2many": "json",
    "json": "json",
    "properties": "json",
    "properties_definition": "json",
}


def written() -> dlt.sources.incremental[str]:
    """The cursor. dlt would drop a record of the last second even if it was edited again within
    that second; with `primary_key=()` it is delivered again."""
    return dlt.sources.incremental(
        "write_date",
        initial_value=BEGINNING,
        primary_key=(),
        on_cursor_value_missing="include",
    )


@dlt.resource(primary_key="id", write_disposition="merge")
def orders(
    write_date: dlt.sources.incremental[str] = written(),  # noqa: B008
    limit: int = 500,
    fields: list[str] | None = None,
) -> Iterator[Any]:
    """Quotations and sales orders (sale.order)."""
    yield from changed_records("sale.order", write_date, limit, fields)


@dlt.resource(primary_key="id", write_disposition="merge")
def order_lines(
    write_date: dlt.sources.incremental[str] = written(),  # noqa: B008
    limit: int = 500,
    fields: list[str] | None = None,
) -> Iterator[Any]:
    """Lines of quotations and sales orders (sale.order.line)."""
    yield from changed_records("sale.order.line", write_date, limit, fields)


def changed_records(
    model: str,
    written: dlt.sources.incremental[str],
    limit: int,
    selected: list[str] | None,
) -> Iterator[Any]:
    """Pages of the model's records written since the cursor's last value, oldest change first; of a
    backfill, those before its end.

    The first page is empty and declares the types, which Odoo knows and the values may not show:
    a field without a value reads as `false`, whatever its type.
    """
    odoo = Odoo()
    types = field_types(odoo, model, selected)
    yield dlt.mark.with_hints([], dlt.mark.make_hints(columns=columns(types)))
    until = odoo_datetime(written.end_value) if written.end_value else None
    records = Records(odoo, model, list(types), limit, until)
    for page in records.written_since(odoo_datetime(written.last_value)):
        if page:
            yield [without_false(record, types) for record in page]


def field_types(odoo: Odoo, model: str, selected: list[str] | None) -> dict[str, str]:
    """The fields to read with their Odoo types; always with the key and the cursor.

    Without a selection these are the stored fields: computed ones cost a calculation per record,
    and change without a new `write_date`. Files (binary fields) are read only if selected.
    """
    known = odoo.fields_of(model)
    if selected is None:
        selected = [
            name for name, field in known.items() if field["store"] and field["type"] != "binary"
        ]
    if missing := [name for name in selected if name not in known]:
        raise OdooError(
            f"{model} of this Odoo has no field {', '.join(missing)}, or its user may not read it: "
            "take it out of the stream config, or discover the stream again."
        )
    return {name: known[name]["type"] for name in dict.fromkeys(["id", "write_date", *selected])}


def columns(types: dict[str, str]) -> dict[str, Any]:
    """dlt's columns; a type that is new in Odoo is left to inference."""
    return {
        name: {"name": name, "data_type": DATA_TYPES[odoo_type], "nullable": name != "id"}
        for name, odoo_type in types.items()
        if odoo_type in DATA_TYPES
    }


def without_false(record: dict[str, Any], types: dict[str, str]) -> dict[str, Any]:
    """Odoo returns `false` for "no value", except in boolean fields."""
    return {
        name: None if value is False and types[name] != "boolean" else value
        for name, value in record.items()
    }


class Records:
    """Reads a model in the order of its changes, losing nothing to edits made meanwhile.

    Odoo stores `write_date` with microseconds and sorts by them, but shows only seconds. How it
    compares a shown value depends on its version: up to 18, `>` finds the same record again and `=`
    finds none; later versions compare whole seconds. So this code uses only `>=` and `<` with whole
    seconds, which every version interprets alike, and reads a second completely before the next.

    Odoo sets `write_date` to the time at which the transaction began, so a second is final once
    something later was written. A full page is therefore cut before its last second, and the next
    page begins with that second. A record that is edited meanwhile moves to a later second and is
    read there. A second with more records than fit on a page is read by id, and once more if it was
    not final when that began. If a transaction commits a record after later ones were read, no
    reader of `write_date` can see it.
    """

    def __init__(
        self, odoo: Odoo, model: str, fields: list[str], limit: int, until: str | None = None
    ) -> None:
        self._odoo = odoo
        self._model = model
        self._fields = fields
        self._limit = limit
        self._until = [["write_date", "<", until]] if until else []

    def written_since(self, second: str) -> Iterator[Page]:
        from_the_beginning = second <= BEGINNING
        yield from self._with_write_date(second)
        if from_the_beginning:
            # Rows that SQL scripts inserted: no comparison finds them.
            yield from self._by_id([["write_date", "=", False]])

    def _with_write_date(self, second: str) -> Iterator[Page]:
        while True:
            domain = [["write_date", ">=", second], *self._until]
            page = self._read(domain, order="write_date, id")
            if len(page) < self._limit:
                yield page
                return
            first, last = page[0]["write_date"], page[-1]["write_date"]
            if first < last:
                yield [record for record in page if record["write_date"] < last]
                second = last
                continue
            final = self._anything_after(last)
            yield from self._whole_second(last)
            if not final:
                if not self._anything_after(last):
                    return
                yield from self._whole_second(last)
            second = next_second(last)

    def _whole_second(self, second: str) -> Iterator[Page]:
        return self._by_id([["write_date", ">=", second], ["write_date", "<", next_second(second)]])

    def _by_id(self, domain: list[Any]) -> Iterator[Page]:
        last_id = 0
        while True:
            page = self._read([*domain, ["id", ">", last_id]], order="id")
            yield page
            if len(page) < self._limit:
                return
            last_id = page[-1]["id"]

    def _anything_after(self, second: str) -> bool:
        domain = [["write_date", ">=", next_second(second)]]
        newer = self._odoo.search_read(self._model, domain, fields=["id"], order="id", limit=1)
        return bool(newer)

    def _read(self, domain: list[Any], order: str) -> Page:
        return self._odoo.search_read(
            self._model, domain, fields=self._fields, order=order, limit=self._limit
        )


def next_second(second: str) -> str:
    following = datetime.strptime(second, DATETIME_FORMAT) + timedelta(seconds=1)
    return following.strftime(DATETIME_FORMAT)


def odoo_datetime(moment: str | datetime | None) -> str:
    """A time in Odoo's spelling: in UTC, cut to the second."""
    if moment is None:
        return BEGINNING
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    if moment.tzinfo:
        moment = moment.astimezone(UTC)
    return moment.strftime(DATETIME_FORMAT)
