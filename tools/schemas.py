"""Write the JSON Schemas of both file formats and of alerts to schemas/, and those of what commands
print with `--json` to schemas/output/, or check that they are current."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from landing.catalog.stream_config import json_schemas
from landing.cli.json.schemas import output_schemas
from landing.observe.alert import json_schema

FOLDER = Path(__file__).parent.parent / "schemas"


def main() -> int:
    stale = []
    outputs = {f"output/{name}": schema for name, schema in output_schemas().items()}
    formats = json_schemas() | {"alert.json": json_schema()}
    for name, schema in (formats | outputs).items():
        file = FOLDER / name
        text = json.dumps(schema, indent=2) + "\n"
        if "--check" not in sys.argv:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        elif not file.is_file() or file.read_text() != text:
            stale.append(name)
    for name in stale:
        print(f"schemas/{name} is not what the models say: run `make schemas`")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
