"""JSON Schemas of what the verbs print with `--json`."""

from __future__ import annotations

from typing import Any

import msgspec

from landing.catalog.variables import Variable
from landing.cli.json.backfill import BackfillDone
from landing.cli.json.history import LoadListed
from landing.cli.json.run import StreamPlanned, StreamRun
from landing.cli.json.shapes import (
    BackfillListed,
    BackfillPlanned,
    Checked,
    Completion,
    CronJobs,
    DbtPackage,
    DiscoveryDone,
    Error,
    Failed,
    LoggedIn,
    NewSource,
    NewWorkspace,
    QuarantinedRecord,
    QuarantineDropped,
    QuarantineListed,
    Rebuilt,
    SelectedStream,
    StaleStream,
    StateChanged,
)
from landing.observe.stream_status import StreamStatus
from landing.operations.backfill.fields import FieldsResult
from landing.operations.checks import CheckResult
from landing.operations.compaction import Compacted
from landing.operations.doctor import Finding
from landing.operations.quarantine_landing import Replayed
from landing.operations.state_view import StreamState
from landing.operations.verify import Result
from landing.page.facts import Report
from landing.zone.previous_states import KeptState
from landing.zone.schema_history import SchemaVersion


def documents() -> dict[str, Any]:
    """The type of each, by the verb that prints it; a suffix tells those of one verb apart."""
    return {
        "error": Failed,
        "backfill": BackfillDone,
        "backfill-dry-run": BackfillPlanned,
        "backfill-fields": FieldsResult,
        "backfill-list": list[BackfillListed],
        "check": Checked[CheckResult],
        "compact": list[Compacted],
        "completion": Completion,
        "dbt": DbtPackage,
        "discover": DiscoveryDone,
        "doctor": list[Finding],
        "env": list[Variable],
        "fresh": list[StaleStream],
        "history": list[LoadListed],
        "init": NewWorkspace,
        "k8s": CronJobs,
        "login": LoggedIn,
        "new": NewSource,
        "quarantine-drop": QuarantineDropped,
        "quarantine-land": Replayed,
        "quarantine-list": list[QuarantineListed],
        "quarantine-show": QuarantinedRecord,
        "rebuild": Rebuilt,
        "report": Report,
        "run": list[StreamRun],
        "run-dry-run": list[StreamPlanned],
        "schema": list[SchemaVersion],
        "select": list[SelectedStream],
        "show": dict[str, Any],
        "state": StreamState,
        "state-change": StateChanged,
        "state-history": list[KeptState],
        "status": list[StreamStatus],
        "verify": list[Result],
    }


def output_schemas() -> dict[str, dict[str, Any]]:
    """A JSON Schema of each, by file name."""
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {
        f"{name}.json": {"$schema": draft, "title": name, **_schema(document)}
        for name, document in documents().items()
    }


def _schema(document: Any) -> dict[str, Any]:
    """A dataclass that has an exception is printed with an `Error` in its place."""
    hooked = []

    def error(kind: type) -> dict[str, Any]:
        hooked.append(kind)
        return {"$ref": "#/$defs/Error"}

    (schema, _), definitions = msgspec.json.schema_components([document, Error], schema_hook=error)
    if not hooked and document is not Failed:
        del definitions["Error"]
    return {**schema, "$defs": definitions} if definitions else schema
