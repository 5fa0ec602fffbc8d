"""The same file as this project's, by hand: orjson, column lists, pyarrow, one thread.

No types but these, no row that does not fit, no cursor, no state, no retry.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from benchmarks.programs.api import bodies
from benchmarks.records import KEPT, Kind

ROW_GROUP_ROWS = 122_880
TIMESTAMP = pa.timestamp("us", tz="UTC")
ID_BYTES, ID_CHARACTERS = 12, 16


def main() -> None:
    load_id = f"{time.time():.6f}"
    schema = pa.schema(
        [(name, _TYPES[kind]) for name, kind in KEPT.items()]
        + [("_dlt_load_id", pa.string()), ("_dlt_id", pa.string())]
    )
    folder, filesystem = output()
    with pq.ParquetWriter(
        f"{folder}/{load_id}.00000.parquet",
        schema,
        filesystem=filesystem,
        compression="zstd",
        compression_level=1,
        use_dictionary=[name for name in schema.names if name != "_dlt_id"],
    ) as writer:
        pending: list[pa.Table] = []
        for body in bodies():
            pending.append(table(orjson.loads(body)["data"], load_id, schema))
            if sum(page.num_rows for page in pending) >= ROW_GROUP_ROWS:
                writer.write_table(pa.concat_tables(pending), ROW_GROUP_ROWS)
                pending = []
        if pending:
            writer.write_table(pa.concat_tables(pending), ROW_GROUP_ROWS)


def output() -> tuple[str, fs.FileSystem]:
    url = urlsplit(os.environ["BENCH_OUTPUT"])
    if url.scheme == "file":
        return unquote(url.path), fs.LocalFileSystem()
    bucket = fs.S3FileSystem(
        access_key=os.environ["S3_ACCESS_KEY_ID"],
        secret_key=os.environ["S3_SECRET_ACCESS_KEY"],
        endpoint_override=f"http://{os.environ['S3_ENDPOINT']}",
        region="us-east-1",
    )
    return f"{url.netloc}{url.path}", bucket


def table(rows: list[dict[str, Any]], load_id: str, schema: pa.Schema) -> pa.Table:
    columns = [column([row.get(name) for row in rows], kind) for name, kind in KEPT.items()]
    return pa.Table.from_arrays(
        [*columns, pa.repeat(load_id, len(rows)), pa.array(row_ids(len(rows)))], schema=schema
    )


def column(values: list[Any], kind: Kind) -> pa.Array:
    convert = _CONVERSIONS.get(kind)
    return convert(values) if convert else pa.array(values, _TYPES[kind])


def timestamps(values: list[Any]) -> pa.Array:
    texts = pa.array(values, pa.string())
    if next(filter(None, values), "").endswith("Z"):
        return texts.cast(TIMESTAMP)
    return pc.assume_timezone(texts.cast(pa.timestamp("us")), "UTC")


def dates(values: list[Any]) -> pa.Array:
    return pa.array(values, pa.string()).cast(pa.date32())


def json_texts(values: list[Any]) -> pa.Array:
    return pa.array([None if v is None else orjson.dumps(v) for v in values], pa.string())


def row_ids(count: int) -> list[str]:
    text = base64.urlsafe_b64encode(os.urandom(count * ID_BYTES)).decode()
    return [text[start : start + ID_CHARACTERS] for start in range(0, len(text), ID_CHARACTERS)]


_TYPES: dict[Kind, pa.DataType] = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "text": pa.string(),
    "date-time": TIMESTAMP,
    "date": pa.date32(),
    "json": pa.string(),
}
_CONVERSIONS: dict[Kind, Callable[[list[Any]], pa.Array]] = {
    "date-time": timestamps,
    "date": dates,
    "json": json_texts,
}

if __name__ == "__main__":
    main()
