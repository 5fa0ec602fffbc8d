"""A server that behaves like a stock Odoo with the Sales app, for tests and demos.

It answers what an integration asks of Odoo 14 to 19+: JSON-RPC (`/jsonrpc`, services common,
object and db) and, from 19 on, JSON-2 (`/json/2/<model>/<method>`). Kept faithful on purpose:

- `write_date` is stored with microseconds and shown cut to the second. Up to 18 a domain compares
  the stored value, so `>` with the value just read matches the same row again and `=` matches
  nothing; from 19 on domains compare whole seconds. Sorting always uses the stored value.
- Empty values read as `false`, whatever their type; many2one as `[id, display name]`.
- Errors have Odoo's names, codes and bodies.

In a test: `with OdooServer(version=17) as odoo: odoo.seed_orders(250)`; for a demo:
`python -m tests.servers.odoo --port 8069 --version 19 --orders 250`.
"""

from __future__ import annotations

import argparse
import base64
import inspect
import json
import operator
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

Row = dict[str, Any]
Predicate = Callable[[Row], bool]

DATETIME = "%Y-%m-%d %H:%M:%S"
USER_ID = 2
JSON2_SINCE = 19
WHOLE_SECONDS_SINCE = 19


# ── Errors, named as Odoo names them ─────────────────────────────────────────────────────────────
class OdooServerError(Exception):
    qualified_name = ""
    status = HTTPStatus.INTERNAL_SERVER_ERROR


class UserError(OdooServerError):
    qualified_name = "odoo.exceptions.UserError"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class AccessDenied(OdooServerError):
    qualified_name = "odoo.exceptions.AccessDenied"
    status = HTTPStatus.FORBIDDEN


class AccessError(OdooServerError):
    qualified_name = "odoo.exceptions.AccessError"
    status = HTTPStatus.FORBIDDEN


class OperationalError(OdooServerError):
    qualified_name = "psycopg2.OperationalError"


WERKZEUG_NAMES = {
    HTTPStatus.BAD_REQUEST: "BadRequest",
    HTTPStatus.UNAUTHORIZED: "Unauthorized",
    HTTPStatus.NOT_FOUND: "NotFound",
    HTTPStatus.UNPROCESSABLE_ENTITY: "UnprocessableEntity",
}


class HttpError(OdooServerError):
    """What werkzeug raises before or instead of a model's method."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message, int(status))
        self.status = status
        self.qualified_name = f"werkzeug.exceptions.{WERKZEUG_NAMES[status]}"


def serialize_exception(error: Exception) -> dict[str, Any]:
    name = getattr(error, "qualified_name", "") or f"builtins.{type(error).__name__}"
    return {
        "name": name,
        "message": str(error.args[0]) if error.args else "",
        "arguments": list(error.args),
        "context": {},
        "debug": f"Traceback (most recent call last):\n  ...\n{name}: {error}\n",
    }


# ── Models ───────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Field:
    type: str
    string: str
    relation: str | None = None
    selection: tuple[str, ...] = ()
    store: bool = True
    readonly: bool = False
    default: Any = None
    since: int = 0
    until: int = 99

    def describe(self, name: str) -> dict[str, Any]:
        description = {
            "name": name,
            "type": self.type,
            "string": self.string,
            "store": self.store,
            "sortable": self.store,
            "searchable": self.store,
            "readonly": self.readonly,
            "required": False,
            "company_dependent": False,
        }
        if self.relation:
            description["relation"] = self.relation
        if self.selection:
            description["selection"] = [[key, key.title()] for key in self.selection]
        if self.type == "monetary":
            description["currency_field"] = "currency_id"
        return description


MAGIC_FIELDS = {
    "id": Field("integer", "ID", readonly=True),
    "display_name": Field("char", "Display Name", store=False, readonly=True),
    "create_uid": Field("many2one", "Created by", "res.users", readonly=True, default=USER_ID),
    "create_date": Field("datetime", "Created on", readonly=True),
    "write_uid": Field("many2one", "Last Updated by", "res.users", readonly=True, default=USER_ID),
    "write_date": Field("datetime", "Last Updated on", readonly=True),
}
ORDER_STATES = ("draft", "sent", "sale", "cancel")
INVOICE_STATES = ("upselling", "invoiced", "to invoice", "no")
SALE_ORDER = {
    "name": Field("char", "Order Reference"),
    "state": Field("selection", "Status", selection=ORDER_STATES, default="sale"),
    "partner_id": Field("many2one", "Customer", "res.partner", default=7),
    "partner_invoice_id": Field("many2one", "Invoice Address", "res.partner", default=7),
    "partner_shipping_id": Field("many2one", "Delivery Address", "res.partner", default=7),
    "user_id": Field("many2one", "Salesperson", "res.users", default=USER_ID),
    "team_id": Field("many2one", "Sales Team", "crm.team", default=1),
    "company_id": Field("many2one", "Company", "res.company", default=1),
    "currency_id": Field("many2one", "Currency", "res.currency", default=1),
    "pricelist_id": Field("many2one", "Pricelist", "product.pricelist"),
    "date_order": Field("datetime", "Order Date"),
    "validity_date": Field("date", "Expiration"),
    "commitment_date": Field("datetime", "Delivery Date"),
    "expected_date": Field("datetime", "Expected Date", store=False, readonly=True),
    "amount_untaxed": Field("monetary", "Untaxed Amount", readonly=True),
    "amount_tax": Field("monetary", "Taxes", readonly=True),
    "amount_total": Field("monetary", "Total", readonly=True),
    "currency_rate": Field("float", "Currency Rate", readonly=True, default=1.0),
    "client_order_ref": Field("char", "Customer Reference"),
    "origin": Field("char", "Source Document"),
    "note": Field("html", "Terms and conditions"),
    "order_line": Field("one2many", "Order Lines", "sale.order.line"),
    "tag_ids": Field("many2many", "Tags", "crm.tag"),
    "invoice_status": Field("selection", "Invoice Status", selection=INVOICE_STATES, default="no"),
    "require_signature": Field("boolean", "Online signature", default=True),
    "locked": Field("boolean", "Locked", default=False, since=17),
    "signed_by": Field("char", "Signed By"),
    "signature": Field("binary", "Signature"),
}
SALE_ORDER_LINE = {
    "order_id": Field("many2one", "Order Reference", "sale.order"),
    "sequence": Field("integer", "Sequence", default=10),
    "name": Field("text", "Description"),
    "product_id": Field("many2one", "Product", "product.product", default=1),
    "product_uom_qty": Field("float", "Quantity", default=1.0),
    "product_uom": Field("many2one", "Unit of Measure", "uom.uom", default=1, until=18),
    "product_uom_id": Field("many2one", "Unit of Measure", "uom.uom", default=1, since=19),
    "qty_delivered": Field("float", "Delivery Quantity"),
    "qty_invoiced": Field("float", "Invoiced Quantity"),
    "price_unit": Field("float", "Unit Price"),
    "discount": Field("float", "Discount (%)"),
    "price_subtotal": Field("monetary", "Subtotal", readonly=True),
    "price_tax": Field("float", "Total Tax", readonly=True),
    "price_total": Field("monetary", "Total", readonly=True),
    "currency_id": Field("many2one", "Currency", "res.currency", default=1),
    "company_id": Field("many2one", "Company", "res.company", default=1),
    "tax_id": Field("many2many", "Taxes", "account.tax", default=(1,), until=18),
    "tax_ids": Field("many2many", "Taxes", "account.tax", default=(1,), since=19),
    "state": Field("selection", "Order Status", selection=ORDER_STATES, default="sale"),
    "display_type": Field("selection", "Type", selection=("line_section", "line_note")),
    "is_downpayment": Field("boolean", "Is a down payment", default=False),
    "customer_lead": Field("float", "Lead Time"),
    "analytic_distribution": Field("json", "Analytic Distribution", since=16),
}
RES_PARTNER = {
    "name": Field("char", "Name"),
    "email": Field("char", "Email"),
    "is_company": Field("boolean", "Is a Company", default=False),
    "active": Field("boolean", "Active", default=True),
}
RES_USERS = {
    "name": Field("char", "Name"),
    "login": Field("char", "Login"),
    "partner_id": Field("many2one", "Related Partner", "res.partner", default=3),
    "active": Field("boolean", "Active", default=True),
}
IR_MODEL = {
    "name": Field("char", "Model Description"),
    "model": Field("char", "Model"),
    "transient": Field("boolean", "Transient Model", default=False),
    "abstract": Field("boolean", "Abstract Model", default=False, since=19),
}
MODELS: dict[str, tuple[str, dict[str, Field], str]] = {
    "ir.model": ("Models", IR_MODEL, "model"),
    "res.partner": ("Contact", RES_PARTNER, "id"),
    "res.users": ("User", RES_USERS, "name, login"),
    "sale.order": ("Sales Order", SALE_ORDER, "date_order desc, id desc"),
    "sale.order.line": ("Sales Order Line", SALE_ORDER_LINE, "order_id, sequence, id"),
}
NAMES_OF_OTHERS = {
    "account.tax": "15%",
    "crm.tag": "Product",
    "crm.team": "Sales",
    "product.product": "[FURN_7800] Desk Combination",
    "product.pricelist": "Default EUR pricelist",
    "res.company": "My Company",
    "res.currency": "EUR",
    "uom.uom": "Units",
}


@dataclass(frozen=True)
class Call:
    """One request of a client for a method of a model."""

    protocol: str
    model: str
    method: str
    kwargs: Mapping[str, Any]
    context: Mapping[str, Any]


class Model:
    """A model's records and the methods a client may call; their signatures are Odoo's."""

    API_MODEL = frozenset({"search", "search_read", "search_count", "fields_get", "context_get"})

    def __init__(self, odoo: OdooServer, name: str) -> None:
        self.odoo = odoo
        self.name = name
        self.label, fields, self.default_order = MODELS[name]
        self.fields = {
            key: field
            for key, field in (MAGIC_FIELDS | fields).items()
            if field.since <= odoo.version <= field.until
        }
        if name == "sale.order" and odoo.version < 15:
            self.fields["note"] = Field("text", "Terms and conditions")
        self.rows: dict[int, Row] = {}
        self._ids = count(1)

    # What a test does.
    def insert(self, values: Mapping[str, Any], *, at: datetime, row_id: int | None = None) -> int:
        row_id = row_id or next(self._ids)
        unknown = values.keys() - self.fields.keys()
        if unknown:
            raise ValueError(f"{self.name} of Odoo {self.odoo.version} has no {sorted(unknown)}")
        defaults = {key: field.default for key, field in self.fields.items() if field.store}
        self.rows[row_id] = {
            **defaults,
            "create_date": at,
            "write_date": at,
            **values,
            "id": row_id,
        }
        return row_id

    def update(self, ids: Iterable[int], values: Mapping[str, Any], *, at: datetime) -> None:
        for row_id in ids:
            self.rows[row_id] |= {"write_date": at, **values}

    # What a client calls.
    def search(
        self,
        domain: list[Any],
        offset: int = 0,
        limit: int | None = None,
        order: str | None = None,
    ) -> list[int]:
        return [row["id"] for row in self._select(domain, offset, limit, order)]

    def search_read(
        self,
        domain: list[Any] | None = None,
        fields: list[str] | None = None,
        offset: int = 0,
        limit: int | None = None,
        order: str | None = None,
    ) -> list[Row]:
        rows = self._select(domain or [], offset, limit, order)
        return self._read(rows, fields)

    def search_count(self, domain: list[Any], limit: int | None = None) -> int:
        found = len(self._select(domain, 0, None, "id"))
        return min(found, limit) if limit else found

    def read(
        self,
        ids: Sequence[int],
        fields: list[str] | None = None,
        load: str = "_classic_read",
    ) -> list[Row]:
        self._check_access()
        rows = [self.rows[row_id] for row_id in ids if row_id in self.rows]
        return self._read(rows, fields, names=load == "_classic_read")

    def write(self, ids: Sequence[int], vals: dict[str, Any]) -> bool:
        self.update(ids, vals, at=self.odoo.now())
        return True

    def fields_get(
        self,
        allfields: list[str] | None = None,
        attributes: list[str] | None = None,
    ) -> dict[str, dict[str, Any]]:
        described = {
            name: field.describe(name)
            for name, field in self.fields.items()
            if not allfields or name in allfields
        }
        if not attributes:
            return described
        return {
            name: {key: value for key, value in description.items() if key in attributes}
            for name, description in described.items()
        }

    def context_get(self) -> dict[str, Any]:
        return {"lang": "en_US", "tz": "Europe/Brussels", "uid": USER_ID}

    def public_method(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AccessError(f"Private methods (such as {self.name}.{name}) cannot be called")
        public = self.API_MODEL | {"read", "write"}
        if name not in public or (name == "context_get" and self.name != "res.users"):
            raise AttributeError(f"The method '{self.name}.{name}' does not exist")
        method: Callable[..., Any] = getattr(self, name)
        return method

    # How it does it.
    def _check_access(self) -> None:
        if self.name in self.odoo.forbidden:
            raise AccessError(
                f"You are not allowed to access '{self.label}' ({self.name}) records.\n\n"
                "This operation is allowed for the following groups:\n"
                "\t- Sales/User: Own Documents Only\n\n"
                "Contact your administrator to request access if necessary."
            )

    def _select(
        self,
        domain: list[Any],
        offset: int,
        limit: int | None,
        order: str | None,
    ) -> list[Row]:
        self._check_access()
        matches = Domain(self).compile(domain)
        rows = [row for row in self.rows.values() if matches(row)]
        for name, descending in reversed(self._parse_order(order or self.default_order)):
            rows.sort(key=partial(self._sort_key, name), reverse=descending)
        return rows[offset : offset + limit if limit else None]

    def _parse_order(self, order: str) -> list[tuple[str, bool]]:
        parsed = []
        for part in order.split(","):
            match = re.fullmatch(r"\s*(\w+)(?:\s+(asc|desc))?\s*", part, re.IGNORECASE)
            if not match:
                raise UserError(
                    f'Invalid "order" specified ({order}). A valid "order" specification is a '
                    "comma-separated list of valid field names"
                )
            name, direction = match.groups()
            if name not in self.fields or not self.fields[name].store:
                raise ValueError(f"Invalid field '{name}' on model '{self.name}'")
            parsed.append((name, (direction or "asc").lower() == "desc"))
        return parsed

    def _sort_key(self, name: str, row: Row) -> tuple[bool, Any]:
        value = row[name]
        if value is not None and self.fields[name].type == "many2one":
            value = self.odoo.display_name(self.fields[name].relation or "", value)
        return (value is None, value)

    def _read(
        self, rows: Iterable[Row], fields: list[str] | None, *, names: bool = True
    ) -> list[Row]:
        wanted = list(fields or self.fields)
        for name in wanted:
            if name not in self.fields:
                on = f"on model '{self.name}'" if self.odoo.version < 17 else f"on '{self.name}'"
                raise ValueError(f"Invalid field '{name}' {on}")
        wanted = ["id", *(name for name in wanted if name != "id")]
        return [{name: self._show(row, name, names) for name in wanted} for row in rows]

    def _show(self, row: Row, name: str, names: bool) -> Any:
        field = self.fields[name]
        if name == "display_name":
            return self.odoo.display_name(self.name, row["id"])
        value = row.get(name)
        match field.type:
            case "many2one" if value and names:
                return [value, self.odoo.display_name(field.relation or "", value)]
            case "one2many" | "many2many":
                return list(value or ())
            case "datetime" if value:
                return value.strftime(DATETIME)
            case "date" if value:
                return value.isoformat()
            case "integer" | "float" | "monetary":
                return value or 0
            case _:
                return False if value is None else value


# ── Domains ──────────────────────────────────────────────────────────────────────────────────────
ORDERINGS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


class Domain:
    """Search domains in Polish notation, as predicates over stored rows."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def compile(self, domain: Sequence[Any]) -> Predicate:
        stack: list[Predicate] = []
        for term in reversed(domain):
            if term == "!":
                stack.append(_negation(stack.pop()))
            elif term in ("&", "|"):
                stack.append(_junction(any if term == "|" else all, [stack.pop(), stack.pop()]))
            else:
                stack.append(self._leaf(*term))
        return _junction(all, stack[::-1])

    def _leaf(self, name: Any, symbol: str, value: Any) -> Predicate:
        if (name, value) in ((0, 1), (1, 1)) and symbol == "=":
            return lambda _row: bool(name == value)
        if name not in self.model.fields or not self.model.fields[name].store:
            raise ValueError(
                f"Invalid field {self.model.name}.{name} in leaf ({name!r}, {symbol!r}, {value!r})"
            )
        field = self.model.fields[name]
        if symbol in ORDERINGS:
            compare, right = ORDERINGS[symbol], self._cell(self._right(field, symbol, value))
            return lambda row: row[name] is not None and compare(self._cell(row[name]), right)
        if symbol.endswith("like"):
            return self._like(name, symbol, str(value))
        if symbol not in ("=", "!=", "in", "not in"):
            raise ValueError(f"Invalid operator {symbol!r} in domain term")
        values = value if symbol.endswith("in") and value is not False else [value]
        rights = [self._cell(self._right(field, symbol, each)) for each in values]
        found: Predicate = lambda row: self._is_one_of(field, row[name], rights)  # noqa: E731
        return _negation(found) if symbol in ("!=", "not in") else found

    def _is_one_of(self, field: Field, stored: Any, rights: list[Any]) -> bool:
        if field.type in ("one2many", "many2many"):
            return any(right in stored if right else not stored for right in rights)
        if field.type == "boolean":
            return any(bool(stored) == bool(right) for right in rights)
        if stored is None:
            return any(right is None or right is False for right in rights)
        return self._cell(stored) in [right for right in rights if right is not False]

    def _cell(self, value: Any) -> Any:
        if isinstance(value, datetime) and self.model.odoo.version >= WHOLE_SECONDS_SINCE:
            return value.replace(microsecond=0)
        return value

    @staticmethod
    def _right(field: Field, symbol: str, value: Any) -> Any:
        if field.type == "datetime" and isinstance(value, str):
            if len(value) == len("2024-01-01"):
                value += " 23:59:59" if symbol in (">", "<=") else " 00:00:00"
            return datetime.strptime(value, DATETIME)
        if field.type == "date" and isinstance(value, str):
            return date.fromisoformat(value[:10])
        return value

    def _like(self, name: str, symbol: str, value: str) -> Predicate:
        anchored = "=" in symbol
        pattern = re.escape(value if anchored else f"%{value}%")
        flags = re.DOTALL | (re.IGNORECASE if "ilike" in symbol else 0)
        regex = re.compile(pattern.replace("%", ".*").replace("_", "."), flags)
        field = self.model.fields[name]

        def text(row: Row) -> str:
            if field.type == "many2one" and row[name]:
                return self.model.odoo.display_name(field.relation or "", row[name])
            return str(row[name] or "")

        found: Predicate = lambda row: regex.fullmatch(text(row)) is not None  # noqa: E731
        return _negation(found) if symbol.startswith("not") else found


def _negation(predicate: Predicate) -> Predicate:
    return lambda row: not predicate(row)


def _junction(combine: Callable[[Iterator[bool]], bool], predicates: list[Predicate]) -> Predicate:
    return lambda row: combine(predicate(row) for predicate in predicates)


# ── The server ───────────────────────────────────────────────────────────────────────────────────
class OdooServer:
    """An Odoo on 127.0.0.1 with one database and one user; a context manager.

    `calls` lists what clients asked of models, `on_request` runs just before each such call is
    answered: a test edits rows there, between two pages.
    """

    def __init__(
        self,
        version: int = 17,
        *,
        port: int = 0,
        database: str = "shop",
        login: str = "bot@example.com",
        password: str = "a-password",
        api_key: str = "0123456789abcdef0123456789abcdef01234567",
        sale_installed: bool = True,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC).replace(tzinfo=None),
    ) -> None:
        self.version = version
        self.database = database
        self.login = login
        self.password = password
        self.api_key = api_key
        self.calls: list[Call] = []
        self.on_request: Callable[[Call], None] | None = None
        self.forbidden: set[str] = set()
        self.now = clock
        self._failures: list[HTTPStatus] = []
        self._lock = threading.RLock()
        self._http = _HttpServer(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        installed = [name for name in MODELS if sale_installed or not name.startswith("sale.")]
        self.models = {name: Model(self, name) for name in installed}
        self._install()

    def _install(self) -> None:
        at = datetime(2023, 1, 1)
        for name, model in self.models.items():
            self.models["ir.model"].insert({"name": model.label, "model": name}, at=at)
        for row_id, name in ((1, "My Company"), (3, "Integration Bot"), (7, "Azure Interior")):
            company = {"name": name, "is_company": row_id != 3}
            self.models["res.partner"].insert(company, at=at, row_id=row_id)
        user = {"name": "Integration Bot", "login": self.login}
        self.models["res.users"].insert(user, at=at, row_id=USER_ID)

    # Running it.
    def __enter__(self) -> OdooServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def port(self) -> int:
        return self._http.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environ(self, *, api_key: bool = False) -> dict[str, str]:
        """The variables of the Odoo source, with the password or with the API key."""
        secret = {"ODOO_API_KEY": self.api_key} if api_key else {"ODOO_PASSWORD": self.password}
        return {
            "ODOO_URL": self.url,
            "ODOO_DB": self.database,
            "ODOO_USER": self.login,
            **secret,
        }

    # Preparing what clients find.
    def seed_orders(
        self,
        number: int,
        *,
        lines: int = 2,
        start: datetime = datetime(2024, 1, 1, 8, 0, 0),
        step: timedelta = timedelta(milliseconds=400),
        write_date: datetime | None = None,
    ) -> list[int]:
        """Orders with lines, two or three in a second; with `write_date` all of one moment, as an
        import in one transaction leaves them."""
        return [
            self.add_order(
                lines=lines,
                write_date=write_date or start + index * step + timedelta(microseconds=index),
            )
            for index in range(number)
        ]

    def add_order(
        self, *, lines: int = 2, write_date: datetime | None = None, **values: Any
    ) -> int:
        at = write_date or self.now()
        orders = self.models["sale.order"]
        with self._lock:
            serial = len(orders.rows) + 1
            untaxed = 100.0 * lines + serial
            order_id = orders.insert(
                {
                    "name": f"S{serial:05}",
                    "date_order": at.replace(microsecond=0) - timedelta(hours=1),
                    "commitment_date": at.replace(microsecond=0) if serial % 4 == 0 else None,
                    "validity_date": at.date() if serial % 3 == 0 else None,
                    "client_order_ref": f"PO-{serial}" if serial % 5 == 0 else None,
                    "note": f"<p>Order <b>{serial}</b></p>" if serial % 2 == 0 else None,
                    "amount_untaxed": untaxed,
                    "amount_tax": round(untaxed * 0.15, 2),
                    "amount_total": round(untaxed * 1.15, 2),
                    "tag_ids": [1] if serial % 2 else [],
                    "signature": base64.b64encode(b"png").decode() if serial % 7 == 0 else None,
                    "order_line": [],
                    **values,
                },
                at=at,
            )
            for _ in range(lines):
                self.add_line(order_id, write_date=at)
        return order_id

    def add_line(self, order_id: int, *, write_date: datetime | None = None, **values: Any) -> int:
        with self._lock:
            line_id = self.models["sale.order.line"].insert(
                {
                    "order_id": order_id,
                    "name": "[FURN_7800] Desk Combination",
                    "price_unit": 100.0,
                    "price_subtotal": 100.0,
                    "price_tax": 15.0,
                    "price_total": 115.0,
                    **values,
                },
                at=write_date or self.now(),
            )
            self.models["sale.order"].rows[order_id]["order_line"].append(line_id)
        return line_id

    def edit(
        self, model: str, row_id: int, *, write_date: datetime | None = None, **values: Any
    ) -> None:
        """Change a record as a user would: its `write_date` moves to now."""
        with self._lock:
            self.models[model].update([row_id], values, at=write_date or self.now())

    def fail_next(self, *statuses: HTTPStatus) -> None:
        """Answer the next requests with these statuses, as a proxy in front of Odoo does."""
        self._failures.extend(statuses)

    def calls_of(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == method]

    # Answering.
    def display_name(self, model: str, row_id: int) -> str:
        if model in NAMES_OF_OTHERS:
            return NAMES_OF_OTHERS[model]
        row = self.models[model].rows[row_id]
        if model == "sale.order.line":
            return f"{self.display_name('sale.order', row['order_id'])} - {row['name']}"
        return str(row["name"])

    def next_failure(self) -> HTTPStatus | None:
        return self._failures.pop(0) if self._failures else None

    def version_info(self) -> dict[str, Any]:
        return {
            "server_version": f"{self.version}.0",
            "server_version_info": [self.version, 0, 0, "final", 0, ""],
            "server_serie": f"{self.version}.0",
            "protocol_version": 1,
        }

    def dispatch_rpc(self, service: str, method: str, args: list[Any]) -> Any:
        match service, method:
            case "common", "version":
                return self.version_info()
            case "common", "login" | "authenticate":
                database, login, password = args[:3]
                self._check_database(database)
                return USER_ID if login == self.login and self._is_secret(password) else False
            case "db", "list":
                return [self.database]
            case "db", "db_exist":
                return args[0] == self.database
            case "object", "execute" | "execute_kw":
                return self._execute(method, *args)
            case _:
                raise Exception(f"Method not found: {method}")

    def _execute(
        self,
        method: str,
        database: str,
        uid: Any,
        password: str,
        model: str,
        model_method: str,
        *args: Any,
    ) -> Any:
        self._check_database(database)
        if int(uid) != USER_ID or not self._is_secret(password):
            raise AccessDenied("Access Denied")
        if model not in self.models:
            raise UserError(f"Object {model} doesn't exist")
        positional, kwargs = list(args), {}
        if method == "execute_kw":
            positional, kwargs = list(args[0]), dict(args[1]) if len(args) > 1 and args[1] else {}
        context = kwargs.pop("context", None) or {}
        function = self.models[model].public_method(model_method)
        if model_method not in Model.API_MODEL and isinstance(positional[0], int):
            positional[0] = [positional[0]]
        bound = inspect.signature(function).bind(*positional, **kwargs)
        return self._run("jsonrpc", model, function, bound, context)

    def json2(self, path: str, headers: Mapping[str, str], body: dict[str, Any]) -> Any:
        self.check_bearer(headers)
        parts = path.removeprefix("/json/2/").split("/")
        if len(parts) != 2:
            raise HttpError(HTTPStatus.NOT_FOUND, "Did you mean POST /json/2/<model>/<method>?")
        model, method = parts
        if model not in self.models:
            raise HttpError(HTTPStatus.NOT_FOUND, f"the model {model!r} does not exist")
        try:
            function = self.models[model].public_method(method)
        except AttributeError as error:
            raise HttpError(HTTPStatus.NOT_FOUND, str(error)) from error
        kwargs = dict(body)
        context = kwargs.pop("context", None) or {}
        ids = kwargs.pop("ids", ())
        if method in Model.API_MODEL and ids:
            raise HttpError(
                HTTPStatus.UNPROCESSABLE_ENTITY, f"cannot call {model}.{method} with ids"
            )
        positional = [] if method in Model.API_MODEL else [ids]
        try:
            bound = inspect.signature(function).bind(*positional, **kwargs)
        except TypeError as error:
            raise HttpError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
        return self._run("json2", model, function, bound, context)

    def describe_model(self, model: str) -> dict[str, Any]:
        """What `/doc-bearer/<model>.json` tells clients that pass arguments by position."""
        if model not in self.models:
            raise HttpError(HTTPStatus.NOT_FOUND, f"the model {model!r} does not exist")
        methods = {}
        for name in sorted(Model.API_MODEL - {"context_get"} | {"read", "write"}):
            function = self.models[model].public_method(name)
            parameters = [key for key in inspect.signature(function).parameters if key != "ids"]
            api = ["model"] if name in Model.API_MODEL else []
            methods[name] = {"parameters": {key: {} for key in parameters}, "api": api}
        fields = self.models[model].fields_get()
        return {"model": model, "name": model, "fields": fields, "methods": methods}

    def check_bearer(self, headers: Mapping[str, str]) -> None:
        match = re.fullmatch(r"bearer\s+(.+)", headers.get("Authorization", ""), re.IGNORECASE)
        if not match:
            raise HttpError(
                HTTPStatus.UNAUTHORIZED,
                "User not authenticated, use an API Key with a Bearer Authorization header.",
            )
        if match[1] != self.api_key:
            raise HttpError(HTTPStatus.UNAUTHORIZED, "Invalid apikey")

    def _run(
        self,
        protocol: str,
        model: str,
        function: Callable[..., Any],
        bound: inspect.BoundArguments,
        context: Mapping[str, Any],
    ) -> Any:
        call = Call(protocol, model, function.__name__, dict(bound.arguments), context)
        self.calls.append(call)
        if self.on_request:
            self.on_request(call)
        with self._lock:
            return function(*bound.args, **bound.kwargs)

    def _is_secret(self, given: str) -> bool:
        return given in (self.password, self.api_key)

    def _check_database(self, database: str) -> None:
        if database != self.database:
            raise OperationalError(
                'connection to server on socket "/var/run/postgresql/.s.PGSQL.5432" failed: '
                f'FATAL:  database "{database}" does not exist\n'
            )


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], odoo: OdooServer) -> None:
        super().__init__(address, _Handler)
        self.odoo = odoo


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Otherwise the parts of an answer wait 40 ms for each other on the loopback.
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _HttpServer

    def do_GET(self) -> None:
        self._answer(b"")

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def _answer(self, body: bytes) -> None:
        odoo = self.server.odoo
        path = self.path.split("?")[0]
        if failure := odoo.next_failure():
            self._send(failure, failure.phrase.encode(), "text/plain")
        elif path == "/jsonrpc" and self.command == "POST":
            self._json_rpc(body, lambda params: odoo.dispatch_rpc(**params))
        elif path == "/web/webclient/version_info":
            self._json_rpc(body, lambda _params: odoo.version_info())
        elif path == "/web/database/list":
            self._json_rpc(body, lambda _params: [odoo.database])
        elif odoo.version >= JSON2_SINCE and path.startswith(("/json/2/", "/doc-bearer/")):
            self._json2(path, body)
        else:
            self._not_found()

    def _json_rpc(self, body: bytes, call: Callable[[dict[str, Any]], Any]) -> None:
        request = json.loads(body)
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": request.get("id")}
        try:
            answer["result"] = call(request.get("params") or {})
        except Exception as error:
            code = 200 if self.server.odoo.version < 19 else 0
            data = serialize_exception(error)
            answer["error"] = {"code": code, "message": "Odoo Server Error", "data": data}
        self._send_json(HTTPStatus.OK, answer)

    def _json2(self, path: str, body: bytes) -> None:
        odoo = self.server.odoo
        headers = dict(self.headers.items())
        if self.headers.get("X-Odoo-Database", odoo.database) != odoo.database:
            self._not_found()
            return
        try:
            if path.startswith("/doc-bearer/"):
                odoo.check_bearer(headers)
                model = path.removeprefix("/doc-bearer/").removesuffix(".json")
                result: Any = odoo.describe_model(model)
            else:
                result = odoo.json2(path, headers, self._json_object(body))
        except OdooServerError as error:
            self._send_json(error.status, serialize_exception(error))
        except Exception as error:
            self._send_json(HTTPStatus.INTERNAL_SERVER_ERROR, serialize_exception(error))
        else:
            self._send_json(HTTPStatus.OK, result)

    def _json_object(self, body: bytes) -> dict[str, Any]:
        try:
            parsed = json.loads(body or b"{}")
        except ValueError as error:
            message = f"could not parse the body as json: {error}"
            raise HttpError(HTTPStatus.BAD_REQUEST, message) from error
        return parsed if isinstance(parsed, dict) else {}

    def _not_found(self) -> None:
        page = (
            b"<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n"
            b"<p>The requested URL was not found on the server. If you entered the URL manually "
            b"please check your spelling and try again.</p>\n"
        )
        self._send(HTTPStatus.NOT_FOUND, page, "text/html; charset=utf-8")

    def _send_json(self, status: HTTPStatus, content: Any) -> None:
        self._send(status, json.dumps(content).encode(), "application/json; charset=utf-8")

    def _send(self, status: HTTPStatus, content: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        if status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "bearer")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a request line is no news for a test."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.servers.odoo", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--port", type=int, default=8069)
    parser.add_argument("--version", type=int, default=17, help="major version, 14 to 19")
    parser.add_argument("--orders", type=int, default=250, help="orders to begin with")
    parser.add_argument("--database", default="shop")
    arguments = parser.parse_args()
    odoo = OdooServer(arguments.version, port=arguments.port, database=arguments.database)
    odoo.seed_orders(arguments.orders)
    with odoo:
        print(f"Odoo {odoo.version} with {arguments.orders} orders. To read it:", flush=True)
        for name, value in (odoo.environ() | odoo.environ(api_key=True)).items():
            print(f"export {name}={value}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("stopped")


if __name__ == "__main__":
    main()
