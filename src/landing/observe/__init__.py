"""The consumers of a run's events besides the terminal: records of failed runs in the bucket, and
what the environment switches on (OpenTelemetry, Prometheus, OpenLineage, alerts, JSON logs).

Each is imported only if it is switched on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from landing.catalog.workspace import Workspace
from landing.errors import SettingsError, needs
from landing.events import Emit
from landing.observe import in_time
from landing.observe.alert_rules import rules
from landing.observe.failed import FailedRuns
from landing.observe.freshness import Late
from landing.observe.in_quarantine import InQuarantine
from landing.observe.in_time import LINEAGE_SENT_WITHIN, AtEnd
from landing.observe.parent_run import ParentRun, lineage_setting
from landing.observe.receivers import configured_receivers
from landing.secrets import register_lasting

if TYPE_CHECKING:
    from landing.observe.lineage import Lineage
    from landing.observe.logs import JsonLog
    from landing.observe.otel import Telemetry
    from landing.observe.prometheus import Metrics

LOG_FORMATS = ("text", "json")
_OTLP = ("", "_TRACES", "_METRICS")


def observers(
    workspace: Workspace,
    source: str,
    metrics_file: Path | None,
    late: Callable[[], Iterable[Late]] | None,
    is_final: Callable[[Exception], bool] = lambda error: True,
    parent: ParentRun | None = None,
) -> list[Emit]:
    """The consumers that are switched on. Alerts are of errors that are final, which means that
    nothing tries again. With `late` None, late streams are not looked for.

    Raises SettingsError if a package is not installed.
    """
    at_end = AtEnd()
    waiting = InQuarantine(workspace, source)
    to, general = configured_receivers(), rules()
    alerts = []
    if to:
        from landing.observe.alerts import LOG_TAKES, Alerts

        one = Alerts(workspace, source, to, general, late, is_final, waiting)
        names = " and ".join(receiver.name for receiver in to)
        within = in_time.PROBLEMS_SENT_WITHIN + LOG_TAKES  # it gives up sending by itself
        alerts = [one.prepare, at_end.sending(one, names, within, has_time=False)]
    return [
        FailedRuns(workspace, source),
        *_telemetry(source, waiting, at_end),
        *_metrics(source, metrics_file, waiting, at_end),
        *_lineage(workspace, source, parent, at_end),
        *alerts,
        at_end,
    ]


def check_installed() -> None:
    """Raises SettingsError as `observers` does, without starting anything."""
    if (setting := _telemetry_setting()) is not None:
        _telemetry_class(setting)
    if (setting := _gateway_setting()) is not None:
        _metrics_class(setting)
    if (setting := lineage_setting()) is not None:
        _lineage_class(setting)
    configured_receivers(), rules()


def json_log(source: str, log_format: str | None = None) -> JsonLog | None:
    """None for text. `log_format` takes precedence over `LANDING_LOG_FORMAT`.

    Raises SettingsError if `LANDING_LOG_FORMAT` is malformed.
    """
    form = log_format or os.environ.get("LANDING_LOG_FORMAT", "").strip() or "text"
    if form not in LOG_FORMATS:
        raise SettingsError(f"LANDING_LOG_FORMAT is '{form}': it has to be text or json")
    if form == "text":
        return None
    from landing.observe.logs import JsonLog

    return JsonLog(source)


def _telemetry_setting() -> str | None:
    endpoints = [f"OTEL_EXPORTER_OTLP{kind}_ENDPOINT" for kind in _OTLP]
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    return next((name for name in endpoints if os.environ.get(name, "").strip()), None)


def _telemetry(source: str, waiting: InQuarantine, at_end: AtEnd) -> Iterator[Emit]:
    setting = _telemetry_setting()
    if setting is None:
        return
    for kind in _OTLP:  # `authorization=Bearer …`: a secret, though not by the variable's name
        for pair in os.environ.get(f"OTEL_EXPORTER_OTLP{kind}_HEADERS", "").split(","):
            register_lasting(pair.partition("=")[2].strip(), what="a header for OpenTelemetry")
    yield at_end.sending(_telemetry_class(setting)(source, waiting), setting)


def _telemetry_class(setting: str) -> type[Telemetry]:
    with needs(setting, "otel", " (or OTEL_SDK_DISABLED=true switches it off)"):
        from landing.observe.otel import Telemetry
    return Telemetry


def _lineage(
    workspace: Workspace, source: str, parent: ParentRun | None, at_end: AtEnd
) -> Iterator[Emit]:
    if (setting := lineage_setting()) is None:
        return
    lineage = _lineage_class(setting)(workspace, source, parent)
    yield at_end.sending(lineage, "OpenLineage", LINEAGE_SENT_WITHIN, has_time=False)


def _lineage_class(setting: str) -> type[Lineage]:
    with needs(setting, "lineage", " (or OPENLINEAGE_DISABLED=true switches it off)"):
        from landing.observe.lineage import Lineage
    return Lineage


def _gateway_setting() -> str | None:
    name = "LANDING_PUSHGATEWAY_URL"
    return name if os.environ.get(name, "").strip() else None


def _metrics(
    source: str, file: Path | None, waiting: InQuarantine, at_end: AtEnd
) -> Iterator[Emit]:
    setting = _gateway_setting()
    if file is None and setting is None:
        return
    gateway = None if setting is None else os.environ[setting].strip()
    metrics = _metrics_class(setting or "--metrics-file")(source, file, gateway, waiting)
    yield metrics
    if setting is not None:
        yield at_end.sending(metrics.push_rest, setting)


def _metrics_class(setting: str) -> type[Metrics]:
    with needs(setting, "prometheus", " (or leave it out)"):
        from landing.observe.prometheus import Metrics
    return Metrics
