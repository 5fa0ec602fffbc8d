"""All contenders in turn, round after round, each checked for what it brought."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from benchmarks.contenders import SINGER_TARGET, Contender
from benchmarks.contents import Contents, contents_of
from benchmarks.contests import Contest
from benchmarks.process import Measurement, ProgramFailed, measure
from benchmarks.records import BODY_VARIABLE, PAGE_SIZE_VARIABLE, STREAM
from benchmarks.server import serve
from benchmarks.workspace import Workspace, set_up

Say = Callable[[str], None]
_MOST = 300


@dataclass
class Outcome:
    contender: Contender
    measurements: list[Measurement] = field(default_factory=list)
    contents: list[Contents] = field(default_factory=list)
    """Of each round, for those that land files."""
    messages: int | None = None
    """Records written to standard output, for those that land nothing."""
    failed: str = ""
    """Why a peer has no more measurements."""

    def median(self, of: Callable[[Measurement], float]) -> float:
        return statistics.median(map(of, self.measurements))

    @property
    def seconds(self) -> float:
        return self.median(lambda m: m.seconds)

    @property
    def spread(self) -> tuple[float, float]:
        times = [m.seconds for m in self.measurements]
        return min(times), max(times)


class Entry:
    """A contender with a folder of its own, ready to start any number of times."""

    def __init__(self, contender: Contender, env: Mapping[str, str], folder: Path) -> None:
        self.contender = contender
        self.folder = folder
        self.env = env
        self._workspace: Workspace | None = None
        folder.mkdir(parents=True)
        if contender.source:
            self._workspace = set_up(folder, contender.source, env)

    def run(self, url: str) -> Measurement:
        """One measured run that lands below `url`, where nothing is yet."""
        if self._workspace is not None:
            return self._workspace.run({**self.env, "DLT_BUCKET_URL": url}, STREAM)
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            return self._measured(url, scratch)

    def count_messages(self) -> int:
        """Run once, unmeasured, and count the records on standard output."""
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            messages = Path(scratch) / "messages"
            with messages.open("wb") as stdout:
                self._measured(Path(scratch).as_uri(), scratch, stdout)
            with messages.open("rb") as lines:
                return sum(line.startswith(b'{"type":"RECORD"') for line in lines)

    def _measured(
        self, url: str, scratch: str, output: int | IO[bytes] = subprocess.DEVNULL
    ) -> Measurement:
        own = {
            "BENCH_OUTPUT": url,
            "BENCH_SCRATCH": scratch,
            "BENCH_TARGET": str(SINGER_TARGET),
        }
        return measure(
            self.contender.program,
            env={**self.env, **own},
            python=self.contender.python,
            output=output,
        )


def race(contest: Contest, folder: Path, say: Say) -> list[Outcome]:
    """Raises ProgramFailed if one of our own does; the others go on without a peer that fails."""
    with ExitStack() as stack:
        api = stack.enter_context(
            serve(
                contest.records,
                page_size=contest.page_size,
                body=contest.body,
                is_pretty=contest.is_pretty,
            )
        )
        env = {
            **api.env,
            PAGE_SIZE_VARIABLE: str(contest.page_size),
            BODY_VARIABLE: contest.body,
        }
        bucket = ""
        if contest.is_in_bucket:
            from demo.servers import seaweedfs  # not before a race whose memory it would raise

            s3 = stack.enter_context(seaweedfs(folder / "seaweedfs"))
            env |= s3.env()
            bucket = s3.bucket
        entries = [Entry(each, env, folder / each.name) for each in contest.contenders]
        outcomes = [Outcome(contender) for contender in contest.contenders]
        pairs = list(zip(entries, outcomes, strict=True))
        for number in range(1, contest.rounds + 1):
            for entry, outcome in pairs:
                if outcome.failed or number > outcome.contender.most_rounds:
                    continue
                place = _in_bucket(bucket, entry, number) if bucket else _in_folder(entry)
                with place as url:
                    _one_round(entry, outcome, url)
                title = f"{contest.title}, round {number}: {outcome.contender.title}"
                say(f"{title}: {outcome.failed or f'{outcome.measurements[-1].seconds:.2f} s'}")
    return outcomes


def _one_round(entry: Entry, outcome: Outcome, url: str) -> None:
    try:
        if outcome.contender.output == "messages" and outcome.messages is None:
            outcome.messages = entry.count_messages()
        outcome.measurements.append(entry.run(url))
    except ProgramFailed as error:
        if not outcome.contender.package:
            raise
        lines = str(error).splitlines()
        outcome.failed = f"{lines[0]}: {lines[-1]}"[:_MOST]
    else:
        if outcome.contender.output == "parquet":
            outcome.contents.append(contents_of(url, entry.env))


@contextmanager
def _in_folder(entry: Entry) -> Iterator[str]:
    with tempfile.TemporaryDirectory(dir=entry.folder) as folder:
        yield Path(folder).as_uri()


@contextmanager
def _in_bucket(bucket: str, entry: Entry, number: int) -> Iterator[str]:
    yield f"s3://{bucket}/{entry.contender.name}-{number}"


def differences(outcomes: Sequence[Outcome], records: int) -> list[str]:
    """What is not as it should be: every record once, and the same values from everyone."""
    found: list[str] = []
    digests: dict[str, str] = {}
    for outcome in outcomes:
        title = outcome.contender.title
        if outcome.messages not in (None, records):
            found.append(f"{title}: {outcome.messages} records instead of {records}")
        for contents in outcome.contents:
            if (contents.rows, contents.row_ids, contents.loads) != (records, records, 1):
                found.append(
                    f"{title}: {contents.rows} rows with {contents.row_ids} row ids and "
                    f"{contents.loads} load ids instead of {records}, {records} and 1"
                )
            digests.setdefault(contents.digest, title)
    if len(digests) > 1:
        found.append(f"the values differ between {' and '.join(digests.values())}")
    return found
