"""Who is measured."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.process import REPOSITORY

VENVS = REPOSITORY / ".venv-bench"

Output = Literal["nothing", "messages", "parquet"]


def python_of(package: str) -> Path:
    """Of the package's own environment."""
    return VENVS / package / "bin" / "python"


PLAIN_PYTHON = python_of("dlt-landing")
"""Of an environment with what a user gets who installs this project alone."""
SINGER_TARGET = VENVS / "plinxore-target-s3" / "bin" / "target-s3"


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
    and_package: str = ""
    """Another one, with its own environment, that the program starts."""
    most_rounds: int = 99
    """Fewer for one that takes long, and as long each time."""

    @property
    def python(self) -> Path:
        if not self.package:
            return Path(sys.executable)
        return python_of(self.package)

    @property
    def missing(self) -> str:
        """Why this one can't run here; empty if it can."""
        packages = filter(None, (self.package, self.and_package))
        absent = [each for each in packages if not (VENVS / each / "installed").is_file()]
        if not absent:
            return ""
        return f"{' and '.join(absent)} not installed in .venv-bench/; `make bench` tries to"


DOWNLOAD = Contender("download", "download only", "nothing", program="download")
FLOOR = Contender("floor", "floor: orjson + pyarrow by hand", "parquet", program="floor")
PLAIN_DLT = Contender("plain-dlt", "plain dlt", "parquet", program="plain_dlt", most_rounds=3)
DICTIONARY = Contender(
    "dictionary", "this project, dictionary stream", "parquet", source="dictionary"
)
KIT = Contender("kit", "this project, client of the kit", "parquet", source="kit")
IN_FLIGHT = Contender(
    "in-flight", "this project, eight in flight", "parquet", source="kit_in_flight"
)

AIRBYTE_MANIFEST = Contender(
    "airbyte-lowcode",
    "Airbyte CDK, manifest, to nowhere",
    "messages",
    program="airbyte_lowcode",
    package="airbyte-cdk",
)
AIRBYTE_PYTHON = Contender(
    "airbyte-python",
    "Airbyte CDK, Python, to nowhere",
    "messages",
    program="airbyte_source",
    package="airbyte-cdk",
)
SINGER = Contender(
    "singer",
    "Singer SDK tap, target-s3",
    "parquet",
    program="singer_to_s3",
    package="singer-sdk",
    and_package="plinxore-target-s3",
)
DLT_ON_S3 = Contender("dlt-s3", PLAIN_DLT.title, "parquet", program="plain_dlt", package="dlt")
INGESTR = Contender(
    "ingestr", "ingestr, Python SDK", "parquet", program="ingestr_sdk", package="ingestr"
)
SLING = Contender(
    "sling", "Sling, API spec", "parquet", program="sling_spec", package="sling-linux-amd64"
)
