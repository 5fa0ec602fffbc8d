"""Current-state tables as programs read them that have nothing to do with what wrote them."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from pyiceberg.table import StaticTable

from landing.tables.place import CATALOG_VARIABLE
from tests.lake import extension

_REGION = "us-east-1"


def table_rows(table_format: str, url: str, stream: str, env: Mapping[str, str]) -> pa.Table:
    """All rows of the table of `stream`, which is `source/stream`, below `url`."""
    endpoint = f"http://{env['S3_ENDPOINT']}"
    key, secret = env["S3_ACCESS_KEY_ID"], env["S3_SECRET_ACCESS_KEY"]
    if table_format == "delta":
        options = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_REGION": _REGION,
            "AWS_ALLOW_HTTP": "true",
        }
        return DeltaTable(f"{url}/{stream}", storage_options=options).to_pyarrow_table()
    if table_format == "iceberg":
        properties = {
            "s3.endpoint": endpoint,
            "s3.access-key-id": key,
            "s3.secret-access-key": secret,
            "s3.region": _REGION,
        }
        return StaticTable.from_metadata(f"{url}/{stream}", properties).scan().to_arrow()
    with duckdb.connect() as lake:
        for name in ("httpfs", "postgres_scanner", "ducklake"):
            lake.execute(f"LOAD '{extension(name)}'")
        lake.execute(
            "CREATE SECRET (TYPE s3, USE_SSL false, URL_STYLE 'path', "
            f"KEY_ID '{key}', SECRET '{secret}', ENDPOINT '{env['S3_ENDPOINT']}')"
        )
        lake.execute(f"ATTACH 'ducklake:postgres:{env[CATALOG_VARIABLE]}' AS lake (READ_ONLY)")
        name = ".".join(f'"{part}"' for part in stream.split("/"))
        return lake.execute(f"SELECT * FROM lake.{name}").to_arrow_table()
