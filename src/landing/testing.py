"""The checks of `landing check` as pytest tests.

    from landing.testing import source_checks

    test_shop = source_checks("shop")

makes one test per stream and check. The tests replay the source's recording if there is one, and
call its API otherwise. `test_workspace = workspace_checks()` tests what needs no API.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from landing.catalog.files import configured_streams, read_config
from landing.catalog.workspace import Workspace, find_workspace, load_env_file
from landing.errors import LandingError, SettingsError
from landing.extraction.sources import load_source
from landing.operations.checks import CHECKS, CONNECTS, CheckResult, Limits, Suite
from landing.operations.recordings import Recording


def source_checks(
    source: str, *streams: str, max_rows: int = 1_000, may_be_empty: Collection[str] = ()
) -> Callable[..., None]:
    """Tests of a source in the workspace that contains the calling file.

    Tests the named streams, or all: those of the recording if there is one, otherwise those that
    the source has. A source that gets its streams from its API calls it during collection.
    """
    file = Path(inspect.stack()[1].filename)
    checked = _Checked(find_workspace(file.parent), source, streams, max_rows, may_be_empty)
    cases = list(checked.cases())
    names = [f"{stream}-{check}" for stream, check in cases]

    @pytest.mark.parametrize(("stream", "check"), cases, ids=names)
    def test_source(stream: str, check: str) -> None:
        result = checked.result(stream, check)
        if result.status == "failed":
            pytest.fail(result.detail, pytrace=False)
        if result.status == "skipped":
            pytest.skip(result.detail)

    return test_source


def workspace_checks() -> Callable[..., None]:
    """Tests that each source imports, and that each stream config is valid."""
    workspace = find_workspace(Path(inspect.stack()[1].filename).parent)
    sources = workspace.source_names()
    cases = [*sources]
    for source in sources:
        cases += [f"{source}/{stream}" for stream in configured_streams(workspace, source)]

    @pytest.mark.parametrize("what", cases)
    def test_workspace(what: str) -> None:
        source, _, stream = what.partition("/")
        try:
            if not stream:
                load_source(workspace, source)
                return
            mistake = read_config(workspace, source, stream).schedule_mistake
        except LandingError as error:
            pytest.fail(str(error), pytrace=False)
        if mistake is not None:
            pytest.fail(f"{what}: {mistake}", pytrace=False)

    return test_workspace


@dataclass(frozen=True)
class _Checked:
    """A source under test. The checks of a stream share what one of them has read."""

    workspace: Workspace
    source: str
    streams: Sequence[str]
    max_rows: int
    may_be_empty: Collection[str]

    @cached_property
    def _recording(self) -> Recording:
        return Recording(self.workspace, self.source)

    def cases(self) -> Iterator[tuple[str, str]]:
        for stream in self.streams or self._known_streams():
            yield stream, CONNECTS
            for check in CHECKS:
                yield stream, check

    def result(self, stream: str, check: str) -> CheckResult:
        try:
            with self._api():
                if check == CONNECTS:
                    return self._suite.connects(stream)
                return self._suite.check(stream, check)
        except SettingsError as error:
            if self._recording.exists:
                pytest.fail(
                    f"{error}; the recording in {self._recording.shown} does not have it either: "
                    "record again with --record",
                    pytrace=False,
                )
            pytest.skip(f"{error}; and nothing is recorded in {self._recording.shown}")
        except LandingError as error:
            pytest.fail(str(error), pytrace=False)

    def _known_streams(self) -> list[str]:
        if self._recording.exists:
            return self._recording.facts().streams
        load_env_file(self.workspace)
        source = load_source(self.workspace, self.source)
        for error in source.failed.values():
            raise error
        return list(source.streams())

    @cached_property
    def _suite(self) -> Suite:
        max_rows = self.max_rows
        if self._recording.exists:
            max_rows = self._recording.facts().max_rows
        source = load_source(self.workspace, self.source)
        return Suite(source, Limits(max_rows), self.may_be_empty)

    @contextmanager
    def _api(self) -> Iterator[None]:
        with self._recording.replayed() if self._recording.exists else nullcontext():
            yield
