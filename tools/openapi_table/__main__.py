"""Tries the public documents in a folder, and prints the table of `docs/openapi.md`.

python -m tools.openapi_table --documents ~/documents --only asana box
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tools.openapi_table.apis import APIS, Api
from tools.openapi_table.documents import ListEndpoint, OpenApi, lists
from tools.openapi_table.facts import reduced
from tools.openapi_table.trial import Verdict, tried

FACTS = Path("tests") / "public_documents.json"
PAGE = Path("docs") / "openapi.md"
_COLUMNS = (
    *("API", "document", "lists", "read whole", "failed or warned", "no stream"),
    *("part in silence", "below"),
)
_HEAD = f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}\n"
_OUTCOMES = ("whole", "told", "missed", "silent")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.openapi_table", description=__doc__)
    parser.add_argument("--documents", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--only", nargs="+", metavar="API")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE}")
    parser.add_argument("--facts", action="store_true", help="write the facts that tests replay")
    options = parser.parse_args(arguments)
    if options.only and (options.write or options.facts):
        parser.error("--write and --facts are for all documents: leave out --only")
    chosen = [api for api in APIS if not options.only or api.name in options.only]
    if options.facts:
        found = {api.name: reduced(OpenApi(options.documents / api.file), api) for api in chosen}
        FACTS.write_text(json.dumps(found, separators=(",", ":")) + "\n")
        return 0
    rows = []
    every: list[Verdict] = []
    all_below = 0
    for api in chosen:
        document = OpenApi(options.documents / api.file)
        below = len(list(lists(document, api, below=True)))
        verdicts = _verdicts(api, options.documents / api.file, list(lists(document, api)))
        every, all_below = [*every, *verdicts], all_below + below
        rows.append(_row(api.name, api.source, verdicts, below))
        print(rows[-1], flush=True)
        for one in verdicts if options.verbose else ():
            print(f"    {one.outcome:6} {one.path}  {one.why[:200]}", flush=True)
    if options.write:
        _write([*rows, _row("all", f"{len(chosen)} documents", every, all_below)])
    return 0


def _write(rows: Sequence[str]) -> None:
    before, after = PAGE.read_text().split(_HEAD)
    _, _, rest = after.partition("\n\n")
    PAGE.write_text("\n".join([f"{before}{_HEAD}{rows[0]}", *rows[1:]]) + f"\n\n{rest}")


def _verdicts(api: Api, document: Path, endpoints: Sequence[ListEndpoint]) -> list[Verdict]:
    with tempfile.TemporaryDirectory(prefix=f"openapi-{api.name}-") as folder:
        workspace = Path(folder) / "lake"
        _landing(Path(folder), "init", str(workspace), "--no-source")
        os.environ["DLT_BUCKET_URL"] = (Path(folder) / "bucket").as_uri()
        root = next(workspace.rglob("dag")).parent

        def landing(*arguments: str) -> tuple[int, str, str]:
            return _landing(workspace, *arguments)

        return tried(api, document.resolve(), endpoints, landing, root)


def _landing(folder: Path, *arguments: str) -> tuple[int, str, str]:
    command = [str(Path(sys.executable).with_name("landing")), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def _row(name: str, source: str, verdicts: Sequence[Verdict], below: int) -> str:
    counts = Counter(one.outcome for one in verdicts)
    figures = " | ".join(f"{counts[outcome]:,}" for outcome in _OUTCOMES)
    return f"| {name} | {source} | {len(verdicts):,} | {figures} | {below:,} |"


if __name__ == "__main__":
    raise SystemExit(main())
