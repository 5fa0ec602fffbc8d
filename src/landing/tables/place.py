"""Where a stream's table is and what it takes to write one, asked before anything is read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from urllib.parse import unquote, urlsplit

from landing.catalog.fields import landing_fields
from landing.catalog.stream_config import StreamConfig, TableFormat
from landing.catalog.workspace import BucketSettings, s3_keys, tables_settings
from landing.errors import CatalogError, SettingsError
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths

CATALOG_VARIABLE = "LANDING_DUCKLAKE_CATALOG"
_MODULES: dict[TableFormat, tuple[str, ...]] = {
    "delta": ("deltalake", "duckdb"),
    "iceberg": ("pyiceberg", "sqlalchemy", "duckdb"),
    "ducklake": (
        "duckdb",
        "duckdb_extension_ducklake",
        "duckdb_extension_httpfs",
        "duckdb_extension_sqlite_scanner",
        "duckdb_extension_postgres_scanner",
    ),
}
_EXTRAS: dict[TableFormat, str] = {"delta": "tables", "iceberg": "iceberg", "ducklake": "ducklake"}


@dataclass(frozen=True)
class Place:
    """Of one stream's table."""

    format: TableFormat
    bucket: Bucket
    """What is below `LANDING_TABLES_URL`."""
    paths: StreamPaths

    @property
    def path(self) -> str:
        return self.paths.data

    @property
    def location(self) -> str:
        return self.bucket.location(self.path)

    @property
    def uri(self) -> str:
        """The location as libraries take it, of which some do not decode the URL of a folder."""
        return unquote(urlsplit(self.location).path) if self.bucket.is_local else self.location

    @cached_property
    def keys(self) -> tuple[str, str] | None:
        """Those of the bucket; None for a folder, and where AWS's own credentials are used."""
        return None if self.bucket.is_local else s3_keys()

    @property
    def region(self) -> str | None:
        if self.bucket.settings.endpoint is not None:
            return "us-east-1"
        return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


def place_of(config: StreamConfig, landing: BucketSettings) -> Place | None:
    """None for a stream that keeps no table.

    Raises a UsageError if a table of this format can't be written here.
    """
    if config.table_format is None:
        return None
    _check_modules(config, config.table_format)
    _check_names(config)
    bucket = Bucket(tables_settings(landing))
    place = Place(config.table_format, bucket, StreamPaths(config.source, config.stream))
    if config.table_format == "ducklake":
        ducklake_catalog()
        if not bucket.is_local and place.keys is None:
            raise SettingsError(
                f"{config.origin}: table_format 'ducklake' needs S3_ACCESS_KEY_ID and "
                "S3_SECRET_ACCESS_KEY: DuckDB does not know AWS's own credentials "
                "(environment or .env)"
            )
    return place


def _check_modules(config: StreamConfig, table_format: TableFormat) -> None:
    missing = [name for name in _MODULES[table_format] if find_spec(name) is None]
    if missing:
        raise SettingsError(
            f"{config.origin}: table_format '{table_format}' needs {', '.join(missing)}, which is "
            f'not installed: pip install "dlt-landing[{_EXTRAS[table_format]}]"'
        )


def _check_names(config: StreamConfig) -> None:
    """Readers of tables take names that differ in case alone for the same."""
    seen: dict[str, str] = {}
    for name in landing_fields(config.fields):
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise CatalogError(
                f"{config.origin}: fields: '{other}' and '{name}' differ in case alone, which no "
                "table can hold; leave one of them out, or set destination_sync_mode to 'append'"
            )
        if "`" in name:
            raise CatalogError(
                f"{config.origin}: fields.{name}: no table can hold a name with a backtick; leave "
                "it out, or set destination_sync_mode to 'append'"
            )


def ducklake_catalog() -> str:
    """What DuckDB attaches, from `LANDING_DUCKLAKE_CATALOG`: a URL of PostgreSQL, or a file.

    There is no default, since a pod's own disk is empty at its next run. DuckDB's own files are no
    choice: one process has such a file for itself, and streams run side by side.
    """
    url = os.environ.get(CATALOG_VARIABLE, "").strip()
    if not url:
        raise SettingsError(
            f"{CATALOG_VARIABLE} is not set, which table_format 'ducklake' needs: set it to "
            "postgresql://user:password@host/database, or sqlite:///folder/file, whose path is "
            "absolute, on a disk that stays "
            "(environment or .env)"
        )
    parts = urlsplit(url)
    if parts.scheme in ("postgresql", "postgres") and parts.hostname:
        return f"ducklake:postgres:{url}"
    if parts.scheme == "sqlite" and not parts.netloc and parts.path.strip("/"):
        return f"ducklake:sqlite:{_writable(Path('/' + parts.path.lstrip('/')))}"
    raise SettingsError(
        f"{CATALOG_VARIABLE} has to be postgresql://user:password@host/database, or "
        "sqlite:///folder/file, whose path is absolute"
    )


def _writable(file: Path) -> Path:
    if not file.parent.is_dir():
        wrong = f"there is no folder {file.parent}; make it"
    elif file.is_dir():
        wrong = f"{file} is a folder; name a file in it"
    elif file.exists() and not os.access(file, os.W_OK):
        wrong = f"{file} can't be written; give the right to"
    else:
        try:
            with TemporaryFile(dir=file.parent):  # rights alone say nothing of a read-only disk
                return file
        except OSError:
            wrong = f"nothing can be written in {file.parent}; give the right to"
    raise SettingsError(
        f"{CATALOG_VARIABLE}: {wrong}, or name another file: the path after sqlite:// is absolute"
    )
