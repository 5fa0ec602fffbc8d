"""Finds the environment variables that a source reads, by parsing its modules without importing
them."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from landing.catalog.settings import AZURE_SCHEMES
from landing.catalog.store_options import AZURE_VARIABLES, GOOGLE_VARIABLES, set_name
from landing.catalog.workspace import Workspace
from landing.errors import SourceError
from landing.secrets import is_secret_name

_DESCRIBED = re.compile(r"^\s*([A-Z][A-Z0-9_]{2,})\s{2,}(\S.*)$")


@dataclass(frozen=True)
class Variable:
    name: str
    required: bool
    """Whether some code reads it as `os.environ[…]`, which fails without it."""
    state: Literal["set", "not set", "empty"]
    secret: bool
    description: str


def _variable(name: str, required: bool, description: str = "") -> Variable:
    value = os.environ.get(name)
    state: Literal["set", "empty"] = "set" if (value or "").strip() else "empty"
    return Variable(
        name, required, "not set" if value is None else state, is_secret_name(name), description
    )


def bucket_variables() -> list[Variable]:
    """The variables that a run of any source reads, in the order of docs/configuration.md."""
    scheme = os.environ.get("DLT_BUCKET_URL", "").strip().partition("://")[0].lower()
    clouds = {"gs": GOOGLE_VARIABLES, **dict.fromkeys(AZURE_SCHEMES, AZURE_VARIABLES)}
    return [
        *_bucket_variables(),
        *(_variable(set_name(name), False, what) for name, what in clouds.get(scheme, {}).items()),
    ]


def _bucket_variables() -> list[Variable]:
    return [
        _variable("DLT_BUCKET_URL", False, "where files land: s3://, gs:// or az://bucket/prefix"),
        _variable("S3_ENDPOINT", False, "an S3 server other than AWS: host:port or a URL"),
        _variable("S3_ACCESS_KEY_ID", False, "the access key; AWS's own credentials without it"),
        _variable("S3_SECRET_ACCESS_KEY", False, "its secret; set both or neither"),
        _variable("AWS_REGION", False, "the region of a bucket on AWS"),
        _variable("LANDING_TABLES_URL", False, "where tables are: s3://bucket/prefix"),
        _variable("LANDING_DUCKLAKE_CATALOG", False, "the database of tables in DuckLake"),
        _variable("LANDING_TOKEN_KEY", False, "encrypts OAuth tokens that are kept in the bucket"),
        _variable("LANDING_PRIVACY_KEY", False, "the key of fields whose privacy is hash"),
    ]


def source_variables(workspace: Workspace, source: str) -> list[str]:
    """Names that the source's modules pass to `os.environ` or `os.getenv` as literals.

    Names that are built at run time are not found.
    """
    return sorted({name for tree in _modules(workspace, source) for name, _ in _read_by(tree)})


def empty_variables(workspace: Workspace, source: str) -> list[str]:
    """The source's required variables that are set but empty, as with `SHOP_URL=`."""
    read = [found for tree in _modules(workspace, source) for found in _read_by(tree)]
    needed = {name for name, is_required in read if is_required}
    return sorted(name for name in needed if not os.environ.get(name, "?").strip())


def described_variables(workspace: Workspace, source: str) -> list[Variable]:
    """The variables that the source's modules read or their docstrings describe, in the order of
    the docstrings.

    A description is a line that begins with the name and two spaces, with the lines below it that
    are indented as deep as its text. Raises SourceError for a file that can't be parsed.
    """
    modules = [_parsed(workspace, file) for file in _files(workspace, source)]
    read = [found for tree in modules for found in _read_by(tree)]
    required = {name for name, is_required in read if is_required}
    described: dict[str, str] = {}
    for tree in modules:
        described.update(_described(ast.get_docstring(tree, clean=False) or ""))
    names = [*described, *sorted({name for name, _ in read} - set(described))]
    return [_variable(name, name in required, described.get(name, "")) for name in names]


def _files(workspace: Workspace, source: str) -> list[Path]:
    return sorted(workspace.source_dir(source).rglob("*.py"))


def _modules(workspace: Workspace, source: str) -> Iterator[ast.Module]:
    for file in _files(workspace, source):
        with suppress(SourceError):  # the source may never import this file
            yield _parsed(workspace, file)


def _parsed(workspace: Workspace, file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise SourceError(
            f"{workspace.shown(file)}{line}: is not valid Python; fix it and run again"
        ) from error


def _described(docstring: str) -> Iterator[tuple[str, str]]:
    lines = docstring.splitlines()
    for number, line in enumerate(lines):
        if match := _DESCRIBED.match(line):
            more = _continued(lines[number + 1 :], match.start(2))
            yield match[1], " ".join([match[2].strip(), *more])


def _continued(lines: Sequence[str], column: int) -> Iterator[str]:
    for line in lines:
        if not line.strip() or len(line) - len(line.lstrip()) < column:
            return
        yield line.strip()


def _read_by(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """Pairs of a name and whether reading it fails if it is not set."""
    for node in ast.walk(tree):
        name: ast.expr | None = None
        is_required = isinstance(node, ast.Subscript)
        if isinstance(node, ast.Subscript) and _is_environ(node.value):
            name = node.slice
        elif isinstance(node, ast.Call) and node.args and _reads(node.func):
            name = node.args[0]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield name.value, is_required


def _is_environ(node: ast.expr) -> bool:
    return ast.unparse(node) in ("os.environ", "environ")


def _reads(function: ast.expr) -> bool:
    if isinstance(function, ast.Attribute) and function.attr == "get":
        return _is_environ(function.value)
    return ast.unparse(function) in ("os.getenv", "getenv")
