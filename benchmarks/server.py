"""The API of the tests in a process of its own, its pages encoded before any clock runs."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.process import REPOSITORY
from benchmarks.recorded import RecordedPages
from benchmarks.records import FIELDS, GENERATED, PAGE_SIZE
from tests.servers.api import BENCH_RECORDS, HOST, Bench, serve_api

_ID = re.compile(rb'"id":(\d+),"uuid"')
_NO_ROWS = b'{"data":[]}'


@dataclass(frozen=True)
class RunningApi:
    env: dict[str, str]


@contextmanager
def serve(
    records: int,
    delay: float = 0.0,
    page_size: int = PAGE_SIZE,
    host: str = HOST,
    *,
    body: str = GENERATED,
    is_pretty: bool = False,
) -> Iterator[RunningApi]:
    """Serve so many records, each page after `delay` seconds, until the block ends.

    Pages of `page_size` are encoded before it begins.
    """
    options = ["--delay", str(delay), "--page-size", str(page_size), "--host", host]
    options += ["--body", body, *(["--pretty"] if is_pretty else [])]
    command = [sys.executable, "-m", "benchmarks.server", str(records), *options]
    # The server ends when its standard input does, so it outlives no runner, however that ends.
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        ready = process.stdout.readline()
        if not ready:
            raise RuntimeError("the API server did not start; its output is above")
        try:
            yield RunningApi(json.loads(ready))
        finally:
            process.stdin.close()


class Records(Bench):
    """The first `count` records; past BENCH_RECORDS they come again, with ids that go on."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count

    def prepare(self, limit: int = PAGE_SIZE) -> None:
        for offset in range(0, min(self._count, BENCH_RECORDS), limit):
            self.page(limit, offset)

    def page(self, limit: int, offset: int) -> bytes:
        start = offset % BENCH_RECORDS
        rows = min(limit, self._count - offset, BENCH_RECORDS - start)
        if rows <= 0:
            return _NO_ROWS
        page = super().page(rows, start)
        return page if start == offset else _with_ids_above(page, offset - start)


def _with_ids_above(page: bytes, base: int) -> bytes:
    return _ID.sub(lambda found: b'"id":%d,"uuid"' % (int(found[1]) + base), page)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("records", type=int)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--page-size", type=int, default=PAGE_SIZE)
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--body", choices=FIELDS, default=GENERATED)
    parser.add_argument("--pretty", action="store_true")
    options = parser.parse_args()
    with serve_api(host=options.host) as api:
        api.bench = (
            Records(options.records)
            if options.body == GENERATED
            else RecordedPages(options.body, options.records, is_pretty=options.pretty)
        )
        api.bench.prepare(options.page_size)
        api.delay = options.delay
        print(json.dumps(api.env()), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
