"""The README works as written, links lead somewhere, and no setting is left unexplained."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from landing.catalog.fields import FORMATS, KINDS, Field
from landing.catalog.stream_config import Defaults, Options, json_schemas
from tests.kit import REPOSITORY, Kit, Zone
from tests.servers.api import Api

README = REPOSITORY / "README.md"
CHAPTERS = [
    REPOSITORY / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING", "SECURITY")
]
PAGES = sorted([*CHAPTERS, *(REPOSITORY / "docs").glob("*.md")])
ARCHITECTURE = REPOSITORY / "docs" / "architecture.md"
CONFIGURATION = REPOSITORY / "docs" / "configuration.md"
SETTINGS_EXAMPLE = REPOSITORY / ".env.example"
SOURCE_MODULES = sorted((REPOSITORY / "orchestration" / "dlt" / "sources").glob("*/*.py"))

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_PATH_IN_CODE = re.compile(
    r"`((?:src|tests|tools|docs|deploy|orchestration|schemas|\.ci)/[\w./-]*|[\w.-]+\.(?:md|toml|yml))`"
)
_NAME_IN_FILE = re.compile(r"`([A-Z_a-z.]+)` (?:in |\()`(src/[\w./]+\.py)`")
_PYTHON_FILE = re.compile(r"# (orchestration/\S+\.py)\n")


@pytest.fixture
def shop(kit: Kit, api: Api, zone: Zone, monkeypatch: pytest.MonkeyPatch) -> Kit:
    """A workspace with the README's source over the test API, reading a `.env`."""
    for path, text in readme_source():
        file = kit.repository / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    settings = {"SHOP_URL": api.url, "SHOP_API_KEY": api.token}
    for name in ("DLT_BUCKET_URL", "S3_ENDPOINT", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"):
        settings[name] = os.environ[name]
        monkeypatch.delenv(name)
    lines = [f"{name}={value}\n" for name, value in settings.items()]
    (kit.repository / ".env").write_text("".join(lines))
    return kit


def test_the_readmes_source_lands_what_its_api_has(shop: Kit, api: Api, zone: Zone) -> None:
    discover, copy, run = readme_commands()
    assert "orders.json: 10 fields, new" in bash(shop, discover)
    bash(shop, copy)
    shop.config_file("shop", "orders").write_text(blocks("json", README)[0])

    dry, first, again = bash_lines(shop, run)
    assert "from 2020-01-01 00:00:00" in dry
    assert "shop/orders: 2," in first
    assert "shop/orders: nothing new" in again
    assert current(zone) == in_api(api)
    assert zone.count("shop", "orders") < len(api.rows()) * 1.02, "few rows are read twice"

    api.update("orders", 7, name="changed")
    api.add("orders", {"id": 9_001, "name": "new", "updated_at": "2024-06-01 00:00:00"})
    # Of the two, the last on its page may be on the next one, too.
    assert re.search("shop/orders: [23] rows", bash_lines(shop, run)[1])
    assert current(zone) == in_api(api)


def test_the_readmes_source_loses_nothing_to_an_edit_while_it_reads(
    shop: Kit, api: Api, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.configure("shop", "orders", blocks("json", README)[0])
    answer = api.answer
    edited: list[int] = []

    def edit_then_answer(request: Any) -> Any:
        if len(edited) < len(api.requests) - 1:  # before each page but the first
            edited.append(api.rows()[len(edited)]["id"])
            api.update("orders", edited[-1], name="edited meanwhile")
        return answer(request)

    monkeypatch.setattr(api, "answer", edit_then_answer)
    assert shop.run("shop", "orders").code == 0
    assert edited
    assert current(zone) == in_api(api)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    broken = [link for link in _LINK.findall(prose(page)) if not resolves(page, link)]
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_of_json_are_json(page: Path) -> None:
    for text in blocks("json", page):
        json.loads(text)


def test_examples_of_python_compile() -> None:
    for page in PAGES:
        for text in blocks("python", page):
            if not text.rstrip().endswith(":"):  # a signature, whose body is of no concern
                ast.parse(text, page.name)


@pytest.mark.parametrize("page", [ARCHITECTURE, REPOSITORY / "CONTRIBUTING.md"])
def test_files_that_the_architecture_names_exist(page: Path) -> None:
    named = set(_PATH_IN_CODE.findall(page.read_text()))
    assert len(named) > 5
    assert sorted(path for path in named if not (REPOSITORY / path).exists()) == []


def test_functions_that_the_architecture_names_are_in_their_files() -> None:
    named = _NAME_IN_FILE.findall(ARCHITECTURE.read_text())
    assert len(named) > 15
    for name, file in named:
        owner, _, method = name.partition(".")
        text = (REPOSITORY / file).read_text()
        for word in filter(None, (owner, method)):
            assert re.search(rf"^ *(?:(?:def|class) )?{word}\b", text, re.MULTILINE), (name, file)


def test_the_architecture_has_the_rooms_of_the_import_contract() -> None:
    """A row for each room, in the layers that `lint-imports` enforces."""
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = contracts["contracts"][0]["layers"]
    expected = [
        (str(number), room) for number, layer in enumerate(layers, 1) for room in layer.split(" | ")
    ]
    rows = [cells for cells in cells_of(ARCHITECTURE.read_text()) if cells[0].isdecimal()]
    assert [(number, room.strip("`")) for number, room, *_ in rows] == expected


@pytest.mark.parametrize(
    "change",
    ["paging", "column type", "verb", "table format", "store", "alert receiver", "JSON output"],
)
def test_the_architecture_says_where_to_make_a_change(change: str) -> None:
    """In the table, and in a section that names code, tests and docs."""
    text = ARCHITECTURE.read_text()
    heading = re.search(rf"^### (A new (?:kind of )?{change})$", text, re.MULTILINE)
    assert heading is not None
    assert f"(#{heading[1].lower().replace(' ', '-')})" in text.partition("### A new")[0]
    section = text[heading.end() :].partition("\n###")[0]
    for folder in ("src/landing/", "tests/", "docs/"):
        assert f"`{folder}" in section


def test_the_glossary_is_in_order() -> None:
    table = ARCHITECTURE.read_text().partition("## Glossary")[2]
    words = [cells[0].lower() for cells in cells_of(table)][1:]
    assert words == sorted(words)


def test_the_architecture_names_every_package() -> None:
    root = REPOSITORY / "src" / "landing"
    packages = [file.parent.relative_to(root).as_posix() for file in root.rglob("__init__.py")]
    text = ARCHITECTURE.read_text()
    assert len(packages) > 10
    assert [name for name in packages if name != "." and f"`{name}`" not in text] == []


def test_settings_of_the_engine_are_documented() -> None:
    names = set(variables(sorted((REPOSITORY / "src" / "landing").rglob("*.py"))))
    assert "DLT_BUCKET_URL" in names
    names -= {
        "XDG_CACHE_HOME",
        "XDG_STATE_HOME",
        "CI",
        "TERM",
        "NO_COLOR",
        "FORCE_COLOR",
        "ARROW_DEFAULT_MEMORY_POOL",
    }  # of the machine, not of this project
    assert undocumented(names, CONFIGURATION, SETTINGS_EXAMPLE) == []


@pytest.mark.parametrize("source", ["odoo", "datasette"])
def test_settings_of_the_sources_are_documented(source: str) -> None:
    names = set(variables([file for file in SOURCE_MODULES if file.parent.name == source]))
    assert names
    assert undocumented(names, REPOSITORY / "docs" / f"{source}.md", SETTINGS_EXAMPLE) == []


def test_every_key_type_and_format_of_the_files_is_documented() -> None:
    text = CONFIGURATION.read_text()
    keys = {key for schema in json_schemas().values() for key in properties(schema)}
    words = {*keys, *KINDS, *FORMATS}
    for model in (Field, Options, Defaults):
        words.update(model.__struct_fields__)
    assert sorted(word for word in words if f"{word}`" not in text) == []


def readme_source() -> Iterator[tuple[str, str]]:
    """Path and text of each file of the example: blocks that begin with a path in a comment."""
    for text in blocks("python", README):
        if match := _PYTHON_FILE.match(text):
            yield match[1], text


def readme_commands() -> list[str]:
    """What the example has a person type to discover, to copy, and to run."""
    commands = [text for text in blocks("bash", README) if "shop" in text]
    return [text for text in commands if "aws " not in text and "SHOP_URL" not in text]


def cells_of(table: str) -> list[list[str]]:
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def blocks(language: str, page: Path) -> list[str]:
    return [text for name, text in _FENCED.findall(page.read_text()) if name == language]


def prose(page: Path) -> str:
    return _FENCED.sub("", page.read_text())


def bash(kit: Kit, script: str) -> str:
    """The output of commands, with this interpreter as `python`."""
    folder = kit.repository if script.startswith("cd orchestration/dlt") else kit.root / "dlt"
    interpreter = f'python() {{ "{sys.executable}" "$@"; }}\n'
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", interpreter + script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def bash_lines(kit: Kit, script: str) -> Sequence[str]:
    return [bash(kit, line) for line in script.splitlines()]


def current(zone: Zone) -> dict[int, tuple[str, float | None]]:
    """The newest row for each key, by the query that docs/landing-zone.md gives."""
    rows = zone.query(
        "shop",
        "orders",
        "SELECT id, name, total FROM landed QUALIFY row_number() OVER "
        "(PARTITION BY id ORDER BY _dlt_load_id DESC, updated_at DESC) = 1",
    )
    return {row[0]: (row[1], row[2]) for row in rows}


def in_api(api: Api) -> dict[int, tuple[str, float | None]]:
    return {row["id"]: (row["name"], row.get("total")) for row in api.rows()}


def resolves(page: Path, link: str) -> bool:
    if re.match(r"[a-z]+:", link):
        return True
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.is_file() and (not anchor or anchor in anchors(target))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def variables(files: Sequence[Path]) -> Iterator[str]:
    """Names of environment variables that the modules read: `os.environ[…]` and its methods."""
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            name: ast.expr | None = None
            if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
                name = node.slice
            elif isinstance(node, ast.Call) and node.args:
                called = ast.unparse(node.func)
                if re.fullmatch(r"os\.environ\.\w+", called) or called == "os.getenv":
                    name = node.args[0]
            if isinstance(name, ast.Constant):
                yield str(name.value)


def undocumented(names: set[str], *pages: Path) -> list[tuple[str, str]]:
    return [
        (name, page.name)
        for name in sorted(names)
        for page in pages
        if not re.search(rf"\b{name}\b", page.read_text())
    ]


def properties(schema: dict[str, Any]) -> Iterator[str]:
    for definition in schema["$defs"].values():
        yield from definition.get("properties", {})
