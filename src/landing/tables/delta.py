"""Delta Lake tables, written with the `deltalake` package."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import deltalake
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Field, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from landing.catalog.store_options import allows_http, foreign_variables, store_options
from landing.environment import hidden
from landing.errors import TableError
from landing.tables.place import Place
from landing.tables.table import KEPT_DAYS, MAINTAINED_EVERY, Counts, explained, plain
from landing.tables.winners import GONE, UNTIL, newer, removed, same_key

_LOG = "_delta_log"
_UNSUPPORTED = "Unsupported"
"""A word of the library's message about an unknown protocol or feature, whose class does not
differ from other errors."""
_ON_THIS_VERSION = CommitProperties(max_commit_retries=0)
"""Commits only if no other process has changed the table since it was opened."""


class DeltaLake:
    def __init__(self, place: Place, key: tuple[str, ...], cursor: str | None) -> None:
        self._place = place
        self._key = key
        self._cursor = cursor
        self._opened: DeltaTable | None = None

    @property
    def _table(self) -> DeltaTable | None:
        if self._opened is None:
            with explained(self._place):
                try:
                    self._opened = self._open()
                except TableNotFoundError:
                    return None
        return self._opened

    @property
    def _present(self) -> DeltaTable:
        table = self._table
        assert table is not None, "only an existing table is changed"
        return table

    def columns(self) -> pa.Schema | None:
        table = self._table
        return None if table is None else pa.schema(table.schema().to_arrow())

    def add_columns(self, fields: list[pa.Field]) -> None:
        with explained(self._place):
            self._present.alter.add_columns([Field.from_arrow(field) for field in fields])

    def upsert(self, changes: pa.Table) -> Counts:
        ours = [GONE, UNTIL]
        with explained(self._place):
            before = self._present.version()
            done = (
                # Not streamed: with statistics of the changes, Delta skips files that don't match.
                self._present.merge(
                    changes,
                    same_key(self._key),
                    "source",
                    "target",
                    streamed_exec=False,
                    commit_properties=_ON_THIS_VERSION,
                )
                .when_matched_delete(removed())
                .when_matched_update_all(newer(self._cursor), except_cols=ours)
                .when_not_matched_insert_all(f"NOT source.{GONE}", except_cols=ours)
                .execute()
            )
            self._maintain(before)
        inserted = done["num_target_rows_inserted"]
        return Counts(
            upserted=inserted + done["num_target_rows_updated"],
            removed=done["num_target_rows_deleted"],
            inserted=inserted,
        )

    def replace(self, batches: pa.RecordBatchReader, check: Callable[[], None]) -> None:
        before = self._version_to_replace()
        check()
        with explained(self._place), self._own_options():
            write_deltalake(
                self._opened or self._place.uri,
                batches,
                mode="overwrite",
                schema_mode="overwrite",
                storage_options=None if self._opened else self._options(),
                commit_properties=_ON_THIS_VERSION,
            )
        self._opened = None
        with explained(self._place):
            self._maintain(before)

    def _version_to_replace(self) -> int:
        """The version of the opened table; -1 without a table. A damaged log is removed.

        Raises TableError for a table that is too new for this library, and is kept.
        """
        try:
            self._opened = self._open()
            return self._opened.version()
        except TableNotFoundError:
            return -1
        except OSError:  # the bucket failed; the log may be intact
            with explained(self._place):
                raise
        except DeltaError as error:
            if _UNSUPPORTED in str(error):
                raise TableError(
                    f"{self._place.location} has a table that deltalake {deltalake.__version__} "
                    f"can't read: {plain(str(error))}; install a newer one, or remove the table"
                ) from None
            bucket = self._place.bucket
            for path in list(bucket.list(f"{self._place.path}/{_LOG}")):
                bucket.delete(path)
            self._opened = None
            return -1

    def _maintain(self, before: int) -> None:
        """Compacts small files, and removes files that no version of the last KEPT_DAYS has."""
        table = self._present
        if table.version() // MAINTAINED_EVERY == before // MAINTAINED_EVERY:
            return
        table.optimize.compact()
        table.vacuum(KEPT_DAYS * 24, dry_run=False)

    def _open(self) -> DeltaTable:
        with self._own_options():
            return DeltaTable(self._place.uri, storage_options=self._options())

    def _own_options(self) -> AbstractContextManager[None]:
        """The library's client is created in here, and takes no other account's variables."""
        if self._opened is not None:
            return nullcontext()
        return hidden(foreign_variables(self._place.bucket.settings))

    def _options(self) -> dict[str, str]:
        place = self._place
        if cloud := store_options(place.bucket.settings):
            return {**cloud, "allow_http": str(allows_http(cloud)).lower()}
        endpoint, keys, region = place.bucket.settings.endpoint, place.keys, place.region
        options = {"aws_endpoint_url": endpoint, "aws_allow_http": "true"} if endpoint else {}
        if keys is not None:
            options |= {"aws_access_key_id": keys[0], "aws_secret_access_key": keys[1]}
        if region is not None:
            options["aws_region"] = region
        return options
