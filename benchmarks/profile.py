"""What takes the time of a run: `python -m benchmarks.profile` writes benchmarks/PROFILE.md.

Measures each stage alone, over the same pages, and whole runs: CPU seconds, the best of a few.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.json

from benchmarks import machine
from benchmarks.contenders import DICTIONARY, KIT
from benchmarks.contests import SMALL_PAGE
from benchmarks.marks import STREAMS
from benchmarks.process import measure
from benchmarks.programs.api import bodies
from benchmarks.records import KEPT, KEY, PAGE_SIZE, PAGE_SIZE_VARIABLE, RECORDS, STREAM
from benchmarks.report import table
from benchmarks.server import serve
from benchmarks.workspace import Workspace, set_up
from landing.catalog.files import read_config
from landing.catalog.stream_config import StreamConfig
from landing.catalog.workspace import find_workspace
from landing.columns.conversion import Columns
from landing.columns.json_numbers import loses_digits
from landing.extraction.row_versions import RowVersions
from landing.extraction.tuning import tune_process
from landing.http import JsonPage
from landing.zone.lineage import with_lineage
from landing.zone.parts import PartWriter

PROFILE = Path(__file__).parent / "PROFILE.md"
ROUNDS = 3
PAGES_A_BATCH = 5
LOAD_ID = "1700000000.000000"
SHARED = ("fixed", "download", "keys and lineage")
IMPORTS = "imports besides dlt"
ONE_STREAM = "one stream"
ALL_STREAMS = "streams side by side"
A_PAGE = "a page, besides its records, ms"
A_REQUEST = "of that, the request, ms"
SMALL = (IMPORTS, "fixed", ONE_STREAM)
Least: TypeAlias = Callable[[Callable[[], float]], float]
_SOURCES = (DICTIONARY.source, KIT.source)
ARROW = "Arrow's reader, in parallel"
LONG = "search for long decimals, in parallel"
REQUESTS = "requests alone, small pages"
PLAIN = [name for name, kind in KEPT.items() if kind != "json"]
FEW = (4, 8, 12, len(PLAIN))
_FEW_COLUMNS = (("bytes a value", ".0f"), ("decoded", ".2f"), ("read", ".2f"))

PAGES = f"""\
## The fixed cost of a page

CPU seconds of whole runs without `import dlt`, with the same records in pages of {SMALL_PAGE}."""

HOW_TO_READ_PAGES = """\
*a page, besides its records* is the difference of the two runs for each page that the second has
more: the request and the answer on the client's side, the cursor, and what is done once a page.
*of that, the request* is the same difference for a script that requests the pages with `requests`
and discards them. The processor time of the API's process is not included."""

MANY_STREAMS = f"""\
## Small runs and many streams

CPU seconds without `import dlt`, for pages of {SMALL_PAGE} records of an API that answers at once;
as many as in the target of 20 streams."""

HOW_TO_READ_SMALL = """\
- *imports besides dlt* are pyarrow, numpy and this project.
- *fixed* is these imports and a run that finds nothing new, as above.
- Streams that run in parallel share one interpreter lock, so their work takes turns, except for
  the kernel's part of their requests. `--all` can't be faster than that, however short the waits
  are. With `--processes` each process has a lock, but also a login and a session, and some APIs end
  a session when the same user logs in again."""

HOW_TO_READ_FEW = """\
CPU seconds for the same pages if only that many plain fields are kept. Arrow's reader doesn't hold
the interpreter lock, so its seconds cost less. It is used for pages with up to 50 bytes a value."""

HOW_TO_READ = """\
- *fixed* is a run that finds nothing new, without `import dlt`: the start of Python, other
  imports, the lease and the state.
- Stages that hold the interpreter lock take turns, however many threads there are: while one page
  is decoded, no other page is converted to columns. *in turn* is the sum of these stages, about
  the time that this work takes in one process. Arrow's reader, the search for long decimals, the
  writing of parquet and the kernel's part of the download run in parallel to it.
- *Arrow's reader* reads the fields of a page that are not nested from its bytes, with times as
  text, in several threads, and does not hold the lock. A regular expression that Arrow applies to
  the page finds decimals that a double can't hold. Neither is included in *columns* here. The
  decoder only finds the bytes of nested fields. They land as they are if decoding and encoding
  them would not change them, which another regular expression made from the field says.
- *whole run* takes longer than its stages, because of the cursor, of pages that pass from thread to
  thread, and of caches and memory that the threads share with the API's process."""


TRIED = """\
## What was tried, and what remains

- A stream of dictionaries has to make real dictionaries. Most of their cost is new memory and cold
  caches: decoding takes a third of the time if its result is discarded at once. Decoding, columns
  and freeing hold the lock. Another decoder, arrays with a given type, conversion to structs,
  smaller batches, fewer pages ahead and another allocator for Python's objects saved nothing.
- DuckDB's `json_transform_strict` reads all fields of a page in one pass, without the lock. It
  takes 1.5 as 2 for an integer, "5" and true as numbers, 5 as text, and 1e400 as infinite, and
  needs the text of each value beside it to find these. Arrow's reader with the bytes of nested
  fields needs no such second pass, and no further package.
- Records are counted in a pass of their own, where a page arrives. It is a small part of a run.
- A client of the kit keeps two cores busy, so that only less work would make it faster. The start
  of Python and the imports are in sequence, and alone take a quarter of the time that the target
  allows. Searching the values instead of the text for long decimals, by numpy or Arrow, took as
  long as the regular expression, and so did decoding decimals as text.
- Small pages are joined before they are converted. What remains of a page is mostly its request,
  of which the target would allow half, with any client that uses `requests`.
- With 50 ms a page in sequence, a page of dictionaries has to be decoded before the next one is
  requested, which takes longer than the target allows besides the start and the last batch. With
  eight requests in progress, the waits take 0.11 of the sequential time, and the start, the pages'
  decoding and the last batch the rest.
- The work of 20 streams takes turns, so a page sometimes waits for the pages of other streams. For
  several streams pandas is imported as before, since dlt fails if one of their threads has imported
  it only in part.
- pyarrow imports pandas with the first array, where it is installed. A run of one stream keeps it
  from that. Freed memory is returned before a load is published, since its files, which are mapped
  while they are uploaded, count as memory."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--streams", type=int, default=STREAMS)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="other numbers only print")
    options = parser.parse_args()
    records, streams, rounds = options.records, options.streams, options.rounds
    text = _markdown(records, streams, rounds, _measured(records, streams, rounds))
    if (records, streams, rounds) == (RECORDS, STREAMS, ROUNDS):
        PROFILE.write_text(text)
    print(text)


def _measured(records: int, streams: int, rounds: int) -> dict[str, float]:
    """Seconds by stage; those of one kind of stream have its source before a colon."""
    least = partial(_least, rounds)
    with tempfile.TemporaryDirectory(prefix="profile-") as name, serve(records) as api:
        os.environ.update(api.env)
        folder = Path(name)
        workspaces = {source: set_up(folder / source, source, api.env) for source in _SOURCES}
        zone = {**api.env, "DLT_BUCKET_URL": (folder / "zone").as_uri()}
        nothing_new = partial(_cpu, workspaces[DICTIONARY.source], zone, "orders")
        nothing_new()
        import_dlt = least(lambda: measure("import_dlt", env={}).cpu_seconds)
        seconds = {"fixed": least(nothing_new) - import_dlt}
        seconds[IMPORTS] = least(lambda: measure("import_landing", env={}).cpu_seconds) - import_dlt
        for source, workspace in workspaces.items():
            run = partial(_landed, workspace, api.env, folder, STREAM)
            seconds[f"{source}: whole run"] = least(run) - import_dlt
        config = read_config(find_workspace(workspaces[KIT.source].scripts), KIT.source, STREAM)
        together = _many_streams(records, streams, folder, least)
        seconds |= {name: each - import_dlt for name, each in together.items()}
        small = _small_pages(workspaces, records, folder, least)
        seconds |= {n: each - (0 if n == REQUESTS else import_dlt) for n, each in small.items()}
        contents = list(bodies())
        stages = _stages(config, contents, folder) | _few_fields(config, contents)
        tune_process()
        seconds |= {name: least(partial(_timed, stage)) for name, stage in stages.items()}
        seconds["kit: columns"] -= seconds[ARROW] + seconds[LONG]
        seconds |= {_bytes_of(count): _bytes_a_value(contents, count) for count in FEW}
        return seconds


def _small_pages(
    workspaces: Mapping[str, Workspace], records: int, folder: Path, least: Least
) -> dict[str, float]:
    with serve(records, page_size=SMALL_PAGE) as api:
        env = {**api.env, PAGE_SIZE_VARIABLE: str(SMALL_PAGE)}
        seconds = {
            f"{source}: small pages": least(partial(_landed, workspace, env, folder, STREAM))
            for source, workspace in workspaces.items()
        }
        large_pages = {name: os.environ[name] for name in api.env}
        os.environ.update(api.env)
        seconds[REQUESTS] = least(partial(_timed, lambda: list(bodies(SMALL_PAGE))))
        os.environ.update(large_pages)
        return seconds


def _many_streams(records: int, streams: int, folder: Path, least: Least) -> dict[str, float]:
    """As in the mark of many streams, but without its API's delay."""
    with serve(max(SMALL_PAGE, records * SMALL_PAGE // PAGE_SIZE), page_size=SMALL_PAGE) as api:
        workspace = set_up(folder / "twenty", "twenty", api.env, streams)
        runs = {
            ONE_STREAM: ("bench_01",),
            ALL_STREAMS: ("--all", "--workers", str(streams)),
        }
        return {
            name: least(partial(_landed, workspace, api.env, folder, *words))
            for name, words in runs.items()
        }


def _landed(workspace: Workspace, env: Mapping[str, str], folder: Path, *words: str) -> float:
    with tempfile.TemporaryDirectory(dir=folder) as output:
        return _cpu(workspace, {**env, "DLT_BUCKET_URL": Path(output).as_uri()}, *words)


def _cpu(workspace: Workspace, env: Mapping[str, str], *words: str) -> float:
    return workspace.run(env, *words).cpu_seconds


def _least(rounds: int, run: Callable[[], float]) -> float:
    return min(run() for _ in range(rounds))


def _timed(stage: Callable[[], Any]) -> float:
    started = time.process_time()
    stage()
    return time.process_time() - started


def _spans(contents: list[bytes]) -> list[slice]:
    return [slice(n, n + PAGES_A_BATCH) for n in range(0, len(contents), PAGES_A_BATCH)]


def _stages(
    config: StreamConfig, contents: list[bytes], folder: Path
) -> dict[str, Callable[[], Any]]:
    columns = Columns(config.fields)
    spans = _spans(contents)
    pages = [JsonPage(content, "data") for content in contents]
    rows = [[row for page in pages[span] for row in page.rows()] for span in spans]
    tables = [columns.from_pages(pages[span]).table for span in spans]

    def decode_typed() -> None:
        for content in contents:
            JsonPage(content, "data")

    def decode() -> None:
        for content in contents:
            msgspec.json.decode(content.decode())

    def lineage() -> list[pa.Table]:
        row_versions = RowVersions(LOAD_ID, (KEY,))
        return [
            with_lineage(piece, s) for each in tables for s, piece in row_versions.versioned(each)
        ]

    def parquet() -> None:
        writer = PartWriter(folder, with_lineage(tables[0], LOAD_ID).schema, 2**40)
        for each in tables:
            list(writer.write(with_lineage(each, LOAD_ID)))
        list(writer.close())

    return {
        "download": lambda: list(bodies()),
        "kit: decode": decode_typed,
        "kit: columns": lambda: [columns.from_pages(pages[span]) for span in spans],
        "dictionary: decode": decode,
        "dictionary: columns": lambda: [columns.from_rows(batch) for batch in rows],
        "keys and lineage": lineage,
        "parquet": parquet,
        ARROW: partial(_read_with_arrow, contents, columns.schema),
        LONG: lambda: any(map(loses_digits, contents)),
    }


def _few_fields(config: StreamConfig, contents: list[bytes]) -> dict[str, Callable[[], Any]]:
    stages: dict[str, Callable[[], Any]] = {}
    for count in FEW:
        columns = Columns({name: config.fields[name] for name in PLAIN[:count]})
        stages[f"{count} decoded"] = partial(_decoded, contents, columns)
        stages[f"{count} read"] = partial(_read_with_arrow, contents, columns.schema)
    return stages


def _decoded(contents: list[bytes], columns: Columns) -> None:
    for span in _spans(contents):
        pages = [JsonPage(content, "data") for content in contents[span]]
        columns.typed(pages)


def _bytes_of(count: int) -> str:
    return f"{count} bytes a value"


def _bytes_a_value(contents: list[bytes], count: int) -> float:
    records = sum(len(JsonPage(content, "data")) for content in contents)
    return sum(map(len, contents)) / records / count


def _read_with_arrow(contents: list[bytes], schema: pa.Schema) -> None:
    fields = [field for field in schema if field.name in PLAIN]
    record = pa.struct(
        [(f.name, pa.string() if pa.types.is_temporal(f.type) else f.type) for f in fields]
    )
    parse = pa.json.ParseOptions(
        explicit_schema=pa.schema([("data", pa.list_(record))]), unexpected_field_behavior="ignore"
    )
    for span in _spans(contents):
        text = b"\n".join(contents[span])
        block = max(map(len, contents[span])) + 1
        read = pa.json.ReadOptions(use_threads=True, block_size=block)
        pa.json.read_json(io.BytesIO(text), read, parse)


def _markdown(records: int, streams: int, rounds: int, seconds: Mapping[str, float]) -> str:
    rows = [(name, *[f"{seconds[name]:.2f}"] * 2) for name in SHARED]
    for stage in ("decode", "columns"):
        rows.append((stage, *(f"{seconds[f'{s}: {stage}']:.2f}" for s in _SOURCES)))
    in_turn = {
        s: sum(seconds[n] for n in (*SHARED, f"{s}: decode", f"{s}: columns")) for s in _SOURCES
    }
    rows.append(("**in turn**", *(f"{in_turn[s]:.2f}" for s in _SOURCES)))
    rows += [(stage, "", f"{seconds[stage]:.2f}") for stage in (ARROW, LONG)]
    rows.append(("parquet, in parallel", *[f"{seconds['parquet']:.2f}"] * 2))
    rows.append(("**whole run**", *(f"{seconds[f'{s}: whole run']:.2f}" for s in _SOURCES)))
    few = [
        (f"{count}", *(f"{seconds[f'{count} {what}']:{form}}" for what, form in _FEW_COLUMNS))
        for count in FEW
    ]
    small = [(name, f"{seconds[name]:.2f}") for name in SMALL]
    more_pages = max(1, records // SMALL_PAGE - records // PAGE_SIZE)
    large = {s: seconds[f"{s}: whole run"] for s in _SOURCES}
    short = {s: seconds[f"{s}: small pages"] for s in _SOURCES}
    each = {s: (short[s] - large[s]) / more_pages * 1000 for s in _SOURCES}
    request = (seconds[REQUESTS] - seconds["download"]) / more_pages * 1000
    pages = [
        (name, *(f"{found[s]:.2f}" for s in _SOURCES))
        for name, found in (
            (f"pages of {PAGE_SIZE:,}, s", large),
            (f"pages of {SMALL_PAGE}, s", short),
            (A_PAGE, each),
        )
    ]
    pages.append((A_REQUEST, *[f"{request:.2f}"] * 2))
    small.append((f"{streams} {ALL_STREAMS}", f"{seconds[ALL_STREAMS]:.2f}"))
    return (
        "\n\n".join(
            [
                "# Profile",
                f"`python -m benchmarks.profile`: CPU seconds for {records:,} records, "
                f"{len(KEPT)} of 25 fields kept; the best of {rounds}.",
                f"{machine.description()}. Load of the machine: {machine.load()}.",
                table(("stage", "dictionary stream", "client of the kit"), rows),
                HOW_TO_READ,
                "## Arrow or the decoder",
                table(("plain fields kept", "bytes a value", "decoded", "read by Arrow"), few),
                HOW_TO_READ_FEW,
                PAGES,
                table(("whole run", "dictionary stream", "client of the kit"), pages),
                HOW_TO_READ_PAGES,
                MANY_STREAMS,
                table(("run", "seconds"), small),
                HOW_TO_READ_SMALL,
                TRIED,
            ]
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
