"""A shop's API on Django REST framework under waitress, with a way of paging at each endpoint.

    with shop(folder, orders=25) as served:
        requests.get(f"{served.url}/offset/?limit=10")
        served.edit(7)

Orders are those of a table that anyone may edit meanwhile, sorted by (updated_at, id).
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import secrets
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from demo.servers import HOST, served

START = datetime(2024, 1, 1)
LINES = 2


@dataclass(frozen=True)
class Shop:
    url: str
    file: Path

    def edit(self, number: int, note: str = "edited") -> None:
        """The order becomes the one updated last."""
        (newest,) = self._execute("SELECT max(updated_at) FROM orders")[0]
        later = str(datetime.fromisoformat(newest) + timedelta(seconds=1))
        self._execute(
            "UPDATE orders SET note = ?, updated_at = ? WHERE id = ?", note, later, number
        )

    def add_line(self, order: int, line: int) -> None:
        self._execute("INSERT INTO lines VALUES (?, ?, ?)", line, order, f"SKU-{line}")
        self.edit(order, "one line more")

    def delete(self, number: int) -> None:
        self._execute("DELETE FROM orders WHERE id = ?", number)

    def ids(self) -> set[int]:
        return {number for (number,) in self._execute("SELECT id FROM orders")}

    def rows(self) -> set[tuple[int, str]]:
        return set(self._execute("SELECT id, note FROM orders"))

    def requested(self) -> list[str]:
        """Path and query of all requests so far."""
        return [target for (target,) in self._execute("SELECT target FROM requests ORDER BY n")]

    def _execute(self, sql: str, *values: Any) -> list[Any]:
        with closing(sqlite3.connect(self.file, timeout=10)) as connection, connection:
            return connection.execute(sql, values).fetchall()


@contextmanager
def shop(folder: Path, orders: int = 25) -> Iterator[Shop]:
    file = folder / "shop.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, updated_at TEXT, note TEXT, total REAL)"
        )
        connection.execute("CREATE TABLE lines (id INTEGER PRIMARY KEY, order_id INT, sku TEXT)")
        connection.execute("CREATE TABLE requests (n INTEGER PRIMARY KEY, target TEXT)")
        connection.executemany(
            "INSERT INTO orders VALUES (?, ?, 'new', ?)",
            # Two orders share each moment.
            ((n, str(START + timedelta(hours=n // 2)), n / 4) for n in range(1, orders + 1)),
        )
        connection.executemany(
            "INSERT INTO lines VALUES (?, ?, ?)",
            ((n, 1 + n // LINES, f"SKU-{n}") for n in range(orders * LINES)),
        )
    module = [sys.executable, "-m", "tests.servers.shop", str(file)]
    with served(lambda port: [*module, str(port)]) as url:
        yield Shop(url, file)


def application(file: Path) -> Any:
    """The WSGI application. Django is set up for this process as a whole."""
    import django
    from django.conf import settings

    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(file)}
    settings.configure(
        DATABASES={"default": database},
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=["django.middleware.gzip.GZipMiddleware"],
        INSTALLED_APPS=["django.contrib.contenttypes", "rest_framework"],
        REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": [], "UNAUTHENTICATED_USER": None},
        SECRET_KEY="only for tests",
    )
    django.setup()
    from django.core.wsgi import get_wsgi_application

    django_application = get_wsgi_application()

    def recorded(environ: Any, start_response: Any) -> Any:
        target = f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}".rstrip("?")
        with closing(sqlite3.connect(file, timeout=10)) as connection, connection:
            connection.execute("INSERT INTO requests (target) VALUES (?)", (target,))
        return django_application(environ, start_response)

    return recorded


def url_patterns() -> list[Any]:
    """Views and models, which Django lets be declared once it is set up."""
    from django.db import models
    from django.http import HttpResponse
    from django.urls import path
    from rest_framework import pagination, serializers
    from rest_framework.decorators import api_view
    from rest_framework.generics import ListAPIView
    from rest_framework.response import Response

    class Order(models.Model):
        id = models.IntegerField(primary_key=True)
        updated_at = models.TextField()
        note = models.TextField()
        total = models.FloatField()

        class Meta:
            app_label = "shop"
            db_table = "orders"

    class Line(models.Model):
        id = models.IntegerField(primary_key=True)
        order_id = models.IntegerField()
        sku = models.TextField()

        class Meta:
            app_label = "shop"
            db_table = "lines"

    class OrderSerializer(serializers.ModelSerializer[Any]):
        class Meta:
            model = Order
            fields = ("id", "updated_at", "note", "total")

    class LineSerializer(serializers.ModelSerializer[Any]):
        class Meta:
            model = Line
            fields = ("id", "order_id", "sku")

    class ByOffset(pagination.LimitOffsetPagination):
        max_limit = 1_000
        default_limit = 10

    class ByNumber(pagination.PageNumberPagination):
        page_size_query_param = "page_size"
        page_size = 10

    class ByCursor(pagination.CursorPagination):
        page_size = 10
        ordering = ("updated_at", "id")

    class ByHeader(ByCursor):
        """The cursor of DRF's next link, as a header of its own."""

        def get_paginated_response(self, data: Any) -> Response:
            following = self.get_next_link()
            cursor = following.partition("cursor=")[2] if following else ""
            return Response(data, headers={"X-Next-Cursor": unquote(cursor)} if cursor else {})

    class ByLink(ByCursor):
        def get_paginated_response(self, data: Any) -> Response:
            following = self.get_next_link()
            return Response(
                data, headers={"Link": f'<{following}>; rel="next"'} if following else {}
            )

    class ByOtherHost(ByCursor):
        def get_paginated_response(self, data: Any) -> Response:
            return Response({"next": "http://elsewhere.example/orders", "results": data})

    def orders(paginator: Any) -> Any:
        class Orders(ListAPIView[Any]):
            serializer_class = OrderSerializer
            pagination_class = paginator

            def get_queryset(self) -> Any:
                return chosen(self.request.query_params)

        return Orders.as_view()

    def chosen(asked: Any) -> Any:
        found = Order.objects.order_by("updated_at", "id")
        if "after" in asked:
            found = Order.objects.order_by("id").filter(id__gt=asked["after"])
        if "since" in asked:
            found = found.filter(updated_at__gte=asked["since"])
        if "until" in asked:
            found = found.filter(updated_at__lt=asked["until"])
        return found

    @api_view(["GET"])
    def limited(request: Any) -> Response:
        """No paging but a `limit`."""
        rows = chosen(request.query_params)[: int(request.query_params.get("limit", 1_000))]
        return Response(OrderSerializer(rows, many=True).data)

    @api_view(["GET"])
    def circle(request: Any) -> Response:
        rows = OrderSerializer(Order.objects.all()[:5], many=True).data
        return Response({"next": "?cursor=same", "results": rows})

    @api_view(["POST"])
    def search(request: Any) -> Response:
        page, found = request.data["page"], chosen(request.data["filter"])
        rows = found[page["offset"] : page["offset"] + page["limit"]]
        hits = OrderSerializer(rows, many=True).data
        return Response({"hits": hits, "meta": {"total": found.count()}})

    @api_view(["GET"])
    def lines(request: Any, order: int) -> Response:
        rows = Line.objects.filter(order_id=order).order_by("id")
        return Response({"lines": LineSerializer(rows, many=True).data})

    @api_view(["GET"])
    def sliced(request: Any, quirk: str) -> Response:
        """A count that has one row too many, or rows that differ with every answer."""
        offset, limit = (int(request.query_params[name]) for name in ("offset", "limit"))
        found = chosen(request.query_params)
        rows = OrderSerializer(found[offset : offset + limit], many=True).data
        if quirk == "volatile":
            rows = [{**row, "signature": secrets.token_hex(8)} for row in rows]
        return Response({"count": found.count() + (quirk == "miscounted"), "results": rows})

    def export(request: Any, kind: str) -> HttpResponse:
        rows = OrderSerializer(chosen(request.GET), many=True).data
        if kind.startswith("orders.csv"):
            text = io.StringIO()
            writer = csv.DictWriter(text, ["id", "updated_at", "note", "total"])
            writer.writeheader()
            writer.writerows(rows)
            body = text.getvalue().encode()
        else:
            body = "".join(json.dumps(row) + "\n" for row in rows).encode()
        if kind.endswith(".gz"):
            return HttpResponse(gzip.compress(body), content_type="application/gzip")
        return HttpResponse(body, content_type="text/plain")

    return [
        path("offset/", orders(ByOffset)),
        path("numbered/", orders(ByNumber)),
        path("cursor/", orders(ByCursor)),
        path("header/", orders(ByHeader)),
        path("link/", orders(ByLink)),
        path("circle/", circle),
        path("other-host/", orders(ByOtherHost)),
        path("limited/", limited),
        path("search/", search),
        path("sliced/<str:quirk>/", sliced),
        path("orders/<int:order>/lines/", lines),
        path("export/<str:kind>", export),
    ]


def main(file: str, port: str) -> None:
    from waitress import serve

    served_application = application(Path(file))
    sys.modules[__name__].urlpatterns = url_patterns()  # type: ignore[attr-defined]
    serve(served_application, host=HOST, port=int(port), threads=8, _quiet=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
