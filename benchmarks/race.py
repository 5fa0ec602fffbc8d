"""All contenders in turn, round after round, each checked for what it brought."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.contenders import Contender
from benchmarks.contents import Contents, contents_of
from benchmarks.process import Measurement, measure
from benchmarks.records import STREAM
from benchmarks.server import serve
from benchmarks.workspace import Workspace, set_up

Say = Callable[[str], None]


@dataclass
class Outcome:
    contender: Contender
    measurements: list[Measurement] = field(default_factory=list)
    contents: list[Contents] = field(default_factory=list)
    """Of each round, for those that land files."""
    messages: int | None = None
    """Records written to standard output, for those that land nothing."""

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

    def __init__(self, contender: Contender, api: Mapping[str, str], folder: Path) -> None:
        self.contender = contender
        self.folder = folder
        self._api = api
        self._workspace: Workspace | None = None
        folder.mkdir(parents=True)
        if contender.source:
            self._workspace = set_up(folder, contender.source, api)

    def run(self, output: Path) -> Measurement:
        """One measured run that lands below `output`, a new folder."""
        output.mkdir()
        if self._workspace is not None:
            env = {**self._api, "DLT_BUCKET_URL": output.as_uri()}
            return self._workspace.run(env, STREAM)
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            return measure(
                self.contender.program,
                env=self._env(output, scratch),
                python=self.contender.python,
            )

    def count_messages(self) -> int:
        """Run once, unmeasured, and count the records on standard output."""
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            messages = Path(scratch) / "messages"
            with messages.open("wb") as stdout:
                measure(
                    self.contender.program,
                    env=self._env(Path(scratch), scratch),
                    python=self.contender.python,
                    output=stdout,
                )
            with messages.open("rb") as lines:
                return sum(line.startswith(b'{"type":"RECORD"') for line in lines)

    def _env(self, output: Path, scratch: str) -> dict[str, str]:
        return {**self._api, "BENCH_OUTPUT": str(output), "BENCH_SCRATCH": scratch}


def race(
    contenders: Sequence[Contender], records: int, rounds: int, folder: Path, say: Say
) -> list[Outcome]:
    """Raises ProgramFailed if a contender does."""
    with serve(records) as api:
        entries = [Entry(each, api.env, folder / each.name) for each in contenders]
        outcomes = [Outcome(contender) for contender in contenders]
        pairs = list(zip(entries, outcomes, strict=True))
        for entry, outcome in pairs:
            if outcome.contender.output == "messages":
                outcome.messages = entry.count_messages()
        for number in range(1, rounds + 1):
            for entry, outcome in pairs:
                _one_round(entry, outcome)
                seconds = outcome.measurements[-1].seconds
                say(f"round {number}: {outcome.contender.title}: {seconds:.2f} s")
    return outcomes


def _one_round(entry: Entry, outcome: Outcome) -> None:
    with tempfile.TemporaryDirectory(dir=entry.folder) as folder:
        output = Path(folder) / "output"
        outcome.measurements.append(entry.run(output))
        if outcome.contender.output == "parquet":
            outcome.contents.append(contents_of(output))


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
