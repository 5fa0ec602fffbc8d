"""What the table of contenders does not show: small runs, memory, a slow API, large files."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contenders import (
    DICTIONARY,
    DOWNLOAD,
    FLOOR,
    IN_FLIGHT,
    KIT,
    PLAIN_DLT,
    PLAIN_PYTHON,
    Contender,
)
from benchmarks.contests import SMALL_PAGE
from benchmarks.mark import Mark, Setting
from benchmarks.process import Measurement, measure
from benchmarks.race import Entry, Outcome
from benchmarks.records import PAGE_SIZE, PAGE_SIZE_VARIABLE
from benchmarks.scale import scale
from benchmarks.server import serve
from benchmarks.workspace import set_up
from landing.kubernetes.manifests import WORKERS, requested_mib

if TYPE_CHECKING:
    from demo.servers import S3Server

MANY_TIMES_MORE = 5
DELAY = 0.05
STREAMS = 20
WINDOWS = 20
# Of as many as all records have, a window's; many enough to outweigh the start of a process.
SHARE_OF_PAGES = 10
TABLE_ROWS = 1_000_000
CHANGED_ROWS = 10_000
PUBLISHED_BYTES = 500_000_000
_CHUNK = 10_000_000
# What an hour brings of a quiet stream, and of a busy one.
_FEW_ROWS = 20
_ROWS = (_FEW_ROWS, 5_000)
_BARE = "import dlt"
_MB = 1_000_000
_MIB = 1024 * 1024


def speed(outcomes: Sequence[Outcome]) -> list[Mark]:
    """The marks that the race itself decides, for those of its contenders that took part."""
    seconds = {o.contender: o.seconds for o in outcomes if not o.failed}
    if not {PLAIN_DLT, FLOOR} <= seconds.keys():
        return []
    aims = (
        (DICTIONARY, "unmodified stream of dictionaries", 6, 1.0),
        (KIT, "client of the kit", 13, 0.42),
    )
    return [
        mark
        for contender, case, faster, of_floor in aims
        if contender in seconds
        for mark in _speed_of(case, seconds[contender], seconds, faster, of_floor)
    ]


def _speed_of(
    case: str, own: float, seconds: Mapping[Contender, float], faster: float, of_floor: float
) -> Iterator[Mark]:
    dlt, floor = seconds[PLAIN_DLT], seconds[FLOOR]
    yield Mark(case, f"≥ {faster:g} × plain dlt", f"{dlt / own:.1f} ×", faster * own / dlt)
    yield Mark(
        case,
        f"≤ {of_floor:g} × the floor's time",
        f"{own / floor:.2f} ×",
        own / (of_floor * floor),
    )


def nothing_new(setting: Setting) -> list[Mark]:
    from demo.servers import seaweedfs  # not before the race, whose memory it would raise

    folder = setting.folder
    is_plain = PLAIN_PYTHON.is_file()  # Arrow imports pandas where it is installed
    python = PLAIN_PYTHON if is_plain else Path(sys.executable)
    with ExitStack() as stack:
        api = stack.enter_context(serve(PAGE_SIZE))
        s3 = stack.enter_context(seaweedfs(folder / "seaweedfs"))
        workspace = replace(set_up(folder / "small", DICTIONARY.source, api.env), python=python)
        buckets = {
            "local bucket": {**api.env, "DLT_BUCKET_URL": (folder / "zone").as_uri()},
            "SeaweedFS": {**api.env, **s3.env()},
        }
        for env in buckets.values():
            workspace.run(env, "orders")
        cases = {name: partial(workspace.run, env, "orders") for name, env in buckets.items()}
        bare = partial(measure, "import_dlt", env={}, python=python)
        runs = _in_turn({_BARE: bare, **cases}, setting.rounds)
    beside = "" if is_plain or find_spec("pandas") is None else ", pandas installed"
    return [
        _above(f"nothing new, {name}{beside}", runs[_BARE], runs[name], limit)
        for name, limit in (("local bucket", 0.1), ("SeaweedFS", 0.6))
    ]


def _above(
    case: str, bare: Sequence[Measurement], runs: Sequence[Measurement], limit: float
) -> Mark:
    base, base_cpu = _median_process(bare), _median_cpu(bare)
    seconds, cpu = _median_process(runs) - base, _median_cpu(runs) - base_cpu
    return Mark(
        case,
        f"≤ `import dlt` + {limit:g} s",
        f"{base:.2f} s + {seconds:.2f} s (processor: {base_cpu:.2f} s + {cpu:.2f} s)",
        seconds / limit,
    )


def memory(setting: Setting) -> list[Mark]:
    def peak(records: int, rounds: int) -> float:
        with serve(records) as api:
            entry = Entry(DICTIONARY, api.env, setting.folder / str(records))
            return statistics.median(_run(entry).peak_bytes for _ in range(rounds))

    more = setting.records * MANY_TIMES_MORE
    few, many = peak(setting.records, setting.few_rounds), peak(more, 1)
    return [
        Mark(
            f"peak memory at {setting.records:,} records",
            "≤ 230 MB",
            f"{few / _MB:.0f} MB",
            few / (230 * _MB),
        ),
        Mark(
            f"peak memory at {more:,} records",
            f"≤ 1.1 × that at {setting.records:,}",
            f"{many / few:.2f} ×: {many / _MB:.0f} MB",
            many / (1.1 * few),
        ),
    ]


def small_pages(setting: Setting) -> list[Mark]:
    cases = {}
    with ExitStack() as stack:
        for size in (PAGE_SIZE, SMALL_PAGE):
            api = stack.enter_context(serve(setting.records, page_size=size))
            env = {**api.env, PAGE_SIZE_VARIABLE: str(size)}
            cases[str(size)] = partial(_run, Entry(KIT, env, setting.folder / str(size)))
        runs = _in_turn(cases, setting.few_rounds)
    large, small = (_median_cpu(done) for done in runs.values())
    return [
        Mark(
            f"pages of {SMALL_PAGE} records, kit",
            f"≤ 1.3 × the processor time of pages of {PAGE_SIZE:,}",
            f"{small / large:.2f} × of {large:.1f} s",
            small / (1.3 * large),
        )
    ]


def memory_of_streams(setting: Setting) -> list[Mark]:
    """Beside what `landing k8s` requests for a pod of so many."""
    marks = []
    records = max(PAGE_SIZE, setting.records // 2)
    with serve(records) as api:
        workspace = set_up(setting.folder / "workspace", "twenty", api.env)
        for count in (1, WORKERS):
            names = [f"bench_{number:02d}" for number in range(1, count + 1)]
            with tempfile.TemporaryDirectory(dir=setting.folder) as folder:
                env = {**api.env, "DLT_BUCKET_URL": Path(folder).as_uri()}
                peak = workspace.run(env, *names, "--workers", str(WORKERS)).peak_bytes
            requested = requested_mib(count)
            marks.append(
                Mark(
                    f"peak memory, {count} streams side by side of {records:,} records",
                    f"≤ {requested} MiB, a pod's request",
                    f"{peak / _MIB:.0f} MiB",
                    peak / (requested * _MIB),
                )
            )
    return marks


def latency(setting: Setting) -> list[Mark]:
    with serve(setting.records, DELAY) as api:
        cases = {
            contender.name: partial(
                _run, Entry(contender, api.env, setting.folder / contender.name)
            )
            for contender in (DOWNLOAD, DICTIONARY, KIT, IN_FLIGHT)
        }
        runs = _in_turn(cases, setting.few_rounds)
    seconds = {name: _median(done) for name, done in runs.items()}
    alone, sequential = seconds[DOWNLOAD.name], seconds[KIT.name]
    case = f"{DELAY * 1000:.0f} ms a page"
    return [
        *(
            Mark(
                f"{case}, paging in sequence, {contender.name}",
                "≤ 1.05 × the time of downloading alone",
                f"{seconds[contender.name] / alone:.2f} × of {alone:.1f} s",
                seconds[contender.name] / (1.05 * alone),
            )
            for contender in (DICTIONARY, KIT)
        ),
        Mark(
            f"{case}, eight in flight",
            "≤ 0.16 × the sequential time",
            f"{seconds[IN_FLIGHT.name] / sequential:.2f} × of {sequential:.1f} s",
            seconds[IN_FLIGHT.name] / (0.16 * sequential),
        ),
    ]


def many_streams(setting: Setting, streams: int = STREAMS) -> list[Mark]:
    records = max(SMALL_PAGE, setting.records * SMALL_PAGE // PAGE_SIZE)
    with serve(records, DELAY, SMALL_PAGE) as api:
        workspace = set_up(setting.folder / "workspace", "twenty", api.env, streams)

        def run(*words: str) -> Measurement:
            with tempfile.TemporaryDirectory(dir=setting.folder) as folder:
                return workspace.run({**api.env, "DLT_BUCKET_URL": Path(folder).as_uri()}, *words)

        cases = {
            "alone": partial(run, "bench_01"),
            "all": partial(run, "--all", "--workers", str(streams)),
        }
        runs = _in_turn(cases, setting.few_rounds)
    alone, together = _median(runs["alone"]), _median(runs["all"])
    pages = records // SMALL_PAGE
    return [
        Mark(
            f"{streams} streams of {pages} pages of {DELAY * 1000:.0f} ms each, "
            f"`--all --workers {streams}`",
            "≤ 1.15 × one of them alone",
            f"{together / alone:.2f} × of {alone:.1f} s",
            together / alone / 1.15,
        )
    ]


def processes(setting: Setting) -> list[Mark]:
    """Streams whose conversion keeps a core busy."""
    records = max(PAGE_SIZE, setting.records // 2)
    with serve(records) as api:
        workspace = set_up(setting.folder / "workspace", "dictionaries", api.env)

        def run(count: int) -> Measurement:
            with tempfile.TemporaryDirectory(dir=setting.folder) as folder:
                env = {**api.env, "DLT_BUCKET_URL": Path(folder).as_uri()}
                return workspace.run(env, "--all", "--processes", str(count))

        runs = _in_turn({str(count): partial(run, count) for count in (1, 2)}, setting.few_rounds)
    one, two = (_median_process(done) for done in runs.values())
    return [
        Mark(
            f"4 streams of {records:,} records, `--processes 2`",
            "≤ 0.75 × the time of one process with threads",
            f"{two / one:.2f} × of {one:.1f} s",
            two / one / 0.75,
        )
    ]


def backfill(setting: Setting, windows: int = WINDOWS) -> list[Mark]:
    """Windows that each ask for their pages one after the other."""
    pages = max(1, setting.records // PAGE_SIZE // SHARE_OF_PAGES)
    step = pages * SMALL_PAGE
    records = windows * step
    with serve(records, DELAY, SMALL_PAGE) as api:
        workspace = set_up(setting.folder / "workspace", "windows", api.env)

        def run(workers: int) -> Measurement:
            range_ = ("--from", "0", "--to", str(records), "--step", str(step))
            with tempfile.TemporaryDirectory(dir=setting.folder) as folder:
                env = {**api.env, "DLT_BUCKET_URL": Path(folder).as_uri()}
                return workspace.backfill(env, "bench", *range_, "--workers", str(workers))

        # Once: nearly all of it is the API's delay.
        seconds = {str(workers): run(workers).seconds for workers in (1, 2, 4)}
    case = f"a backfill of {windows} windows of {pages} pages of {DELAY * 1000:.0f} ms each"
    return [
        Mark(
            f"{case}, `--workers {workers}`",
            f"≥ {faster:g} × one worker",
            f"{seconds['1'] / seconds[workers]:.2f} × of {seconds['1']:.1f} s",
            faster * seconds[workers] / seconds["1"],
        )
        for workers, faster in (("2", 1.8), ("4", 3.4))
    ]


def publish(setting: Setting) -> list[Mark]:
    from demo.servers import seaweedfs

    file = setting.folder / "large.bin"
    with file.open("wb") as out:
        for _ in range(PUBLISHED_BYTES // _CHUNK):
            out.write(os.urandom(_CHUNK))

    def upload(how: str) -> Measurement:
        folder = setting.folder / "publish"
        try:
            with seaweedfs(folder) as s3:
                return measure("publish", [how, str(file)], env=s3.env())
        finally:
            shutil.rmtree(folder)

    runs = _in_turn({how: partial(upload, how) for how in ("boto3", "landing")}, setting.few_rounds)
    rates = {how: PUBLISHED_BYTES / _MB / _median(done) for how, done in runs.items()}
    return [
        Mark(
            f"publishing {PUBLISHED_BYTES // _MB} MB to SeaweedFS",
            "≥ 0.8 × boto3's `upload_file`",
            f"{rates['landing'] / rates['boto3']:.2f} × of {rates['boto3']:.0f} MB/s",
            0.8 * rates["boto3"] / rates["landing"],
        )
    ]


def compaction(setting: Setting, rows_of_a_file: Sequence[int] = _ROWS) -> list[Mark]:
    """Hours that bring a few rows, and a day of hours that bring many."""
    from demo.servers import seaweedfs

    few = max(24, setting.records // 400)
    with seaweedfs(setting.folder / "seaweedfs") as s3:
        return [
            _compaction(setting, s3, few if rows == _FEW_ROWS else 24, rows)
            for rows in rows_of_a_file
        ]


def _compaction(setting: Setting, s3: S3Server, files: int, rows: int) -> Mark:
    sizes: list[int] = []

    def once(how: str) -> Measurement:
        """Over files that are written anew each time."""
        prefix = f"{how}-{rows}-{len(sizes)}"
        env = {**s3.env(), "DLT_BUCKET_URL": f"s3://{s3.bucket}/{prefix}"}
        with tempfile.TemporaryFile() as told:
            measure("compaction", ["fill", str(files), str(rows)], env=env, output=told)
            told.seek(0)
            sizes.append(int(told.read()))
        return measure("compaction", [how], env=env)

    cases = {how: partial(once, how) for how in ("plain", "landing")}
    runs = _in_turn(cases, setting.few_rounds)
    own, plain = _median(runs["landing"]), _median(runs["plain"])
    peak = statistics.median(m.peak_bytes for m in runs["landing"])
    return Mark(
        f"compacting {files:,} files of {rows:,} rows on SeaweedFS, with the result compared",
        "≤ 2.5 × a plain script that doesn't compare",
        f"{own / plain:.2f} × of {plain:.1f} s: {files / own:.0f} files/s, "
        f"{sizes[-1] / _MB / own:.1f} MB/s, peak {peak / _MB:.0f} MB",
        own / (2.5 * plain),
    )


def upsert(setting: Setting, rows: int = TABLE_ROWS, changed: int = CHANGED_ROWS) -> list[Mark]:
    from demo.servers import seaweedfs

    runs: dict[str, list[Measurement]] = {"deltalake": [], "landing": []}
    for _ in range(setting.few_rounds):
        with (
            tempfile.TemporaryDirectory(dir=setting.folder) as folder,
            seaweedfs(Path(folder)) as s3,
        ):
            measure("upsert", ["prepare", str(rows), str(changed)], env=s3.env())
            for how, done in runs.items():
                done.append(measure("upsert", [how], env=s3.env()))
    alone, own = _median(runs["deltalake"]), _median(runs["landing"])
    return [
        Mark(
            f"upserting {changed:,} changed rows into a table of {rows:,} on SeaweedFS",
            "≤ 1.5 × deltalake doing the same",
            f"{own / alone:.2f} × of {alone:.1f} s",
            own / alone / 1.5,
        )
    ]


MARKS: Mapping[str, Callable[[Setting], list[Mark]]] = {
    "nothing-new": nothing_new,
    "memory": memory,
    "small-pages": small_pages,
    "memory-of-streams": memory_of_streams,
    "latency": latency,
    "many-streams": many_streams,
    "processes": processes,
    "backfill": backfill,
    "publish": publish,
    "compaction": compaction,
    "upsert": upsert,
    "scale": scale,
}


def _in_turn(
    cases: Mapping[str, Callable[[], Measurement]], rounds: int
) -> dict[str, list[Measurement]]:
    runs: dict[str, list[Measurement]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, run in cases.items():
            runs[name].append(run())
    return runs


def _run(entry: Entry) -> Measurement:
    with tempfile.TemporaryDirectory(dir=entry.folder) as folder:
        return entry.run(Path(folder).as_uri())


def _median(measurements: Sequence[Measurement]) -> float:
    return statistics.median(m.seconds for m in measurements)


def _median_process(measurements: Sequence[Measurement]) -> float:
    return statistics.median(m.process_seconds for m in measurements)


def _median_cpu(measurements: Sequence[Measurement]) -> float:
    return statistics.median(m.cpu_seconds for m in measurements)
