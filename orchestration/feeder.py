"""A feeder: Dagster detects new files in the landing zone and merges them into a DuckLake.

    dagster dev -f orchestration/feeder.py

For each selected stream, `lake.{source}.{stream}` has the current rows. The file needs nothing of
this repository but the stream configs, so you can copy it into another one. See docs/feeder.md.

Environment:
    DLT_BUCKET_URL    the landing zone: s3://bucket/prefix or file:///folder
    FEEDER_CATALOG    the lake's catalog: sqlite:/folder/lake.sqlite, or postgres:host=… dbname=…
    FEEDER_DATA_URL   the lake's files: s3://bucket/prefix or file:///folder
    FEEDER_STREAMS    the folder of the stream configs, if it is not dag/streams beside this file
    S3_ENDPOINT, S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY   for both
"""

import fcntl
import json
import os
import re
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import dagster as dg
import duckdb
import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

BATCH_FILES, BATCH_BYTES = 500, 128 * 1024**2  # per transaction, which limits memory
POLL_SECONDS, ATTEMPTS = 60, 5
FILES = "read_parquet(?, hive_partitioning = false, union_by_name = true)"
PRESENT = "SELECT * EXCLUDE (_deleted_at) FROM batch WHERE _deleted_at IS NULL"
PASSWORD = re.compile(r"(?<=:)[^:/@\s]+(?=@)|(?<=password=)('[^']*'|[^\s'\"]+)", re.IGNORECASE)
Lake = duckdb.DuckDBPyConnection


class FeederError(Exception):
    """Says what is wrong, and what to do."""


class TryAgain(FeederError):
    """Another transaction was faster, a file was just compacted, or the network failed."""


@dataclass(frozen=True)
class Stream:
    source: str
    name: str
    key: tuple[str, ...]
    is_refreshed: bool
    """Its current rows are those of the last full refresh, not the newest for each key."""
    about: str = ""
    fields: tuple[tuple[str, str, str], ...] = ()
    """Name, type and description of each field that is configured."""

    @property
    def path(self) -> str:
        return f"{self.source}/{self.name}"

    @property
    def rows(self) -> str:
        return f"lake.{quoted(self.source)}.{quoted(self.name)}"

    @property
    def gone(self) -> str:
        """Deleted keys, so that an older version that lands later does not bring a row back."""
        return f"lake._feeder.{quoted(f'{self.path} deleted')}"

    @property
    def position(self) -> str:
        """One row: the last path that was merged. Each stream has a table of its own: if two
        transactions change one table, the later one fails, so two runs of a stream never mix."""
        return f"lake._feeder.{quoted(f'{self.path} position')}"


def streams() -> list[Stream]:
    folder = Path(os.environ.get("FEEDER_STREAMS") or Path(__file__).parent / "dag" / "streams")
    if not folder.is_dir():
        raise FeederError(f"there is no folder {folder}: set FEEDER_STREAMS to that of the configs")
    found = []
    for file in sorted(folder.glob("[!_.]*/[!_.]*.json")):
        try:
            config = json.loads(file.read_text())
            if config.get("selected") and config.get("connector", "dlt") in ("dlt", "landing"):
                found.append(stream_of(file.parent.name, file.stem, config))
        except (ValueError, TypeError, AttributeError) as error:
            raise FeederError(f"{file} is no stream config ({error}): fix it") from None
    return found


def stream_of(source: str, name: str, config: dict[str, Any]) -> Stream:
    config = {**config.get("defaults", {}), **config}
    offered = config.get("options", {}).get("sync_modes", ["incremental"])
    usual = "incremental" if config.get("cursor_field") and "incremental" in offered else ""
    is_full = (config.get("sync_mode") or usual) != "incremental"
    keeps_newest = config.get("destination_sync_mode") == "merge" or bool(config.get("deletes"))
    key = tuple(field for (field,) in config.get("primary_key") or [])
    # Without a key, rows are identified by their lineage, which compaction does not change.
    about = config.get("description") or f"The current rows of the stream {source}/{name}."
    fields = tuple(
        (field, str(its.get("format") or its.get("type", "")), its.get("description") or "")
        for field, its in (config.get("fields") or {}).items()
        if its.get("privacy") != "drop"
    )
    key = key or ("_dlt_load_id", "_dlt_id")
    return Stream(source, name, key, is_full and not keeps_newest, about, fields)


def new_files(stream: Stream, after: str | None) -> Iterator[tuple[str, int]]:
    """Path and size of each file after a path, in order."""
    if stream.is_refreshed:  # complete once its load record exists
        return listed(f"_dlt/{stream.path}/loads", after, ".json")
    return listed(stream.path, after, ".parquet")


def listed(folder: str, after: str | None, suffix: str) -> Iterator[tuple[str, int]]:
    """S3 lists names in order, starting after a given one, so old files cost nothing."""
    pages = obstore.list(landing_zone(), folder, offset=after, chunk_size=1000)
    files = ((file["path"], file["size"]) for page in pages for file in page)
    ours = (file for file in files if file[0].endswith(suffix))
    return ours if on_s3("DLT_BUCKET_URL") else iter(sorted(ours))


def feed(stream: Stream, tell: Callable[[str], object] = print) -> dict[str, Any]:
    """Merge what is new, a batch at a time. Returns the figures and the new position."""
    total = Counter(rows=0, deleted=0, without_key=0, files=0, bytes=0)
    failures, tried = 0, set[str | None]()
    while True:
        try:
            with transaction() as lake:
                at = position(lake, stream)
                if tried - {at}:
                    tell("another run merges the same files; this one leaves the rest to it")
                    return {**total, "cursor": at}
                tried.add(at)
                fed = (refresh if stream.is_refreshed else merge)(lake, stream, at)
        except TryAgain as failure:
            if (failures := failures + 1) == ATTEMPTS:
                raise
            tell(f"trying again: {failure}")
            time.sleep(failures)
        else:
            if fed is None:
                return {**total, "cursor": at or "nothing has landed"}
            failures, tried = 0, set()
            total.update(fed)
            tell(", ".join(f"{number} {name}" for name, number in total.items()))


def merge(lake: Lake, stream: Stream, at: str | None) -> dict[str, int] | None:
    """Merge the next files that have the same columns, keeping the newest version of each key."""
    paths, size, columns = list[str](), 0, dict[str, str]()
    for path, more in new_files(stream, at):
        its = columns_of(lake, FILES, [uri(path)])
        is_full = len(paths) == BATCH_FILES or size + more > BATCH_BYTES
        if paths and (is_full or its != columns):
            break
        paths, size, columns = [*paths, path], size + more, its
    if not paths:
        return None
    stage(lake, stream, paths)
    without_key = count(lake, f"DELETE FROM batch WHERE {lacks_key(stream)}")
    fit(lake, stream, paths[-1])
    same = " AND ".join(f"old.{quoted(name)} = batch.{quoted(name)}" for name in stream.key)
    for table, is_newer in ((stream.rows, ">"), (stream.gone, ">=")):
        lake.execute(
            f"DELETE FROM batch USING {table} AS old "
            f"WHERE {same} AND old._dlt_load_id {is_newer} batch._dlt_load_id"
        )
    for table in (stream.rows, stream.gone):
        lake.execute(f"DELETE FROM {table} AS old USING batch WHERE {same}")
    counts = {
        "rows": count(lake, f"INSERT INTO {stream.rows} BY NAME {PRESENT}"),
        "deleted": count(lake, f"INSERT INTO {stream.gone} BY NAME {deleted_of(stream)}"),
    }
    move(lake, stream, paths[-1])
    return {**counts, "without_key": without_key, "files": len(paths), "bytes": size}


def fit(lake: Lake, stream: Stream, path: str) -> None:
    """Create the tables, or add the columns of a batch that the table lacks."""
    lake.execute(f"CREATE SCHEMA IF NOT EXISTS lake.{quoted(stream.source)}")
    lake.execute("CREATE SCHEMA IF NOT EXISTS lake._feeder")
    lake.execute(f"CREATE TABLE IF NOT EXISTS {stream.rows} AS {PRESENT} LIMIT 0")
    lake.execute(f"CREATE TABLE IF NOT EXISTS {stream.gone} AS {deleted_of(stream)} LIMIT 0")
    key = ", ".join(stream.key)
    if columns_of(lake, stream.gone) != columns_of(lake, f"({deleted_of(stream)})"):
        raise FeederError(
            f"{stream.rows} was made with another primary key than {key}, or of another type: set "
            "it back in the stream config, or rebuild the table (docs/feeder.md)"
        )
    present = columns_of(lake, stream.rows)
    for name, kind in columns_of(lake, f"({PRESENT})").items():
        if name not in present:
            lake.execute(f"ALTER TABLE {stream.rows} ADD COLUMN {quoted(name)} {kind}")
        elif present[name] != kind:
            raise FeederError(
                f"{stream.rows}: {name} is {present[name]} in the table, and {kind} in files up to "
                f"{path}: set its type back in the stream config and land them again, or convert "
                "the table's column to the new type (docs/feeder.md)"
            )


def refresh(lake: Lake, stream: Stream, at: str | None) -> dict[str, int] | None:
    """Replace the rows of the previous full refresh by those of the last complete one."""
    if (last := last_of(new_files(stream, at))) is None:
        return None
    move(lake, stream, last)
    for path, _ in reversed([*new_files(stream, None)]):
        load = json.loads(bytes(obstore.get(landing_zone(), path).bytes()))
        if load["sync_mode"] == "full_refresh":
            return replace(lake, stream, load["load_id"], load["last_stamp"])
    return {}


def replace(lake: Lake, stream: Stream, first: str, last: str) -> dict[str, int]:
    """Replace all rows by those with load ids from `first` to `last`.

    Rows of the refresh that came from quarantine are in later files.
    """
    day = datetime.fromtimestamp(float(first), UTC)
    begin = f"{stream.path}/{day:year=%Y/month=%m/day=%d}/{first}"
    files = dict(listed(stream.path, begin, ".parquet"))
    present = columns_of(lake, stream.rows)
    if not files:
        return {"deleted": count(lake, f"DELETE FROM {stream.rows}")} if present else {}
    stage(lake, stream, [*files], first, last)
    if present != columns_of(lake, f"({PRESENT})"):
        lake.execute(f"CREATE SCHEMA IF NOT EXISTS lake.{quoted(stream.source)}")
        lake.execute(f"DROP TABLE IF EXISTS {stream.rows}")
        lake.execute(f"CREATE TABLE {stream.rows} AS {PRESENT} LIMIT 0")
    lake.execute(f"DELETE FROM {stream.rows}")
    rows = count(lake, f"INSERT INTO {stream.rows} BY NAME {PRESENT}")
    return {"rows": rows, "files": len(files), "bytes": sum(files.values())}


def stage(lake: Lake, stream: Stream, paths: list[str], first: str = "", last: str = "~") -> None:
    """Create `batch`: the newest version of each key among rows with load ids in this range."""
    uris = [uri(path) for path in paths]
    can_delete = "_deleted_at" in columns_of(lake, FILES, uris)
    lake.execute(
        "CREATE OR REPLACE TEMP TABLE batch AS "
        f"SELECT *{'' if can_delete else ', NULL::TIMESTAMPTZ AS _deleted_at'} FROM {FILES} "
        "WHERE _dlt_load_id BETWEEN ? AND ? QUALIFY row_number() OVER ("
        f"PARTITION BY {', '.join(map(quoted, stream.key))}, if({lacks_key(stream)}, _dlt_id, '') "
        "ORDER BY _dlt_load_id DESC, _deleted_at IS NULL, file_index DESC, file_row_number DESC"
        ") = 1",
        [uris, first, last],
    )


def lacks_key(stream: Stream) -> str:
    return " OR ".join(f"{quoted(name)} IS NULL" for name in stream.key)


def deleted_of(stream: Stream) -> str:
    names = dict.fromkeys([*stream.key, "_dlt_load_id", "_deleted_at"])
    return f"SELECT {', '.join(map(quoted, names))} FROM batch WHERE _deleted_at IS NOT NULL"


def columns_of(lake: Lake, relation: str, *parameters: list[str]) -> dict[str, str]:
    """Names and types; empty if there is no such table."""
    try:
        described = lake.execute(f"DESCRIBE FROM {relation}", parameters).fetchall()
    except duckdb.CatalogException:
        return {}
    return {name: kind for name, kind, *_ in described}


def count(lake: Lake, change: str) -> int:
    return int((lake.execute(change).fetchone() or (0,))[0])


def position(lake: Lake, stream: Stream) -> str | None:
    row = (
        lake.execute(f"FROM {stream.position}").fetchone()
        if columns_of(lake, stream.position)
        else None
    )
    return str(row[0]) if row else None


def move(lake: Lake, stream: Stream, path: str) -> None:
    lake.execute("CREATE SCHEMA IF NOT EXISTS lake._feeder")
    lake.execute(f"CREATE TABLE IF NOT EXISTS {stream.position} (path VARCHAR)")
    lake.execute(f"DELETE FROM {stream.position}")
    lake.execute(f"INSERT INTO {stream.position} VALUES (?)", [path])


@contextmanager
def transaction() -> Iterator[Lake]:
    """All or nothing: a killed process leaves at most files that no catalog refers to."""
    # On SQLite, a transaction fails if any other one commits meanwhile, so they take turns.
    kind, _, place = setting("FEEDER_CATALOG").partition(":")
    with Path(f"{place}.lock").open("w") if kind == "sqlite" else nullcontext() as lock:
        if lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            with closing(attached().cursor()) as lake:
                lake.execute("BEGIN")
                yield lake
                lake.execute("COMMIT")
        except (duckdb.IOException, duckdb.TransactionException, BaseError) as error:
            raise TryAgain(PASSWORD.sub("***", str(error))) from None
        except duckdb.Error as error:
            # Two processes may have turned an empty database into a catalog at the same time.
            is_race = "Failed to initialize DuckLake" in str(error)
            message = PASSWORD.sub("***", str(error))
            raise (TryAgain if is_race else FeederError)(message) from None


@cache
def attached() -> Lake:
    """Once per process, because loading extensions takes a second; PostgreSQL may restart."""
    catalog, data = setting("FEEDER_CATALOG"), setting("FEEDER_DATA_URL")
    if f"{data}/".startswith(f"{setting('DLT_BUCKET_URL')}/"):
        raise FeederError(
            "FEEDER_DATA_URL has to be outside of DLT_BUCKET_URL, whose files other feeders read"
        )
    lake = duckdb.connect()
    for extension in ("httpfs", "ducklake", f"{catalog.partition(':')[0]}_scanner"):
        package = find_spec(f"duckdb_extension_{extension}")  # else DuckDB downloads it
        places = package.submodule_search_locations if package else None
        file = next(Path(places[0]).rglob("*.duckdb_extension")) if places else extension
        lake.execute(f"LOAD '{file}'" if places else f"INSTALL {file}; LOAD {file}")
    lake.execute("SET GLOBAL temp_directory = ?", [tempfile.gettempdir()])
    if on_s3("DLT_BUCKET_URL") or on_s3("FEEDER_DATA_URL"):
        scheme, _, host = endpoint().partition("://")
        secret = {"key_id": setting("S3_ACCESS_KEY_ID"), "secret": setting("S3_SECRET_ACCESS_KEY")}
        secret |= {"endpoint": host, "url_style": "path", "use_ssl": str(scheme == "https")}
        options = ", ".join(f"{name} {literal(value)}" for name, value in secret.items())
        lake.execute(f"CREATE SECRET (TYPE s3, REGION {literal(region())}, {options})")
    options = f"DATA_PATH {literal(local(data) + '/')}"
    lake.execute(f"ATTACH {literal(f'ducklake:{catalog}')} AS lake ({options})")
    return lake


def landing_zone() -> S3Store | LocalStore:
    if not on_s3("DLT_BUCKET_URL"):
        return LocalStore(local(setting("DLT_BUCKET_URL")))
    bucket, _, prefix = setting("DLT_BUCKET_URL").removeprefix("s3://").partition("/")
    return S3Store(
        bucket,
        prefix=prefix or None,
        endpoint=endpoint(),
        region=region(),
        access_key_id=setting("S3_ACCESS_KEY_ID"),
        secret_access_key=setting("S3_SECRET_ACCESS_KEY"),
        client_options={"allow_http": True},
    )


SETTINGS = {
    "DLT_BUCKET_URL": (r"s3://.+|file:///.+", "the landing zone"),
    "FEEDER_CATALOG": (r"sqlite:/.+|postgres:.+", "the lake's catalog"),
    "FEEDER_DATA_URL": (r"s3://.+|file:///.+", "the folder of the lake's files"),
    "S3_ACCESS_KEY_ID": (r".+", "the bucket's key"),
    "S3_SECRET_ACCESS_KEY": (r".+", "the key's secret"),
}


def setting(name: str) -> str:
    form, meaning = SETTINGS[name]
    value = os.environ.get(name, "").strip().rstrip("/")
    if not re.fullmatch(form, value):
        wrong = (
            f"has to be {form.replace('.+', '…').replace('|', ' or ')}" if value else "is not set"
        )
        raise FeederError(f"{name} {wrong}; it is {meaning}")
    return value


def on_s3(name: str) -> bool:
    return setting(name).startswith("s3://")


def endpoint() -> str:
    given = os.environ.get("S3_ENDPOINT", "").strip().rstrip("/")
    return (
        given
        if "://" in given
        else f"http://{given}"
        if given
        else f"https://s3.{region()}.amazonaws.com"
    )


def region() -> str:
    return os.environ.get("AWS_REGION", "us-east-1")


def local(url: str) -> str:
    """The path of a folder's URL; S3 URLs as they are."""
    return unquote(urlsplit(url).path) if url.startswith("file://") else url


def uri(path: str) -> str:
    return f"{local(setting('DLT_BUCKET_URL'))}/{path}"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def last_of(files: Iterator[tuple[str, int]]) -> str | None:
    return next((path for path, _ in deque(files, maxlen=1)), None)


def asset_of(stream: Stream) -> dg.AssetsDefinition:
    @dg.asset(
        key=["lake", stream.source, stream.name],
        deps=[dg.AssetKey([stream.source, stream.name])],
        pool=f"feeder/{stream.path}",
        group_name=re.sub(r"\W", "_", f"{stream.source}_lake"),
        kinds={"duckdb", "parquet"},
        description=stream.about,
        metadata=schema(stream, {name: kind for name, kind, _ in stream.fields}),
    )
    def table(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        fed = feed(stream, context.log.info)
        with transaction() as lake:
            columns = columns_of(lake, stream.rows)
        version = dg.DataVersion(fed["cursor"])  # as it was if nothing was new
        return dg.MaterializeResult(metadata=fed | schema(stream, columns), data_version=version)

    return table


def schema(stream: Stream, columns: dict[str, str]) -> dict[str, Any]:
    """For Dagster's list of columns: before the first run with the types of the config."""
    about = {name: description for name, _, description in stream.fields}
    found = [dg.TableColumn(name, kind, about.get(name)) for name, kind in columns.items()]
    return {"dagster/column_schema": dg.TableSchema(found)} if found else {}


def sensor_of(stream: Stream, table: dg.AssetsDefinition) -> dg.SensorDefinition:
    @dg.sensor(
        name=re.sub(r"\W", "_", f"feed_{stream.path}"),
        target=table,
        minimum_interval_seconds=POLL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def sensor() -> dg.RunRequest | dg.SkipReason:
        """Uses the lake's own position, so files that a dead run left are requested again."""
        with transaction() as lake:
            at = position(lake, stream)
            newest = last_of(new_files(stream, at))
        if newest is None:
            return dg.SkipReason(f"nothing has landed after {at}" if at else "nothing has landed")
        return dg.RunRequest(run_key=f"{newest} {datetime.now(UTC):%Y-%m-%dT%H}")

    return sensor


tables = {stream: asset_of(stream) for stream in streams()}
defs = dg.Definitions(
    assets=[*tables.values()],
    sensors=[sensor_of(stream, table) for stream, table in tables.items()],
    executor=dg.in_process_executor,  # a run has one step
)
