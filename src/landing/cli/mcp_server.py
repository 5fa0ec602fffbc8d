"""The server of `landing mcp`: read-only commands of `landing` as tools for an assistant.

Each call is a process of its own. So it sees a source as it is after the last edit, what a source
prints does not get between the protocol's messages, and a call that is cancelled ends. What a tool
returns is the document of `--json`, and an error has the text that the command prints.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import landing
from landing import __version__
from landing.catalog.names import check_name
from landing.catalog.workspace import Workspace
from landing.cli.text.output import ARROW, ERROR
from landing.errors import LandingError, listed, nearest, needs
from landing.secrets import masked

with needs("landing mcp", "mcp"):
    import anyio
    from mcp.server.mcpserver import MCPServer
    from mcp_types import CallToolResult, TextContent, ToolAnnotations
    from pydantic import Field

INSTRUCTIONS = (
    "Tools for a workspace of dlt-landing, which lands APIs as parquet on S3. They read only: "
    "they change neither files nor the bucket. AGENTS.md in the workspace says how to write a "
    "source, and the tool docs has the documentation. After an edit of a source, call discover, "
    "then preview, then check."
)
_START = "import sys; from landing.cli import main; sys.exit(main())"
_INSTALLED = Path(landing.__file__).parent / "docs"
_IN_REPOSITORY = Path(landing.__file__).parents[2] / "docs"


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str


Call: TypeAlias = Callable[[Sequence[str]], Awaitable[Done]]
"""Runs `landing` with these words."""
Source = Annotated[str, Field(description="name of the source")]
Streams = Annotated[Sequence[str], Field(description="names of streams; empty for all")]
Sources = Annotated[Sequence[str], Field(description="names of sources; empty for all")]


def calls(workspace: Workspace, env: dict[str, str]) -> Call:
    async def call(words: Sequence[str]) -> Done:
        done = await anyio.run_process(
            [sys.executable, "-c", _START, *words],
            stdin=subprocess.DEVNULL,
            cwd=workspace.root,
            env=env,
            check=False,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode(errors="replace"))

    return call


def server(call: Call) -> MCPServer[Any]:
    made: MCPServer[Any] = MCPServer(
        "dlt-landing", version=__version__, instructions=INSTRUCTIONS, log_level="WARNING"
    )

    async def document(verb: str, names: Sequence[str], *options: str) -> CallToolResult:
        try:  # none of which may be read as an option
            named = [check_name(name, "source or stream") for name in names]
        except LandingError as error:
            return _error(str(error))
        return _document(await call([*verb.split(), *named, *options, "--json"]))

    async def discover(
        source: Source,
        streams: Streams = (),
        sample_limit: int = 100,
    ) -> CallToolResult:
        """Sample the source's API and return the fields and types of its streams, how they differ
        from the discovered schemas, and warnings. No file is written."""
        limit = f"--sample-limit={sample_limit:d}"
        return await document("discover", [source, *streams], "--check", limit)

    async def preview(source: Source, stream: str) -> CallToolResult:
        """Request a stream's first page and return what a run would do: the request, the columns,
        the first rows as they would land, and records that do not fit. Nothing lands."""
        return await document("run", [source, stream], "--dry-run")

    async def check(
        source: Source,
        streams: Streams = (),
        max_rows: int = 1_000,
        replay: bool = False,
    ) -> CallToolResult:
        """Test a source against its API: keys, cursor, paging, types. With replay, against its
        recording instead. Nothing lands."""
        options = ["--replay"] if replay else [f"--max-rows={max_rows:d}"]
        return await document("check", [source, *streams], *options)

    async def status(sources: Sources = ()) -> CallToolResult:
        """Return each selected stream's last run, freshness, lag, and problems with remedies."""
        return await document("status", sources)

    async def quarantine(source: str = "", stream: str = "", limit: int = 20) -> CallToolResult:
        """Return which streams have records in quarantine, and why. With source and stream, return
        the records themselves; private fields are masked or hashed in them."""
        if not (source and stream):
            return await document("quarantine list", [source] if source else [])
        return await document("quarantine show", [source, stream], f"--limit={limit:d}")

    def docs(page: str = "") -> CallToolResult:
        """Return a page of the documentation; without a name, the list of pages."""
        return _page(page)

    annotations = ToolAnnotations(read_only_hint=True)
    for tool in (discover, preview, check, status, quarantine, docs):
        made.add_tool(tool, annotations=annotations, structured_output=False)
    return made


def _document(done: Done) -> CallToolResult:
    """What a command printed, or its errors if it had any.

    Other lines on standard error may be a source's own, which nothing has redacted.
    """
    lines = done.err.splitlines()
    said = [line for line in lines if line.startswith((ERROR, ARROW))]
    if done.code != 0 and any(line.startswith(ERROR) for line in said):
        is_said = done.out.startswith('{"error":')
        return _error("\n".join([*said, *([] if is_said else [done.out])]))
    if done.code != 0 and not done.out:
        return _error(f"landing ended with exit code {done.code}")
    return _text(done.out or "[]")


def _text(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=masked(text.strip()))])


def _error(text: str) -> CallToolResult:
    """As an exception of the tool, but without the SDK's words before the message."""
    return _text(text).model_copy(update={"is_error": True})


def _page(name: str) -> CallToolResult:
    folder = _INSTALLED if _INSTALLED.is_dir() else _IN_REPOSITORY
    pages = {file.stem: file for file in sorted(folder.glob("*.md"))}
    if not pages:
        return _error("this installation has no documentation: it is in the repository, in docs/")
    if not name:
        return _text("\n".join(f"{stem}: {_title(file)}" for stem, file in pages.items()))
    stem = name.removeprefix("docs/").removesuffix(".md")
    if stem not in pages:
        return _error(f"no page '{name}'{nearest(stem, pages)}; there are: {listed(pages)}")
    return _text(pages[stem].read_text(encoding="utf-8"))


def _title(page: Path) -> str:
    found = re.search(r"^# (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else page.stem
