"""Which environment variables a source reads, by looking at its modules and running nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from landing.workspace import Workspace


def source_variables(workspace: Workspace, source: str) -> list[str]:
    """Names that the source's modules say as text to `os.environ` or `os.getenv`.

    A name that is put together while the source runs is not found.
    """
    files = sorted((workspace.sources / source).rglob("*.py"))
    return sorted({name for file in files for name in _named(file)})


def _named(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_bytes())):
        name: ast.expr | None = None
        if isinstance(node, ast.Subscript) and _is_environ(node.value):
            name = node.slice
        elif isinstance(node, ast.Call) and node.args and _reads(node.func):
            name = node.args[0]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield name.value


def _is_environ(node: ast.expr) -> bool:
    return ast.unparse(node) in ("os.environ", "environ")


def _reads(function: ast.expr) -> bool:
    if isinstance(function, ast.Attribute) and function.attr == "get":
        return _is_environ(function.value)
    return ast.unparse(function) in ("os.getenv", "getenv")
