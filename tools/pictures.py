"""The pictures of `landing report` in docs/images: a made-up shop's two weeks of real runs.

    python -m tools.pictures [FOLDER]

Takes two minutes, Chromium, and what the tests need. The page is kept beside the pictures if a
folder is named.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import time_machine
from playwright.sync_api import Page, sync_playwright

from landing.cli import main as landing
from tests.histories import make_history

IMAGES = Path(__file__).parent.parent / "docs" / "images"
NOW = datetime(2026, 6, 12, 9, 20, tzinfo=UTC)
LARGEST = 250_000
DRAWN = """() => [...document.querySelectorAll("[data-chart]")].every((chart) => {
    const { top, bottom } = chart.getBoundingClientRect();
    const isSeen = chart.checkVisibility() && top < innerHeight && bottom > 0;
    return !isSeen || chart.querySelector("svg path");
})"""
# Name, width, height, scheme, and whether the first streams' details are shown.
SHOTS = (
    ("report-light", 1280, 1240, "light", False),
    ("report-dark", 1280, 1240, "dark", True),
    ("report-phone", 390, 1400, "light", False),
)


def main() -> int:
    kept = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(prefix="landing-") as folder:
        page = _page(Path(folder))
        if kept is not None:
            kept.mkdir(parents=True, exist_ok=True)
            shutil.copy(page, kept / page.name)
        return _shoot(page, kept or IMAGES)


def _page(folder: Path) -> Path:
    os.environ["DLT_BUCKET_URL"] = (folder / "zone").as_uri()
    (folder / "orchestration" / "dlt" / "sources").mkdir(parents=True)
    os.chdir(folder)
    make_history(folder, NOW, days=14, runs_a_day=6)
    with time_machine.travel(NOW):
        # What the page says of where it is from should be no folder of this machine.
        assert landing(["report", "--output", "report.html"]) == 0
    text = (folder / "report.html").read_text()
    page = folder / "report.html"
    page.write_text(text.replace((folder / "zone").as_uri(), "s3://landing/raw"))
    return page


def _shoot(page: Path, folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    code = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for name, width, height, scheme, is_open in SHOTS:
            opened = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
                device_scale_factor=1,
            )
            opened.clock.set_fixed_time(NOW)
            opened.goto(page.as_uri())
            if is_open:
                opened.locator("details.stream", has_text="shop/orders").locator("summary").click()
                opened.evaluate(
                    "scrollTo(0, document.querySelector('details[open]').offsetTop - 16)"
                )
            _await_charts(opened)
            file = folder / f"{name}.png"
            opened.screenshot(path=file)
            size = file.stat().st_size
            print(f"{file.name}: {size:,} bytes")
            code |= size > LARGEST
            opened.close()
        browser.close()
    return int(code)


def _await_charts(page: Page) -> None:
    until = time.monotonic() + 60
    while not page.evaluate(DRAWN):  # the page's policy keeps wait_for_function from working
        assert time.monotonic() < until, "a chart is not drawn"
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
