"""OpenLineage events of a run: one run per stream, within that of the source or of Dagster.

A thread of its own sends them in order, so that a collector that does not answer delays no stream.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlsplit

from openlineage.client import OpenLineageClient
from openlineage.client import client as client_module
from openlineage.client.constants import __version__ as client_version
from openlineage.client.event_v2 import (
    InputDataset,
    Job,
    OutputDataset,
    Run,
    RunEvent,
    RunState,
    set_producer,
)
from openlineage.client.facet_v2 import (
    JobFacet,
    RunFacet,
    documentation_job,
    error_message_run,
    job_type_job,
    nominal_time_run,
    parent_run,
    processing_engine_run,
)
from openlineage.client.uuid import generate_new_uuid

from landing import __version__, events
from landing.catalog.files import read_config
from landing.catalog.schedule import Schedule
from landing.catalog.settings import bucket_settings
from landing.catalog.stream_config import StreamConfig
from landing.catalog.workspace import Workspace
from landing.environment import variables
from landing.errors import CatalogError, LandingError, LeaseHeld, SettingsError
from landing.observe.in_time import Work
from landing.observe.lineage_facets import api_dataset, code_location, landed_dataset
from landing.observe.parent_run import ParentRun, namespace, parent_of
from landing.results import StreamResult
from landing.secrets import is_secret_name, members, redacted, register_lasting
from landing.zone.layout import StreamPaths

NAME = "OpenLineage"
PARENT, ROOT = "OPENLINEAGE_PARENT_ID", "OPENLINEAGE_ROOT_PARENT_ID"
_CREATING = threading.Lock()
_LONGEST = 2_000
"""Characters of an error's message."""


@dataclass
class _Run:
    job: str
    parent: ParentRun | None
    run_id: str = field(default_factory=lambda: str(generate_new_uuid()))
    config: StreamConfig | None = None
    hosts: Counter[str] = field(default_factory=Counter)
    """Requests by the address of the API."""
    published: int = 0
    facets: dict[str, RunFacet] = field(default_factory=dict)

    @property
    def host(self) -> str | None:
        return next((host for host, _ in self.hosts.most_common(1)), None)


class Lineage:
    """With a `parent`, as in Dagster, that one sends the events of the whole run."""

    def __init__(self, workspace: Workspace, source: str, parent: ParentRun | None) -> None:
        self._workspace = workspace
        self._source = source
        self._root = parent_of(ROOT) or parent_of(PARENT) or parent
        self._whole = None if parent is not None else _Run(source, parent_of(PARENT))
        self._parent = parent or ParentRun(source, self._whole.run_id if self._whole else "")
        self._streams: dict[str, _Run] = {}
        self._error: Exception | None = None
        self._to_send: SimpleQueue[RunEvent | None] = SimpleQueue()
        set_producer(f"urn:dlt-landing:{__version__}")
        with _explained():
            self._client = _client()
            self._location = self._code_location()
        _hide(self._client.config.transport)
        self._sending = Work(self._send_all, NAME)
        if self._whole is not None:
            self._emit(RunState.START, self._whole)

    def __call__(self, event: events.Event) -> None:
        match event:
            case events.RequestMade(stream=stream, url=url) if stream in self._streams:
                self._streams[stream].hosts[_host(url)] += 1
            case events.StreamStarted(stream=stream):
                self._started(stream, event.cron, event.timezone)
            case events.LoadPublished(stream, rows) if stream in self._streams:
                self._streams[stream].published += rows
            case events.StreamLanded(stream, result) if stream in self._streams:
                self._landed(self._streams.pop(stream), result)
            case events.StreamFailed(stream, error):
                self._failed(stream, error)
            case events.RunAborted(streams, error):
                self._aborted(streams, error)
            case events.RunEnded():
                self._close()

    def _started(self, stream: str, cron: str | None = None, timezone: str | None = None) -> _Run:
        run = _Run(f"{self._source}.{stream}", self._parent)
        with suppress(CatalogError):  # the run reports it
            run.config = read_config(self._workspace, self._source, stream)
        if cron is not None and timezone is not None:
            run.facets["nominalTime"] = _nominal_time(Schedule(cron, timezone))
        self._streams[stream] = run
        self._emit(RunState.START, run, outputs=self._outputs(run, None))
        return run

    def _landed(self, run: _Run, result: StreamResult) -> None:
        if run.config is None:
            self._emit(RunState.COMPLETE, run)
            return
        read = api_dataset(run.config, run.host)
        size, files = result.bytes, result.files
        outputs = [
            landed_dataset(run.config, result.location, read, result.rows, size=size, files=files)
        ]
        if (table := result.table) is not None:
            outputs.append(
                landed_dataset(
                    run.config, table.location, read, table.upserted, storage=table.format
                )
            )
        self._emit(RunState.COMPLETE, run, [read], outputs)

    def _failed(self, stream: str, error: Exception) -> None:
        run = self._streams.get(stream) or self._started(stream)
        del self._streams[stream]
        if not isinstance(error, LeaseHeld):  # another run in progress is no failure
            self._error = error
        run.facets["errorMessage"] = error_facet(error)
        state = RunState.ABORT if isinstance(error, LeaseHeld) else RunState.FAIL
        self._end(state, run)

    def _aborted(self, streams: Sequence[str], error: Exception) -> None:
        self._error = error
        if self._whole is None:
            for stream in streams:
                self._failed(stream, error)

    def _close(self) -> None:
        """Streams that have neither landed nor failed were interrupted."""
        interrupted = list(self._streams.values())
        for run in interrupted:
            self._end(RunState.ABORT, run)
        if self._whole is not None:
            state = RunState.ABORT if interrupted else RunState.COMPLETE
            if self._error is not None:
                self._whole.facets["errorMessage"] = error_facet(self._error)
                state = RunState.FAIL
            self._emit(state, self._whole)
        self._to_send.put(None)
        self._sending.wait()

    def _end(self, state: RunState, run: _Run) -> None:
        read = None if run.config is None else api_dataset(run.config, run.host)
        self._emit(state, run, [read] if read is not None else [], self._outputs(run, read))

    def _outputs(self, run: _Run, read: InputDataset | None) -> list[OutputDataset]:
        """Where a run lands that has not ended well, or has just begun."""
        with suppress(SettingsError):  # the run reports it
            if run.config is not None:
                paths = StreamPaths(self._source, run.config.stream)
                location = f"{bucket_settings(self._workspace).url}/{paths.data}"
                return [landed_dataset(run.config, location, read, run.published)]
        return []

    def _emit(
        self,
        state: RunState,
        run: _Run,
        inputs: list[InputDataset] | None = None,
        outputs: list[OutputDataset] | None = None,
    ) -> None:
        event = RunEvent(
            eventTime=datetime.now(UTC).isoformat(),
            eventType=state,
            run=Run(run.run_id, {**self._run_facets(run), **run.facets}),
            job=Job(namespace(), run.job, self._job_facets(run)),
            inputs=inputs or [],
            outputs=outputs or [],
        )
        self._to_send.put(event)

    def _run_facets(self, run: _Run) -> dict[str, RunFacet]:
        facets: dict[str, RunFacet] = {
            "processing_engine": processing_engine_run.ProcessingEngineRunFacet(
                __version__, "dlt-landing", client_version
            )
        }
        if run.parent is not None:
            facets["parent"] = _parent_facet(run.parent, self._root or run.parent)
        return facets

    def _job_facets(self, run: _Run) -> dict[str, JobFacet]:
        kind = "SOURCE" if run is self._whole else "STREAM"
        facets: dict[str, JobFacet] = {
            "jobType": job_type_job.JobTypeJobFacet("BATCH", "DLT_LANDING", kind)
        }
        if run.config is not None and run.config.description:
            text = run.config.description
            facets["documentation"] = documentation_job.DocumentationJobFacet(text)
        if self._location is not None:
            facets["sourceCodeLocation"] = self._location
        return facets

    def _code_location(self) -> JobFacet | None:
        given = self._client.config.facets.source_code_location
        return code_location(self._workspace, self._source, given.repo_url, given.version)

    def _send_all(self) -> None:
        failures: list[Exception] = []
        for event in iter(self._to_send.get, None):
            try:
                self._client.emit(event)
            except Exception as error:  # of whatever transport is configured
                failures.append(error)
        self._client.close(0)
        if failures:
            why = redacted(f"{type(failures[0]).__name__}: {failures[0]}")
            raise LandingError(f"{NAME}: {len(failures)} events were not sent: {why}")


class _Os:
    """The module `os` with a copy of the environment."""

    def __init__(self) -> None:
        self.environ = variables()

    def getenv(self, name: str, default: str | None = None) -> str | None:
        return self.environ.get(name, default)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


def _client() -> OpenLineageClient:
    """The client sets variables, with its key in one of them, which would switch it on for whatever
    this process does later. It sets them in a copy of the environment: to remove them again would
    fail the requests of other runs in this process, for which all variables are read."""
    with _CREATING:
        setattr(client_module, "os", _Os())  # noqa: B010 - it does not export the name
        try:
            return OpenLineageClient()
        finally:
            setattr(client_module, "os", os)  # noqa: B010


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # of the client, its transports, or a module that one names
        raise SettingsError(
            redacted(
                f"{NAME}: the client can't be set up ({type(error).__name__}: {error}): correct "
            )
            + "OPENLINEAGE_URL or openlineage.yml, or set OPENLINEAGE_DISABLED=true"
        ) from None


def _hide(transport: Any) -> None:
    """Keys and tokens of openlineage.yml, which the environment does not have."""
    secret = [str(value) for name, value in members(transport) if is_secret_name(name)]
    register_lasting(*secret, what="a key for OpenLineage")


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _nominal_time(schedule: Schedule) -> nominal_time_run.NominalTimeRunFacet:
    due = schedule.before(datetime.now(UTC))
    end = schedule.after(due)
    return nominal_time_run.NominalTimeRunFacet(due.isoformat(), end.isoformat())


def error_facet(error: Exception) -> error_message_run.ErrorMessageRunFacet:
    text = redacted(f"{type(error).__name__}: {error}")[:_LONGEST]
    return error_message_run.ErrorMessageRunFacet(text, "PYTHON")


def _parent_facet(parent: ParentRun, root: ParentRun) -> parent_run.ParentRunFacet:
    return parent_run.ParentRunFacet(
        run=parent_run.Run(parent.run_id),
        job=parent_run.Job(parent.namespace or namespace(), parent.job),
        root=parent_run.Root(
            run=parent_run.RootRun(root.run_id),
            job=parent_run.RootJob(root.namespace or namespace(), root.job),
        ),
    )
