"""Opens tables of each format. A format's library is imported when a table of it is opened."""

from __future__ import annotations

from landing.tables.place import Place
from landing.tables.table import Table


def check_place(place: Place) -> None:
    """Raises BucketError or SettingsError if no table can be written there."""
    next(iter(place.bucket.list(place.path)), None)
    if place.format == "ducklake":
        from landing.tables.ducklake import check_catalog

        check_catalog(place)


def open_table(place: Place, key: tuple[str, ...], cursor: str | None) -> Table:
    if place.format == "delta":
        from landing.tables.delta import DeltaLake

        return DeltaLake(place, key, cursor)
    if place.format == "iceberg":
        from landing.tables.iceberg import Iceberg

        return Iceberg(place, key, cursor)
    from landing.tables.ducklake import DuckLake

    return DuckLake(place, key, cursor)
