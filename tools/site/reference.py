"""Reference pages, from what the code itself declares."""

from __future__ import annotations

import argparse
import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any

from landing.catalog.stream_config import json_schemas
from landing.cli.examples import EXAMPLES
from landing.cli.main import EXIT_CODES, VERBS
from tools.site import messages
from tools.site.pages import REPOSITORY

MODULES = ("landing.http", "landing.operations.backfill", "landing.dagster", "landing.testing")
SETTINGS = REPOSITORY / ".env.example"
WIDTH = 85
"""Characters of a usage line, which a block on a desktop has room for."""
READERS = (REPOSITORY / "src" / "landing", REPOSITORY / "orchestration")

_SETTING = re.compile(r"^(?:# )?([A-Z][A-Z0-9_]+)=(.*)$")


def pages() -> dict[str, str]:
    """Text of each page, by its path below docs/."""
    made = {
        "reference/command-line.md": command_line(),
        "reference/environment.md": environment(),
        "reference/messages.md": messages.page(),
        **{f"reference/{module}.md": python(module) for module in MODULES},
    }
    for name, schema in json_schemas().items():
        made[f"reference/{name.removesuffix('.json')}.md"] = file_format(name, schema)
    return made


# ── The command line ─────────────────────────────────────────────────────────────────────────────
def command_line() -> str:
    """Every verb, from the parsers that read it."""
    lines = [
        "# Command line",
        "",
        "Generated from the parsers; `landing VERB --help` prints the same. Every verb takes "
        "`--debug`, which shows where in the code an error occurred.",
        "",
        f"{EXIT_CODES[0].upper()}{EXIT_CODES[1:]}.",
    ]
    for name, verb in VERBS.items():
        parser = argparse.ArgumentParser(prog=f"landing {name}", add_help=False)
        verb.configure(parser)
        lines += [
            "",
            f"## `landing {name}`",
            "",
            " ".join(filter(None, [_sentence(verb.HELP), parser.description])),
            *_command(parser),
            *_examples(name),
        ]
        for sub, help_text in _subcommands(parser):
            lines += ["", f"### `{sub.prog}`", "", _sentence(help_text), *_command(sub)]
    return "\n".join(lines) + "\n"


def _command(parser: argparse.ArgumentParser) -> Iterator[str]:
    """How it is written, and what its words mean."""
    parser.formatter_class = partial(argparse.HelpFormatter, width=WIDTH)
    usage = parser.format_usage().removeprefix("usage: ").rstrip()
    yield from ("", "```text", dedent(f"{' ' * len('usage: ')}{usage}"), "```")
    shown = [action for action in parser._actions if _is_shown(action)]
    if shown:
        yield from ("", "| word | what it says |", "|---|---|")
        for action in shown:
            yield f"| {_word(action)} | {_cell(_help(action))} |"


def _is_shown(action: argparse.Action) -> bool:
    hidden = isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
    return not hidden and action.help is not argparse.SUPPRESS


def _word(action: argparse.Action) -> str:
    value = _value(action)
    if not action.option_strings:
        return f"`{value}`"
    return ", ".join(f"`{f'{option} {value}'.strip()}`" for option in action.option_strings)


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    name = action.metavar or (
        "{" + ",".join(map(str, action.choices)) + "}"
        if action.choices is not None
        else action.dest.upper()
    )
    shown = " ".join(name) if isinstance(name, tuple) else str(name)
    return f"{shown}…" if action.nargs in ("*", "+") else shown


def _help(action: argparse.Action) -> str:
    text = (action.help or "") % {**vars(action), "prog": ""}
    if text or action.option_strings:
        return text
    return {"SOURCE": "name of the source", "STREAM": "name of the stream"}.get(
        str(action.metavar), ""
    )


def _examples(verb: str) -> Iterator[str]:
    if EXAMPLES.get(verb):
        commands = [(f"landing {verb} {words}".rstrip(), what) for words, what in EXAMPLES[verb]]
        width = max(len(command) for command, _ in commands)
        yield from ("", "```bash")
        for command, what in commands:
            yield f"{command:<{width}}  # {what}" if what else command
        yield "```"


def _subcommands(
    parser: argparse.ArgumentParser,
) -> Iterator[tuple[argparse.ArgumentParser, str]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, sub in action.choices.items():
                if name in helps:
                    yield sub, helps[name]


# ── The files ────────────────────────────────────────────────────────────────────────────────────
def file_format(name: str, schema: dict[str, Any]) -> str:
    """A table for each object that a file may hold, from its JSON Schema."""
    definitions: dict[str, Any] = schema["$defs"]
    root = schema["$ref"].rpartition("/")[2]
    lines = [
        f"# {schema['title']}",
        "",
        f"Generated from `schemas/{name}`, which editors can use, too. "
        "[Configuration](../configuration.md) explains the keys.",
    ]
    for title in [root, *(title for title in definitions if title != root)]:
        definition = definitions[title]
        described = " ".join(definition.get("description", "").split())
        heading = schema["title"] if title == root else title
        lines += ["", f"## {heading}", "", described] if described else ["", f"## {heading}"]
        lines += ["", "| key | type | default |", "|---|---|---|"]
        required = definition.get("required", [])
        for key, value in definition.get("properties", {}).items():
            lines.append(f"| `{key}` | {_type(value)} | {_default(value, key in required)} |")
    return "\n".join(lines) + "\n"


def _type(value: dict[str, Any]) -> str:
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in value:
        return " or ".join(_type(one) for one in value["anyOf"] if one.get("type") != "null")
    if "enum" in value:
        return ", ".join(f"`{json.dumps(one)}`" for one in value["enum"])
    if value.get("type") == "array" and value.get("items"):
        return f"list of {_type(value['items'])}"
    if isinstance(value.get("additionalProperties"), dict):
        return f"object of {_type(value['additionalProperties'])}"
    return _cell(str(value.get("type", "anything")))


def _default(value: dict[str, Any], is_required: bool) -> str:
    if is_required:
        return "required"
    default = value.get("default")
    return "" if default is None else f"`{json.dumps(default)}`"


# ── The environment ──────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Setting:
    name: str
    example: str
    about: str
    """What `.env.example` says above it."""


def environment() -> str:
    """Each setting of `.env.example`, and the modules of the code that read it."""
    read_by = readers()
    lines = [
        *("---", "hide: [toc]", "---"),  # its table is wide
        "# Environment",
        "",
        "Generated from `.env.example` and the modules that read the variables. "
        "[Configuration](../configuration.md#environment-variables) has the defaults and details.",
        "",
        "| variable | what it is | read by |",
        "|---|---|---|",
    ]
    for setting in settings():
        example = f" Such as `{setting.example}`" if setting.example else ""
        where = ", ".join(f"`{name}`" for name in read_by.get(setting.name, ["a library"]))
        lines.append(f"| `{setting.name}` | {_cell(setting.about)}{example} | {where} |")
    return "\n".join(lines) + "\n"


def settings() -> list[Setting]:
    found: list[Setting] = []
    about: list[str] = []
    is_fresh = True
    for line in SETTINGS.read_text().splitlines():
        if match := _SETTING.match(line):
            found.append(Setting(match[1], match[2], " ".join(about)))
            is_fresh = True
        elif line.startswith("#"):
            about = [line.removeprefix("# ")] if is_fresh else [*about, line.removeprefix("# ")]
            is_fresh = False
        else:
            about, is_fresh = [], True
    return found


def readers() -> dict[str, list[str]]:
    """Modules by the names of variables that stand in them as text."""
    found: dict[str, list[str]] = {}
    for folder in READERS:
        for file in sorted(folder.rglob("*.py")):
            texts = {
                node.value
                for node in ast.walk(ast.parse(file.read_text()))
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            }
            for text in texts:
                if re.fullmatch(r"[A-Z][A-Z0-9]*_[A-Z0-9_]+", text):
                    found.setdefault(text, []).append(_module(file))
    return found


def _module(file: Path) -> str:
    if READERS[0] in file.parents:
        inner = file.relative_to(READERS[0].parent).with_suffix("")
        return ".".join(part for part in inner.parts if part != "__init__")
    return str(file.relative_to(REPOSITORY))


# ── Python ───────────────────────────────────────────────────────────────────────────────────────
def python(module: str) -> str:
    """The names that a module offers, which mkdocstrings describes."""
    path = module.replace(".", "/")
    loaded = REPOSITORY / "src" / path
    file = loaded / "__init__.py" if loaded.is_dir() else loaded.with_suffix(".py")
    tree = ast.parse(file.read_text())
    about = ast.get_docstring(tree) or ""
    lines = [f"# {module}", "", about, ""]
    for name in sorted(_offered(tree), key=str.lower):
        lines += [f"::: {module}.{name}", ""]
    return "\n".join(lines)


def _offered(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
