"""dlt's load packages onto the landing zone: names, order, and state that moves last.

This is a dlt destination. dlt hands it the parts of a load package one at a time; each is
published under the next number, so that no name that appears later sorts before one that is
already visible. Only when all are there does `complete_load` write the quarantine, the load's
record and, as the very last, the state with the cursor.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import pyarrow as pa
from dlt.common.configuration import configspec
from dlt.common.configuration.specs.base_configuration import NotResolved
from dlt.common.destination import Destination, DestinationCapabilitiesContext
from dlt.common.destination.client import (
    DestinationClientDwhConfiguration,
    JobClientBase,
    RunnableLoadJob,
    StateInfo,
    StorageSchemaInfo,
    WithStateSync,
)
from dlt.common.destination.exceptions import (
    DestinationTerminalException,
    DestinationUndefinedEntity,
)
from dlt.common.destination.typing import PreparedTableSchema
from dlt.common.normalizers.naming import NamingConvention
from dlt.common.schema import Schema
from dlt.common.storages.load_package import load_package_state

from landing.catalog.stream_config import SyncMode
from landing.errors import BucketError, LandingError
from landing.events import Drifted, Reporter
from landing.zone.bucket import Bucket
from landing.zone.layout import (
    StreamPaths,
    load_id_after,
    load_id_of,
    next_load_id,
    quarantine_file_of,
    reserved_by,
)
from landing.zone.lease import Lease
from landing.zone.parts import Part
from landing.zone.schema_history import KnownSchema, SchemaVersion, recorded
from landing.zone.state import json_document, stored_by_us, stored_state


@dataclass(frozen=True)
class LandedFile:
    path: str
    rows: int
    bytes: int


@dataclass
class Load:
    """Rows of one stream that are published together; becomes a record in the bucket."""

    bucket: Bucket
    paths: StreamPaths
    lease: Lease
    sync_mode: SyncMode | None = None
    """Of the run that it belongs to; None for rows that were read before, as in quarantine."""
    load_id: str | None = None
    last_row_version: str | None = None
    parts: list[Part] = field(default_factory=list)
    """In the order of their rows, which is the order of publication."""
    files: list[LandedFile] = field(default_factory=list)
    quarantine_file: Path | None = None
    quarantined: int = 0
    deleted: int = 0
    """Rows that say that a record was deleted."""
    keys_file: Path | None = None
    """Which records the source has, or which rows are read again, as the state says from now on."""
    supersedes_keys: bool = False
    """Whether no earlier such file is needed any more."""
    from_quarantine: list[str] = field(default_factory=list)
    """The loads of rows that landed only now."""
    read_from: Any = None
    """Where its run began to read: behind the cursor, if it looks back."""
    follows_unknown: bool = False
    """Whether loads that the state does not know of came before it: those of backfills, of rows
    from quarantine, and of runs that died."""
    schema: SchemaVersion | None = None
    """Of its columns, where the bucket does not have it yet."""
    backfill: dict[str, Any] | None = None
    """What of which backfill its rows are."""
    drift: Drifted = field(default_factory=Drifted)
    cursor_before: Any = None
    cursor_after: Any = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    is_complete: bool = False
    """Whether the state was written."""
    reporter: Reporter = field(default_factory=Reporter)

    def begin(self, last_load_id: str | None) -> str:
        """The load id: above the last load's, whatever an interrupted run left, and what backfills
        have reserved.

        Chosen once; costs three listings then, of what sorts after the last load only.
        """
        if self.load_id is not None:
            return self.load_id
        # Rows of an interrupted run may be stamped a little above its load id; those of a backfill
        # are stamped already, and need no more than a name that comes later.
        by = Decimal(1) if self.backfill is None else Decimal(0)
        above = [load_id_after(load_id, by) for load_id in self._interrupted(last_load_id)]
        since = f"{self.paths.backfills}/{last_load_id}" if last_load_id else None
        reserved = map(reserved_by, self.bucket.list(self.paths.backfills, since))
        last = max([last_load_id or "", *above, *filter(None, reserved)])
        self.load_id = self.last_row_version = next_load_id(datetime.now(UTC), last or None)
        self.follows_unknown = bool(above)
        self.reporter.began(self.paths.stream, self.load_id)
        return self.load_id

    def _interrupted(self, last_load_id: str | None) -> Iterator[str]:
        """The ids of loads after the last one that left files, or only rows in quarantine."""
        paths = self.paths
        after = paths.end_of(last_load_id) if last_load_id else None
        yield from filter(None, map(load_id_of, self.bucket.list(paths.data, after)))
        after = paths.quarantine(last_load_id) if last_load_id else None
        for path in self.bucket.list(paths.quarantined, after):
            found = quarantine_file_of(path)
            if found is not None and found[1] is not None:
                yield found[1]
        if self.sync_mode == "full_refresh":
            # One that found nothing leaves its record alone.
            after = paths.load_record(last_load_id) if last_load_id else None
            for path in self.bucket.list(paths.load_records, after):
                yield path.rsplit("/", 1)[-1].removesuffix(".json")

    def still_known(self, known: KnownSchema | None) -> KnownSchema | None:
        """What the state has of the columns. Loads that it does not know of may have had others:
        then the bucket is asked."""
        if known is None or not self.follows_unknown:
            return known
        return KnownSchema(version=known["version"], fingerprint="")

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    def known_rows(self, load_id: str, file: Path) -> bool:
        """Download what an earlier load kept of rows that are read again; False if it is gone."""
        return self.bucket.download(self.paths.keys(load_id), file)

    def publish_next(self) -> None:
        """Publish the next part. dlt's jobs come in any order; the parts must not."""
        assert self.load_id is not None, "a part exists, so its load has begun"
        self.lease.check()
        if self.schema is not None:
            # Before the first file that has these columns: none is ever without its version.
            self.bucket.put(self.paths.schema(self.schema.version), self.schema.as_json())
            self.schema = None
        if not self.files:
            self.reporter.publishing(self.paths.stream, len(self.parts))
        part = self.parts[len(self.files)]
        path = self.paths.part(self.load_id, len(self.files))
        clock = time.monotonic()
        self.bucket.put(path, part.file)
        took = time.monotonic() - clock
        self.files.append(LandedFile(path, part.rows, part.bytes))
        self.reporter.uploaded(self.paths.stream, path, part.rows, part.bytes, took)
        part.file.unlink()

    def publish(self, columns: pa.Schema) -> str:
        """All parts at once, of rows that no run of dlt's has; the cursor stays. Returns the load
        id."""
        ours = stored_by_us(self.bucket, self.paths)
        load_id = self.begin(ours.get("load_id"))
        known = self.still_known(ours.get("schema"))
        found = recorded(self.bucket, self.paths, known, columns, load_id)
        self.schema = found.new if found is not None else None
        for _ in self.parts:
            self.publish_next()
        self.lease.check()
        return load_id

    def complete(self, state: dict[str, Any]) -> None:
        if len(self.files) < len(self.parts) or not state:
            raise DestinationTerminalException(
                f"{len(self.files)} of {len(self.parts)} parts are published; the state stays"
            )
        self.lease.check()
        if self.load_id is not None:
            if self.quarantine_file is not None:
                self.bucket.put(self.paths.quarantine(self.load_id), self.quarantine_file)
            if self.keys_file is not None:
                self.bucket.put(self.paths.keys(self.load_id), self.keys_file)
            self.put_record(self.load_id)
        self.lease.confirm()
        self.bucket.put(self.paths.state, _json(state))
        self.is_complete = True
        if self.supersedes_keys:
            self._forget_keys()

    def renew_state(self) -> None:
        """Write the state with the time of now and no other change, of which dlt makes no state:
        the bucket tells by it when a run last ended well."""
        stored = self.bucket.get(self.paths.state)
        if stored is not None:
            renewed = {**json_document(stored.data), "created_at": str(datetime.now(UTC))}
            self.bucket.replace(self.paths.state, _json(renewed), stored)

    def _forget_keys(self) -> None:
        """Remove keys that the state does not name, of earlier loads and of interrupted runs."""
        current = self.paths.keys(self.load_id) if self.load_id else None
        with suppress(BucketError):  # all is done; the next load tries again
            for path in list(self.bucket.list(self.paths.all_keys)):
                if path != current:
                    self.bucket.delete(path)

    def put_failed_quarantine(self) -> None:
        """Keep what made a run fail for a person to look at; the next run reads it again."""
        assert self.quarantine_file is not None, "nothing else makes a run fail"
        self.lease.check()
        self.bucket.put(self.paths.failed_quarantine, self.quarantine_file)

    def put_record(self, load_id: str) -> None:
        self.bucket.put(self.paths.load_record(load_id), _json(self._record()))

    def _record(self) -> dict[str, Any]:
        return {
            "load_id": self.load_id,
            "last_stamp": self.last_row_version,
            "sync_mode": self.sync_mode,
            "started": self.started,
            "finished": datetime.now(UTC),
            "rows": self.rows,
            "bytes": self.bytes,
            "quarantined": self.quarantined,
            "deleted": self.deleted,
            "from_quarantine": self.from_quarantine,
            "read_from": self.read_from,
            "backfill": self.backfill,
            "drift": asdict(self.drift) if self.drift else None,
            "cursor_before": self.cursor_before,
            "cursor_after": self.cursor_after,
            "files": [asdict(file) for file in self.files],
        }


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, default=str, indent=1).encode()


@configspec
class LandingConfiguration(DestinationClientDwhConfiguration):
    destination_type: Annotated[str, NotResolved()] = field(
        default="landing", init=False, repr=False, compare=False
    )


class LandingZone(Destination[LandingConfiguration, "LandingClient"]):
    """The destination of a run, which sets `load` anew for each of its loads."""

    spec = LandingConfiguration

    def __init__(self, load: Load) -> None:
        self.load = load
        super().__init__()

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        capabilities = DestinationCapabilitiesContext.generic_capabilities("parquet")
        capabilities.supported_loader_file_formats = ["parquet", "typed-jsonl"]
        capabilities.has_case_sensitive_identifiers = True
        capabilities.naming_convention = "direct"  # field names land as the config writes them
        capabilities.supports_nested_types = True
        capabilities.max_parallel_load_jobs = 1  # one after the other: order of publication
        return capabilities

    def capabilities(
        self,
        config: LandingConfiguration | None = None,
        naming: NamingConvention | None = None,
    ) -> DestinationCapabilitiesContext:
        """Asked for a dozen times a run: dlt's own would resolve a configuration each time, which
        changes nothing here."""
        return self._raw_capabilities()

    def configuration(
        self, initial_config: LandingConfiguration | None, accept_partial: bool = False
    ) -> LandingConfiguration:
        """As it is: what dlt would look for in the environment means nothing here."""
        return (initial_config or self.spec()).resolve()

    @property
    def client_class(self) -> type[LandingClient]:
        return LandingClient

    def client(self, schema: Schema, initial_config: Any = None) -> LandingClient:
        client = super().client(schema, initial_config)
        client.load = self.load
        return client


class _PublishJob(RunnableLoadJob):
    """Publishes one part; for dlt's own state table, which `complete_load` writes, nothing."""

    def __init__(self, file_path: str, load: Load | None) -> None:
        super().__init__(file_path)
        self._load = load

    def run(self) -> None:
        if self._load is None:
            return
        try:
            self._load.publish_next()
        except LandingError as error:
            # The bucket's client has retried already; more rounds of dlt's would only take time.
            raise PublishFailed(str(error)) from error


class PublishFailed(DestinationTerminalException):
    pass


class LandingClient(JobClientBase, WithStateSync):
    load: Load

    def initialize_storage(self, truncate_tables: Iterable[str] | None = None) -> None:
        """Nothing to prepare: an object store has no folders."""

    def is_storage_initialized(self) -> bool:
        return True

    def drop_storage(self) -> None:
        raise DestinationTerminalException("the landing zone is append-only")

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> RunnableLoadJob:
        own = table["name"] == self.schema.state_table_name
        return _PublishJob(file_path, None if own else self.load)

    def complete_load(self, load_id: str) -> None:
        document = load_package_state()["state"].get("pipeline_state")
        self.load.complete(dict(document or {}))

    def get_stored_state(self, pipeline_name: str) -> StateInfo | None:
        return stored_state(self.load.bucket, self.load.paths)

    def get_stored_schema(self, schema_name: str | None = None) -> StorageSchemaInfo | None:
        """None: a stream's columns come from its stream config, at every run anew."""
        return None

    def get_stored_schema_by_hash(self, version_hash: str) -> StorageSchemaInfo:
        raise DestinationUndefinedEntity(version_hash)

    def __enter__(self) -> LandingClient:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        pass
