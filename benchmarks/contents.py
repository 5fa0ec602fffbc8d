"""What a contender landed, as a digest that does not depend on how it wrote it.

A program of its own, since it needs DuckDB: `python -m benchmarks.contents URL`, of a folder or of
a prefix in the bucket of the environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from benchmarks.process import REPOSITORY, ProgramFailed
from benchmarks.records import KEPT, KEY, Kind


@dataclass(frozen=True)
class Contents:
    rows: int
    digest: str
    """Over the sorted rows, in the kept fields; not over lineage, which differs by nature."""
    row_ids: int
    """Different row ids, or keys where a contender writes no row ids."""
    loads: int
    """Different load ids, or 1."""
    files: int
    bytes: int


def contents_of(url: str, env: Mapping[str, str]) -> Contents:
    """Look at the parquet files below a URL, in another process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.contents", url],
        cwd=REPOSITORY,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ProgramFailed(f"can't read what landed: {done.stderr.strip()[-500:]}")
    return Contents(**json.loads(done.stdout))


def look(folder: Path) -> Contents:
    """As `contents_of`, in this process."""
    import duckdb

    files = sorted(folder.rglob("*.parquet"))
    if not files:
        return Contents(0, "", 0, 0, 0, 0)
    source = "read_parquet($files, hive_partitioning = false, union_by_name = true)"
    given = {"files": [str(file) for file in files]}
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        columns = connection.execute(f"SELECT * FROM {source} LIMIT 0", given).description
        types = {name: str(type_) for name, type_, *_ in columns or ()}
        # Equal values are spelled equally, whatever type a file has them in.
        connection.create_function("canonical", canonical, ["VARCHAR"], "VARCHAR", type="arrow")
        row = ", ".join(
            f"canonical({text})" if kind == "json" else text
            for name, kind in KEPT.items()
            for text in [spelled(name, kind, types.get(name))]
        )
        row_id = "_dlt_id" if "_dlt_id" in types else KEY
        load_id = "_dlt_load_id" if "_dlt_load_id" in types else "1"
        query = f"""
            SELECT count(*), md5(string_agg(digest, '' ORDER BY digest)),
                   count(DISTINCT row_id), count(DISTINCT load_id)
            FROM (SELECT md5(to_json([{row}])::VARCHAR) AS digest,
                         {row_id} AS row_id, {load_id} AS load_id
                  FROM {source})
        """
        found = connection.execute(query, given).fetchone()
    assert found is not None
    rows, digest, row_ids, loads = found
    size = sum(file.stat().st_size for file in files)
    return Contents(rows, digest, row_ids, loads, len(files), size)


def spelled(name: str, kind: Kind, type_: str | None = "VARCHAR") -> str:
    """SQL for the text of a column of this type; None for a column that no file has."""
    if type_ is None:
        return "NULL::VARCHAR"
    column = f'"{name}"'
    match kind:
        case "integer":
            return f"{column}::BIGINT::VARCHAR"
        case "number":
            return f"{column}::DOUBLE::VARCHAR"
        case "boolean":
            return f"{column}::BOOLEAN::VARCHAR"
        case "date-time":
            return f"epoch_us({column}::TIMESTAMPTZ)::VARCHAR"
        case "date":
            return f"{column}::DATE::VARCHAR"
        case "json":
            text = f"json({column})" if type_ in ("VARCHAR", "JSON") else f"to_json({column})"
            return f"{text}::VARCHAR"
        case "text":
            return f"{column}::VARCHAR"


def canonical(texts: Any) -> Any:
    """JSON texts with members in order, and with 1.0 as 1: some write them otherwise."""
    import pyarrow as pa

    encoded = texts.combine_chunks().dictionary_encode()
    found = [_canonical(text) for text in encoded.dictionary.to_pylist()]
    return pa.array(found, pa.string()).take(encoded.indices)


@lru_cache(8_192)
def _canonical(text: str) -> str:
    return json.dumps(json.loads(text, parse_float=_number), sort_keys=True)


def _number(text: str) -> float | int:
    number = float(text)
    return int(number) if number.is_integer() else number


def fetched(prefix: str, folder: Path) -> Path:
    """The files below a prefix of the bucket, in `folder`."""
    from obstore.store import S3Store

    url = urlsplit(prefix)
    bucket = S3Store(
        url.netloc,
        endpoint=f"http://{os.environ['S3_ENDPOINT']}",
        access_key_id=os.environ["S3_ACCESS_KEY_ID"],
        secret_access_key=os.environ["S3_SECRET_ACCESS_KEY"],
        region="us-east-1",
        client_options={"allow_http": True},
    )
    for found in bucket.list(url.path.strip("/")):
        for number, entry in enumerate(found):
            if entry["path"].endswith(".parquet"):
                name = f"{number}-{Path(entry['path']).name}"
                (folder / name).write_bytes(bucket.get(entry["path"]).bytes())
    return folder


def main() -> None:
    url = urlsplit(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="contents-") as name:
        folder = (
            Path(unquote(url.path)) if url.scheme == "file" else fetched(sys.argv[1], Path(name))
        )
        print(json.dumps(look(folder).__dict__))


if __name__ == "__main__":
    main()
