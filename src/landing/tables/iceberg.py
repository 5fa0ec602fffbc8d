"""Apache Iceberg tables without a catalog: `metadata/version-hint.text` names the current metadata.

Writing the hint is the commit, on condition that it is the one that was read: a process that had
stopped can't put its version over a later one. Files of a process that died before that belong to
no version.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.memory import InMemoryCatalog
from pyiceberg.expressions import (
    AlwaysTrue,
    And,
    BooleanExpression,
    GreaterThanOrEqual,
    In,
    LessThanOrEqual,
    Reference,
)
from pyiceberg.table import Table as IcebergTable

from landing.errors import TableError
from landing.tables.decision import decide
from landing.tables.place import Place
from landing.tables.table import KEPT_DAYS, MAINTAINED_EVERY, Counts, explained
from landing.tables.winners import connected
from landing.zone.bucket import ATTEMPTS, StoredObject
from landing.zone.lineage import LOAD_ID, ROW_ID

_NAME = ("landing", "table")
_SUFFIX = ".metadata.json"
_PROPERTIES = {
    "format-version": "2",
    "commit.manifest-merge.enabled": "true",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "100",
}


class Iceberg:
    def __init__(self, place: Place, key: tuple[str, ...], cursor: str | None) -> None:
        self._place = place
        self._key = key
        self._cursor = cursor
        self._hint = f"{place.path}/metadata/version-hint.text"
        self._hinted: StoredObject | None = None
        self._opened: IcebergTable | None = None

    @property
    def _table(self) -> IcebergTable | None:
        if self._opened is None:
            self._hinted = self._place.bucket.get(self._hint)
            if self._hinted is None:
                return None
            name = self._hinted.data.decode().strip()
            metadata = f"{self._place.uri}/metadata/{name}{_SUFFIX}"
            with explained(self._place):
                self._opened = self._catalog().register_table(_NAME, metadata)
        return self._opened

    @property
    def _present(self) -> IcebergTable:
        table = self._table
        assert table is not None, "only an existing table is changed"
        return table

    def columns(self) -> pa.Schema | None:
        table = self._table
        return None if table is None else table.schema().as_arrow()

    def add_columns(self, fields: list[pa.Field]) -> None:
        with self._committed() as table, table.update_schema() as update:
            update.union_by_name(pa.schema(fields))

    def upsert(self, changes: pa.Table) -> Counts:
        table, within = self._present, self._within(changes)
        names = dict.fromkeys([*self._key, *filter(None, [self._cursor]), LOAD_ID, ROW_ID])
        with explained(self._place), connected() as connection:
            present = table.scan(within, tuple(names)).to_arrow_batch_reader()
            connection.register("present", present)
            decision = decide(connection, changes, "present", self._key, self._cursor)
        if decision.rows.num_rows or len(decision.outdated):
            with self._committed() as table, table.transaction() as transaction:
                if len(decision.outdated):
                    outdated = In(Reference(ROW_ID), decision.outdated.to_pylist())
                    transaction.delete(And(within, outdated))
                if decision.rows.num_rows:
                    transaction.append(decision.rows)
            self._maintain()
        return decision.counts

    def _within(self, changes: pa.Table) -> BooleanExpression:
        """The range of the changes' keys, so that files outside of it are not read."""
        first = self._key[0]
        least, most = pc.min_max(changes[first]).values()
        return And(
            GreaterThanOrEqual(Reference(first), _literal(least)),
            LessThanOrEqual(Reference(first), _literal(most)),
        )

    def replace(self, batches: pa.RecordBatchReader, check: Callable[[], None]) -> None:
        try:
            table = self._table
        except TableError:
            table = None  # damaged: replaced once the new one is complete
        check()
        if table is None:
            with explained(self._place):
                self._opened = self._catalog().create_table(
                    _NAME, batches.schema, self._place.uri, properties=_PROPERTIES
                )
        with self._committed() as table, table.transaction() as transaction:
            self._align(table, transaction, batches.schema)
            if table.current_snapshot() is not None:
                transaction.delete(AlwaysTrue())
            transaction.append(batches)
        self._maintain()

    def _align(self, table: IcebergTable, transaction: Any, schema: pa.Schema) -> None:
        """Gives the table these columns. A column whose type differs is dropped and added again."""
        for field in table.schema().as_arrow():
            index = schema.get_field_index(field.name)
            if index < 0 or _shape(schema.field(index).type) != _shape(field.type):
                with transaction.update_schema(allow_incompatible_changes=True) as update:
                    update.delete_column((field.name,))
        with transaction.update_schema() as update:
            update.union_by_name(schema)

    @contextmanager
    def _committed(self) -> Iterator[IcebergTable]:
        """Publishes all that is done to the table within, as one commit."""
        table = self._present
        with explained(self._place), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about deletions that match no file
            yield table
        name = table.metadata_location.rsplit("/", 1)[-1].removesuffix(_SUFFIX)
        self._put_hint(name.encode())

    def _put_hint(self, content: bytes) -> None:
        bucket = self._place.bucket
        if self._hinted is None:
            written = bucket.create(self._hint, content, ATTEMPTS)
        else:
            written = bucket.replace(self._hint, content, self._hinted, ATTEMPTS)
        if written is None:
            raise TableError(
                f"another process has changed the table at {self._place.location} meanwhile"
            )
        self._hinted = written

    def _maintain(self) -> None:
        """Expires old versions. Their files stay, because the library can't remove them."""
        if len(self._present.metadata.snapshots) % MAINTAINED_EVERY == 0:
            before = datetime.now(UTC) - timedelta(days=KEPT_DAYS)
            with self._committed() as table:
                table.maintenance.expire_snapshots().older_than(before).commit()

    def _catalog(self) -> Catalog:
        """A catalog in memory. The table's own metadata is all that lasts."""
        # By default, SQLite's memory is a connection's own, and each thread has a connection.
        name = f"file:{uuid4().hex}?mode=memory&cache=shared&uri=true"
        shared = f"sqlite:///{name}&check_same_thread=false"
        properties = {"warehouse": self._place.bucket.url, "uri": shared}
        endpoint, keys = self._place.bucket.settings.endpoint, self._place.keys
        if endpoint is not None:
            properties["s3.endpoint"] = endpoint
        if keys is not None:
            properties |= {"s3.access-key-id": keys[0], "s3.secret-access-key": keys[1]}
        if self._place.region is not None:
            properties["s3.region"] = self._place.region
        catalog = InMemoryCatalog("landing", **properties)
        catalog.create_namespace(_NAME[0])
        return catalog


def _shape(kind: pa.DataType) -> Any:
    """An Arrow type, reduced to what Iceberg distinguishes."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return ["list", _shape(kind.value_type)]
    if pa.types.is_struct(kind):
        return {member.name: _shape(member.type) for member in kind}
    return "string" if pa.types.is_large_string(kind) else str(kind)


def _literal(value: pa.Scalar) -> Any:
    plain = value.as_py()
    return plain.isoformat() if isinstance(plain, date) else plain
