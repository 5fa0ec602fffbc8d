"""Who else is told of a run than the person at the terminal: the bucket, if it fails, and whoever
the environment names.

Each of these is imported only where it is switched on: what is not used costs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from landing.catalog.workspace import Workspace
from landing.errors import SettingsError
from landing.events import Emit
from landing.observe.alerts import Alerts, webhook
from landing.observe.failed import FailedRuns
from landing.observe.freshness import Late
from landing.secrets import register_lasting

if TYPE_CHECKING:
    from landing.observe.logs import JsonLog
    from landing.observe.otel import Telemetry
    from landing.observe.prometheus import Metrics

LOG_FORMATS = ("text", "json")
_OTLP = ("", "_TRACES", "_METRICS")


def observers(
    workspace: Workspace,
    source: str,
    metrics_file: Path | None,
    late: Callable[[], Iterable[Late]],
) -> list[Emit]:
    """Raises SettingsError if one is asked for whose packages are not installed."""
    return [
        FailedRuns(workspace, source),
        *_telemetry(source),
        *_metrics(source, metrics_file),
        *([] if (hook := webhook()) is None else [Alerts(source, hook, late)]),
    ]


def check_installed() -> None:
    """Raises SettingsError as `observers` does; begins nothing."""
    if (asked := _telemetry_asked()) is not None:
        _telemetry_class(asked)
    if (asked := _gateway_asked()) is not None:
        _metrics_class(asked)
    webhook()


def json_log(source: str, asked: str | None = None) -> JsonLog | None:
    """Raises SettingsError if `LANDING_LOG_FORMAT`, which `asked` outranks, is malformed."""
    form = asked or os.environ.get("LANDING_LOG_FORMAT", "").strip() or "text"
    if form not in LOG_FORMATS:
        raise SettingsError(f"LANDING_LOG_FORMAT is '{form}': it has to be text or json")
    if form == "text":
        return None
    from landing.observe.logs import JsonLog

    return JsonLog(source)


def _telemetry_asked() -> str | None:
    endpoints = [f"OTEL_EXPORTER_OTLP{kind}_ENDPOINT" for kind in _OTLP]
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    return next((name for name in endpoints if os.environ.get(name, "").strip()), None)


def _telemetry(source: str) -> Iterator[Emit]:
    asked = _telemetry_asked()
    if asked is None:
        return
    for kind in _OTLP:  # `authorization=Bearer …`, in a variable whose name does not tell
        for pair in os.environ.get(f"OTEL_EXPORTER_OTLP{kind}_HEADERS", "").split(","):
            register_lasting(pair.partition("=")[2].strip(), what="a header for OpenTelemetry")
    yield _telemetry_class(asked)(source)


def _telemetry_class(asked: str) -> type[Telemetry]:
    try:
        from landing.observe.otel import Telemetry
    except ModuleNotFoundError as error:
        raise _not_installed(asked, "otel", "OTEL_SDK_DISABLED=true switches it off") from error
    return Telemetry


def _gateway_asked() -> str | None:
    name = "LANDING_PUSHGATEWAY_URL"
    return name if os.environ.get(name, "").strip() else None


def _metrics(source: str, file: Path | None) -> Iterator[Emit]:
    asked = _gateway_asked()
    if file is None and asked is None:
        return
    gateway = None if asked is None else os.environ[asked].strip()
    yield _metrics_class(asked or "--metrics-file")(source, file, gateway)


def _metrics_class(asked: str) -> type[Metrics]:
    try:
        from landing.observe.prometheus import Metrics
    except ModuleNotFoundError as error:
        raise _not_installed(asked, "prometheus", "leave it out") from error
    return Metrics


def _not_installed(asked: str, extra: str, otherwise: str) -> SettingsError:
    return SettingsError(
        f"{asked} is set, but its packages are not installed: "
        f"pip install 'dlt-landing[{extra}]' (or {otherwise})"
    )
