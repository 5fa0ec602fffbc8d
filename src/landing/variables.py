"""Which environment variables a source reads, by looking at its modules and running nothing."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator

from landing.workspace import Workspace


def source_variables(workspace: Workspace, source: str) -> list[str]:
    """Names that the source's modules say as text to `os.environ` or `os.getenv`.

    A name that is put together while the source runs is not found.
    """
    return sorted({name for name, _ in _named(workspace, source)})


def empty_variables(workspace: Workspace, source: str) -> list[str]:
    """Those that the source can't do without, and that are set to nothing, as `SHOP_URL=` is."""
    needed = {name for name, is_needed in _named(workspace, source) if is_needed}
    return sorted(name for name in needed if not os.environ.get(name, "?").strip())


def _named(workspace: Workspace, source: str) -> Iterator[tuple[str, bool]]:
    """Each name, and whether the source fails without the variable."""
    for file in sorted((workspace.sources / source).rglob("*.py")):
        try:
            module = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError):  # one that the source does not import
            continue
        for node in ast.walk(module):
            name: ast.expr | None = None
            is_needed = isinstance(node, ast.Subscript)
            if isinstance(node, ast.Subscript) and _is_environ(node.value):
                name = node.slice
            elif isinstance(node, ast.Call) and node.args and _reads(node.func):
                name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield name.value, is_needed


def _is_environ(node: ast.expr) -> bool:
    return ast.unparse(node) in ("os.environ", "environ")


def _reads(function: ast.expr) -> bool:
    if isinstance(function, ast.Attribute) and function.attr == "get":
        return _is_environ(function.value)
    return ast.unparse(function) in ("os.getenv", "getenv")
