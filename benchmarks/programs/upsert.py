"""Changed rows into a large Delta table: as this project takes them in, or with deltalake alone.

`upsert.py prepare ROWS CHANGED` lands the rows, makes the table and a copy of it, and lands the
changed rows. `upsert.py landing` brings the table up to date with them, `upsert.py deltalake`
merges the same file into the copy.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.programs.clock import framework_import

FIRST, SECOND = "1769000000.000000", "1769000001.000000"
KEY = "id"
FIELDS = {
    "id": "integer",
    "changed": "integer",
    "name": "string",
    "amount": "number",
    "note": "string",
    "is_open": "boolean",
}


def rows(ids: object, load_id: str):  # type: ignore[no-untyped-def]
    import pyarrow as pa
    import pyarrow.compute as pc

    from landing.zone.lineage import with_lineage

    texts = pc.cast(ids, pa.string())
    table = pa.table(
        {
            "id": ids,
            "changed": pa.repeat(int(load_id[:10]), len(ids)),
            "name": pc.binary_join_element_wise("customer", texts, " "),
            "amount": pc.divide(pc.cast(ids, pa.float64()), 7.0),
            "note": pc.binary_join_element_wise("what was said about", texts, load_id, " "),
            "is_open": pc.equal(pc.bit_wise_and(ids, 1), 0),
        }
    )
    return with_lineage(table, load_id)


def prepare(count: int, changed: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from deltalake import DeltaTable, write_deltalake

    from landing.zone.layout import StreamPaths

    bucket, config = bucket_and_config()
    paths = StreamPaths(config.source, config.stream)

    def land(table: pa.Table, load_id: str) -> None:
        file = Path("rows.parquet")
        pq.write_table(table, file, row_group_size=122_880, compression="zstd")
        bucket.put(paths.part(load_id, 0), file)

    land(rows(pa.array(range(count), pa.int64()), FIRST), FIRST)
    update()
    table = DeltaTable(location("shop/orders"), storage_options=options())
    write_deltalake(location("copy"), table.to_pyarrow_table(), storage_options=options())
    step = max(1, count // changed)
    land(rows(pa.array(range(0, count, step)[:changed], pa.int64()), SECOND), SECOND)


def update() -> None:
    from landing.tables import table_sync_of
    from landing.zone.lease import Lease

    bucket, config = bucket_and_config()
    table_sync = table_sync_of(config, bucket)
    assert table_sync is not None
    with Lease(bucket, "_dlt/shop/orders/lease.json", "shop/orders") as lease:
        done = table_sync.update(lease)
    print(done.upserted, file=sys.stderr)


def with_landing() -> None:
    with framework_import():
        import deltalake  # noqa: F401
        import duckdb  # noqa: F401
        import pyarrow.parquet  # noqa: F401

        import landing.tables.sync  # noqa: F401
    update()


def with_deltalake() -> None:
    with framework_import():
        import pyarrow.fs
        import pyarrow.parquet as pq
        from deltalake import DeltaTable
    bucket, config = bucket_and_config()
    from landing.zone.layout import StreamPaths

    path = StreamPaths(config.source, config.stream).part(SECOND, 0)
    store = pyarrow.fs.S3FileSystem(
        access_key=os.environ["S3_ACCESS_KEY_ID"],
        secret_key=os.environ["S3_SECRET_ACCESS_KEY"],
        endpoint_override=f"http://{os.environ['S3_ENDPOINT']}",
        region="us-east-1",
    )
    changes = pq.read_table(bucket.location(path).removeprefix("s3://"), filesystem=store)
    (
        DeltaTable(location("copy"), storage_options=options())
        .merge(changes, f"target.{KEY} = source.{KEY}", "source", "target", streamed_exec=False)
        .when_matched_update_all()
        .when_not_matched_insert_all()
        .execute()
    )


def bucket_and_config():  # type: ignore[no-untyped-def]
    from landing.catalog.fields import Field
    from landing.catalog.settings import bucket_settings
    from landing.catalog.stream_config import StreamConfig
    from landing.catalog.workspace import Workspace
    from landing.zone.bucket import Bucket

    config = StreamConfig(
        source="shop",
        stream="orders",
        origin="orders.json",
        sync_mode="incremental",
        destination_sync_mode="merge",
        primary_key=(KEY,),
        cursor_field="changed",
        initial_value=None,
        lookback=None,
        selected=True,
        fields={name: Field(type=kind) for name, kind in FIELDS.items()},
        on_drift="report",
        discovered={},
        table_format="delta",
    )
    return Bucket(bucket_settings(Workspace(Path.cwd()))), config


def location(name: str) -> str:
    return f"s3://{urlsplit(os.environ['DLT_BUCKET_URL']).netloc}/tables/{name}"


def options() -> dict[str, str]:
    return {
        "aws_endpoint_url": f"http://{os.environ['S3_ENDPOINT']}",
        "aws_allow_http": "true",
        "aws_region": "us-east-1",
        "aws_access_key_id": os.environ["S3_ACCESS_KEY_ID"],
        "aws_secret_access_key": os.environ["S3_SECRET_ACCESS_KEY"],
    }


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        prepare(int(sys.argv[2]), int(sys.argv[3]))
    else:
        {"landing": with_landing, "deltalake": with_deltalake}[sys.argv[1]]()
