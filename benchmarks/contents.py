"""What a contender landed, as a digest that does not depend on how it wrote it.

A program of its own, since it needs DuckDB: `python -m benchmarks.contents FOLDER`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.process import REPOSITORY, ProgramFailed
from benchmarks.records import KEPT, Kind


@dataclass(frozen=True)
class Contents:
    rows: int
    digest: str
    """Over the sorted rows, in the kept fields; not over lineage, which differs by nature."""
    row_ids: int
    loads: int
    files: int
    bytes: int


def contents_of(folder: Path) -> Contents:
    """Look at the parquet files below `folder`, in another process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.contents", str(folder)],
        cwd=REPOSITORY,
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
    # Equal values are spelled equally, whatever type a file has them in.
    row = ", ".join(spelled(name, kind) for name, kind in KEPT.items())
    query = f"""
        SELECT count(*), md5(string_agg(digest, '' ORDER BY digest)),
               count(DISTINCT _dlt_id), count(DISTINCT _dlt_load_id)
        FROM (SELECT md5(to_json([{row}])::VARCHAR) AS digest, _dlt_id, _dlt_load_id
              FROM read_parquet($files, hive_partitioning = false))
    """
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(query, {"files": [str(file) for file in files]}).fetchone()
    assert found is not None
    rows, digest, row_ids, loads = found
    size = sum(file.stat().st_size for file in files)
    return Contents(rows, digest, row_ids, loads, len(files), size)


def spelled(name: str, kind: Kind) -> str:
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
            return f"json({column})::VARCHAR"
        case "text":
            return f"{column}::VARCHAR"


if __name__ == "__main__":
    print(json.dumps(look(Path(sys.argv[1])).__dict__))
