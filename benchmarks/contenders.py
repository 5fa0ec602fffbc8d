"""Who is measured."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.process import REPOSITORY

VENVS = REPOSITORY / ".venv-bench"

Output = Literal["nothing", "messages", "parquet"]


PLAIN_PYTHON = VENVS / "dlt-landing" / "bin" / "python"
"""Of an environment with what a user gets who installs this project alone."""


@dataclass(frozen=True)
class Contender:
    name: str
    """As `--only` takes it."""
    title: str
    output: Output
    program: str = ""
    """Module below benchmarks/programs/ that does the work."""
    source: str = ""
    """Or, for this project, a package below benchmarks/sources/."""
    package: str = ""
    """Distribution that has a virtual environment of its own, since its pins are not ours."""

    @property
    def python(self) -> Path:
        if not self.package:
            return Path(sys.executable)
        return VENVS / self.package / "bin" / "python"

    @property
    def missing(self) -> str:
        """Why this one can't run here; empty if it can."""
        if not self.package or (VENVS / self.package / "installed").is_file():
            return ""
        return f"{self.package} is not installed in .venv-bench/; `make bench` tries to"


DOWNLOAD = Contender("download", "download only", "nothing", program="download")
FLOOR = Contender("floor", "floor: orjson + pyarrow by hand", "parquet", program="floor")
PLAIN_DLT = Contender("plain-dlt", "plain dlt", "parquet", program="plain_dlt")
DICTIONARY = Contender(
    "dictionary", "this project, dictionary stream", "parquet", source="dictionary"
)
KIT = Contender("kit", "this project, client of the kit", "parquet", source="kit")
IN_FLIGHT = Contender(
    "in-flight", "this project, eight in flight", "parquet", source="kit_in_flight"
)

CONTENDERS = (
    DOWNLOAD,
    FLOOR,
    PLAIN_DLT,
    Contender(
        "airbyte-lowcode",
        "Airbyte CDK, manifest, to nowhere",
        "messages",
        program="airbyte_lowcode",
        package="airbyte-cdk",
    ),
    Contender(
        "airbyte-python",
        "Airbyte CDK, Python, to nowhere",
        "messages",
        program="airbyte_source",
        package="airbyte-cdk",
    ),
    Contender(
        "singer",
        "Singer SDK tap, to nowhere",
        "messages",
        program="singer_tap",
        package="singer-sdk",
    ),
    DICTIONARY,
    KIT,
)
