"""The documentation's site: what it has, that its mistakes are told, and how a browser sees it."""

from __future__ import annotations

import argparse
import html
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from mkdocs.config import load_config
from mkdocs.structure.files import get_files
from playwright.sync_api import Browser, Page
from playwright.sync_api import TimeoutError as TooLate

from landing.cli.examples import EXAMPLES
from landing.cli.main import VERBS
from landing.http import __all__ as KIT
from tests.kit import REPOSITORY
from tools.site import hooks, pages, reference

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
SEEN = ("index", "troubleshooting", "comparison", "reference/command-line")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make check` builds it."""
    folder = tmp_path_factory.mktemp("site")
    done = mkdocs(REPOSITORY / "mkdocs.yml", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


# ── What it has ──────────────────────────────────────────────────────────────────────────────────
def test_every_page_of_the_docs_is_there(site: Path) -> None:
    for page in (REPOSITORY / "docs").glob("*.md"):
        assert (site / f"{page.stem}.html").is_file(), page.name


def test_the_command_line_has_every_verb_option_and_example(site: Path) -> None:
    text = words(site / "reference" / "command-line.html")
    for verb, examples in EXAMPLES.items():
        assert f"landing {verb}" in text
        for example, _ in examples:
            assert " ".join(f"landing {verb} {example}".split()) in text
    for verb in VERBS.values():
        parser = argparse.ArgumentParser()
        verb.configure(parser)
        for action in parser._actions:
            for option in action.option_strings:
                assert option in text or option in ("-h", "--help")


def test_the_environment_has_every_setting_and_who_reads_it(site: Path) -> None:
    text = words(site / "reference" / "environment.html")
    for setting in reference.settings():
        assert setting.name in text
    by = reference.readers()
    assert "landing.catalog.settings" in by["S3_ENDPOINT"]
    assert by["FEEDER_CATALOG"] == ["orchestration/feeder.py"]
    others = {setting.name for setting in reference.settings()} - set(by)
    assert all(name.startswith(("OTEL_", "RUNTIME_", "OPENLINEAGE_")) for name in others), others


def test_the_kits_names_are_described(site: Path) -> None:
    page = (site / "reference" / "landing.http.html").read_text()
    for name in KIT:
        assert f'id="landing.http.{name}"' in page, name


def test_lists_and_links_that_a_git_host_takes_work(site: Path) -> None:
    deployment = (site / "deployment.html").read_text()
    steps = re.search(r'<h2 id="secrets">.*?<ol>(.*?)</ol>', deployment, re.DOTALL)
    assert steps is not None
    assert steps[1].count('<div class="highlight">') == 3, "blocks are inside their steps"
    assert 'href="repository/.sops.yaml.html"' in deployment
    assert (site / "repository" / ".sops.yaml.html").is_file()


def test_nested_lists_get_four_spaces_and_code_stays() -> None:
    code = "text\n```\n- e\n  - f\n```\n"
    text = f"- a\n  - b\n\n    ```\n      x\n    ```\n1. c\n\n   d\n\n{code}"
    assert pages.nested(text) == (
        f"- a\n    - b\n\n        ```\n          x\n        ```\n1. c\n\n    d\n\n{code}"
    )


def test_links_and_pictures_lead_to_where_the_site_has_them() -> None:
    text = (
        '[a](docs/paging.md#b) ![c](docs/d.png) <img src="e/f.png"> [g](deploy/Dockerfile)\n'
        "[h](https://example.com/i.md) [j](#k)\n```\n[l](docs/paging.md)\n```\n"
    )
    assert pages.linked(text, "README.md", lambda path: True) == (
        '[a](../paging.md#b) ![c](../d.png) <img src="e/f.png"> [g](deploy/Dockerfile.md)\n'
        "[h](https://example.com/i.md) [j](#k)\n```\n[l](docs/paging.md)\n```\n"
    )
    for path in ("docs/paging.md", "README.md", "deploy/Dockerfile", ".sops.yaml"):
        assert pages.in_repository(pages.on_site(path)) == path


# ── What is told ─────────────────────────────────────────────────────────────────────────────────
def test_a_page_that_is_in_no_menu_is_reported_with_the_missing_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = load_config(str(REPOSITORY / "mkdocs.yml"))
    config.nav = [entry for entry in config.nav if "Troubleshooting" not in entry]
    with caplog.at_level(logging.WARNING):
        hooks.complain_of_omitted(get_files(config), config)
    assert caplog.messages == [
        "docs/troubleshooting.md is in no menu: "
        "add the line `- Title: troubleshooting.md` under `nav` in mkdocs.yml"
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[a](gone.md)", "gone.md"),
        ("[a](#gone)", "#gone"),
        ("[a](/index.md)", "absolute link"),
    ],
)
def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path, text: str, told: str) -> None:
    """With the settings of this site; its own pages would take too long."""
    validation = re.search(
        r"^validation:\n(?: .*\n)+", (REPOSITORY / "mkdocs.yml").read_text(), re.M
    )
    assert validation is not None
    (tmp_path / "mkdocs.yml").write_text(f"site_name: a\nplugins: []\n{validation[0]}")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(text)
    done = mkdocs(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert done.returncode != 0
    assert told in done.stderr


# ── How it looks ─────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_asks_no_other_host_and_scrolls_down_alone(
    browser: Browser, address: str, scheme: Any, size: Any
) -> None:
    with browser.new_context(color_scheme=scheme, viewport=size) as context:
        page = context.new_page()
        hosts, errors = watched(page)
        for name in SEEN:
            page.goto(f"{address}/{name}.html")
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert is_dark(background) is (scheme == "dark"), background
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= size["width"], f"{name} is {wide} px wide"
            shot(page, f"{name.replace('/', '-')}-{scheme}-{size['width']}")
        assert hosts == {urlsplit(address).netloc}
        assert errors == []


def test_the_search_finds_a_message(browser: Browser, address: str) -> None:
    with browser.new_context(viewport=DESKTOP) as context:
        page = context.new_page()
        hosts, _ = watched(page)
        page.goto(f"{address}/index.html")
        box = page.get_by_placeholder("Search").first
        # Other pages have the words, too; a link to one of its parts may be folded away.
        found = ".md-search-result__link:is([href*=troubleshooting], [href*=messages]):visible"
        for _ in range(8):  # what is typed before the index is loaded is not searched for
            box.fill("")
            box.press_sequentially("rate limit is reached")  # it listens to keys alone
            with suppress(TooLate):
                link = page.locator(found).first.evaluate("link => link.href", timeout=15_000)
                break
        # Not by a click: the list is drawn anew while more of the index is searched.
        page.goto(link)
        assert re.search(r"/(troubleshooting|reference/messages)\.html", page.url)
        assert "rate limit is reached" in page.content()
        assert hosts == {urlsplit(address).netloc}


def watched(page: Page) -> tuple[set[str], list[str]]:
    """Hosts that it asks, and what its scripts complain of, as both become known."""
    page.set_default_timeout(120_000)
    hosts: set[str] = set()
    errors: list[str] = []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    return hosts, errors


def is_dark(color: str) -> bool:
    return sum(map(float, re.findall(r"[\d.]+", color)[:3])) < 3 * 128


def shot(page: Page, name: str) -> None:
    """A picture to look at, in the folder that SCREENSHOTS names."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def words(page: Path) -> str:
    """The page's text, without its markup."""
    text = re.sub(r"<[^>]+>", "", page.read_text())
    return " ".join(html.unescape(text).split())


def mkdocs(config: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(config), "-d", str(folder)],
        cwd=REPOSITORY,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
