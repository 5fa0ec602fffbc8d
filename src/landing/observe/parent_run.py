"""Whether a run sends OpenLineage events, and of which run it is part. Imports no client."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from uuid import UUID

from landing.errors import SettingsError

_FILE = "openlineage.yml"


@dataclass(frozen=True)
class ParentRun:
    job: str
    run_id: str
    namespace: str | None = None
    """None for that of the environment."""


def lineage_setting() -> str | None:
    """What switches OpenLineage on, as its client reads it; None if nothing does. If the client is
    not installed, only `OPENLINEAGE_URL` does: a file may be there for other programs."""
    if os.environ.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return None
    if os.environ.get("OPENLINEAGE_URL", "").strip():
        return "OPENLINEAGE_URL"
    if find_spec("openlineage") is None:
        return None
    named = Path(os.environ.get("OPENLINEAGE_CONFIG", "").strip() or _FILE)
    files = (named, Path.cwd() / _FILE, Path.home() / ".openlineage" / _FILE)
    if any(file.is_file() for file in files):
        return _FILE
    return next((name for name in os.environ if name.startswith("OPENLINEAGE__TRANSPORT__")), None)


def namespace() -> str:
    return os.environ.get("OPENLINEAGE_NAMESPACE", "").strip() or "default"


def parent_of(variable: str) -> ParentRun | None:
    """From a variable such as `OPENLINEAGE_PARENT_ID`, which is `namespace/job/run id`.

    Raises SettingsError if it is not.
    """
    text = os.environ.get(variable, "").strip()
    if not text:
        return None
    try:
        place, job, run_id = text.rsplit("/", 2)
        return ParentRun(job, str(UUID(run_id)), place)
    except ValueError:
        raise SettingsError(
            f"{variable} is '{text}': it has to be namespace/job/run id, and the id a UUID"
        ) from None
