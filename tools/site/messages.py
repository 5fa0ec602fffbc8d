"""What the engine says when something is wrong: the texts of its errors, as the code has them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from landing import errors
from tools.site.pages import REPOSITORY

PACKAGE = REPOSITORY / "src" / "landing"
GAP = "…"
"""Stands for what a message fills in."""


@dataclass(frozen=True)
class Message:
    error: type[errors.LandingError]
    text: str
    module: str


def tree() -> list[type[errors.LandingError]]:
    """The classes of errors.py, each before those that are made of it."""
    found = [errors.LandingError]
    for one in found:
        found += [sub for sub in one.__subclasses__() if sub.__module__ == errors.__name__]
    return found


def messages() -> list[Message]:
    """Of each place that makes an error, what it says; none where that is another's text alone."""
    kinds = {kind.__name__: kind for kind in tree()}
    found = set()
    for file, module in _modules().items():
        returned = _returned(module)
        name = ".".join(("landing", *file.relative_to(PACKAGE).with_suffix("").parts))
        for node in ast.walk(module):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            kind = kinds.get(ast.unparse(node.func).rpartition(".")[2])
            if kind is not None:
                texts = list(_texts(node.args[0], module, returned))
                found |= {Message(kind, text, name) for text in texts if text.strip(f"{GAP} :;")}
    return sorted(found, key=lambda message: (message.module, message.text))


def page() -> str:
    """All of them, by their class."""
    lines = [
        "# Messages",
        "",
        f"Generated from the code: the text of every error, with `{GAP}` for what is filled in. "
        "[Troubleshooting](../troubleshooting.md) explains those that need more words.",
    ]
    every = messages()
    for kind in tree():
        own = [message for message in every if message.error is kind]
        if own:
            lines += ["", f"## {kind.__name__}", "", f"Exit code {kind.exit_code}.", ""]
            lines += ["| message | from |", "|---|---|"]
            lines += [f"| {_cell(one.text)} | `{one.module}` |" for one in own]
    return "\n".join(lines) + "\n"


@cache
def said() -> frozenset[str]:
    """Every text of the package that could be, or be part of, what a person is told."""
    return frozenset(
        text
        for module in _modules().values()
        for node in ast.walk(module)
        if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp)
        for text in _texts(node, module, {})
    )


@cache
def _modules() -> dict[Path, ast.Module]:
    return {file: ast.parse(file.read_text()) for file in sorted(PACKAGE.rglob("*.py"))}


def _returned(module: ast.Module) -> dict[str, list[ast.expr]]:
    """What each function of a module returns, by its name."""
    return {
        function.name: [
            node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Return) and node.value is not None
        ]
        for function in ast.walk(module)
        if isinstance(function, ast.FunctionDef)
    }


def _texts(
    node: ast.expr, module: ast.Module, returned: dict[str, list[ast.expr]]
) -> Iterator[str]:
    """The texts that an expression may be; of a function of the module, those it returns."""
    match node:
        case ast.Constant(value=str(text)):
            yield " ".join(text.split())
        case ast.JoinedStr(values=values):
            yield " ".join("".join(_piece(value, module) for value in values).split())
        case ast.IfExp(body=one, orelse=other):
            yield from _texts(one, module, returned)
            yield from _texts(other, module, returned)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            lefts = list(_texts(left, module, returned)) or [GAP]
            rights = list(_texts(right, module, returned)) or [GAP]
            yield from (f"{one}{other}" for one in lefts for other in rights)
        case ast.Call(func=ast.Name(id="redacted"), args=[argument]):
            yield from _texts(argument, module, returned)
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            inner = {key: value for key, value in returned.items() if key != name}
            for value in returned.get(name, ()):
                yield from _texts(value, module, inner)


def _piece(value: ast.expr, module: ast.Module) -> str:
    if isinstance(value, ast.Constant):
        return str(value.value)
    if isinstance(value, ast.FormattedValue) and isinstance(value.value, ast.Name):
        return _constant(value.value.id, module)
    return GAP


def _constant(name: str, module: ast.Module) -> str:
    """The text of a constant of the module, such as the name of a variable."""
    for node in module.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=known)], value=ast.Constant(value=str(text))):
                if known == name:
                    return text
    return GAP


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("[", "\\[")
