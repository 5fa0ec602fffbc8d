"""Where a stream's table is, and what writing it needs; checked before anything is read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from urllib.parse import unquote, urlsplit

from landing.catalog.fields import landing_fields
from landing.catalog.settings import BucketSettings, s3_keys, tables_settings
from landing.catalog.stream_config import StreamConfig, TableFormat
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
    """The place of one stream's table."""

    format: TableFormat
    bucket: Bucket
    """The bucket and prefix of `LANDING_TABLES_URL`."""
    paths: StreamPaths

    @property
    def path(self) -> str:
        return self.paths.data

    @property
    def location(self) -> str:
        return self.bucket.location(self.path)

    @property
    def uri(self) -> str:
        """The location for libraries: a path for a folder, as some do not decode its URL."""
        return unquote(urlsplit(self.location).path) if self.bucket.is_local else self.location

    @cached_property
    def keys(self) -> tuple[str, str] | None:
        """The keys of a bucket on S3; None if AWS's own credentials are used."""
        return s3_keys() if self.bucket.settings.scheme == "s3" else None

    @property
    def region(self) -> str | None:
        if self.bucket.settings.endpoint is not None:
            return "us-east-1"
        return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


def place_of(config: StreamConfig, landing: BucketSettings) -> Place | None:
    """None for a stream that keeps no table.

    Raises UsageError if a table of this format can't be written from here.
    """
    if config.table_format is None:
        return None
    _check_modules(config, config.table_format)
    _check_names(config)
    bucket = Bucket(tables_settings(landing))
    place = Place(config.table_format, bucket, StreamPaths(config.source, config.stream))
    if bucket.settings.scheme not in ("s3", "file") and config.table_format != "delta":
        raise SettingsError(
            f"{config.origin}: table_format '{config.table_format}' can't be written to "
            f"{bucket.url}: use 'delta', or set LANDING_TABLES_URL to a bucket on S3"
        )
    if config.table_format == "ducklake":
        ducklake_catalog()
        if not bucket.is_local and place.keys is None:
            raise SettingsError(
                f"{config.origin}: table_format 'ducklake' needs S3_ACCESS_KEY_ID and "
                "S3_SECRET_ACCESS_KEY: DuckDB can't use AWS's own credentials "
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
    """Readers of tables treat names that differ only in case as the same."""
    seen: dict[str, str] = {}
    for name in landing_fields(config.fields):
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise CatalogError(
                f"{config.origin}: fields: '{other}' and '{name}' differ only in case, which no "
                "table can have; leave one of them out, or set destination_sync_mode to 'append'"
            )
        if "`" in name:
            raise CatalogError(
                f"{config.origin}: fields.{name}: no table can have a name with a backtick; leave "
                "it out, or set destination_sync_mode to 'append'"
            )


def ducklake_catalog() -> str:
    """The catalog in DuckDB's spelling, from `LANDING_DUCKLAKE_CATALOG`: PostgreSQL or SQLite.

    There is no default, because a pod's own disk is empty at its next run. A DuckDB file is not
    accepted: it admits one process at a time, but streams run side by side.
    """
    url = os.environ.get(CATALOG_VARIABLE, "").strip()
    if not url:
        raise SettingsError(
            f"{CATALOG_VARIABLE} is not set, but table_format 'ducklake' needs it: set it to "
            "postgresql://user:password@host/database, or to sqlite:///folder/file, an absolute "
            "path on a disk that lasts (environment or .env)"
        )
    parts = urlsplit(url)
    if parts.scheme in ("postgresql", "postgres") and parts.hostname:
        return f"ducklake:postgres:{url}"
    if parts.scheme == "sqlite" and not parts.netloc and parts.path.strip("/"):
        return f"ducklake:sqlite:{_writable(Path('/' + parts.path.lstrip('/')))}"
    raise SettingsError(
        f"{CATALOG_VARIABLE} has to be postgresql://user:password@host/database, or "
        "sqlite:///folder/file with an absolute path"
    )


def _writable(file: Path) -> Path:
    if not file.parent.is_dir():
        wrong = f"there is no folder {file.parent}; make it"
    elif file.is_dir():
        wrong = f"{file} is a folder; name a file in it"
    elif file.exists() and not os.access(file, os.W_OK):
        wrong = f"{file} can't be written; allow it"
    else:
        try:
            with TemporaryFile(dir=file.parent):  # permissions don't show a read-only disk
                return file
        except OSError:
            wrong = f"nothing can be written in {file.parent}; allow it"
    raise SettingsError(
        f"{CATALOG_VARIABLE}: {wrong}, or name another file: the path after sqlite:// is absolute"
    )
