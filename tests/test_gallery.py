"""Each source of the gallery lands what its API has, and then what changed."""

from __future__ import annotations

import json
import re

import pytest

from tests.kit import REPOSITORY, Kit, Outcome, Zone
from tests.servers.gallery import StandIn, stand_ins
from tests.servers.scripted import serve

PAGE = REPOSITORY / "docs" / "gallery.md"
SECTIONS = dict(re.findall(r"^## (.+?): .+?^```python\n(.+?)^```", PAGE.read_text(), re.M | re.S))


def test_each_section_of_the_page_has_a_stand_in_and_is_short() -> None:
    assert list(SECTIONS) == [api.name for api in stand_ins()]
    assert len(SECTIONS) == 10
    assert all(len(code.splitlines()) <= 42 for code in SECTIONS.values())


@pytest.mark.parametrize("api", stand_ins(), ids=lambda api: api.name)
def test_a_source_of_the_gallery_lands_all_rows_and_then_what_changed(
    api: StandIn, kit: Kit, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = api.name.partition(" ")[0].lower()
    is_inclusive = "inclusive=True" in SECTIONS[api.name]  # a page's last row comes again
    with serve(api) as server:
        url = re.search(r"\b([A-Z]+_URL)\b", SECTIONS[api.name])
        assert url is not None
        for name, value in {url[1]: server.url, **api.env}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("DATAVERSE_URL", server.url)
        monkeypatch.setenv("DATAVERSE_TOKEN_URL", f"{server.url}/token")
        kit.add_source(source, SECTIONS[api.name])
        found = kit.discover(source)
        assert found.code == 0, found.text
        stream = next((kit.root / "dag" / "sources" / source).glob("*.json")).stem
        config = kit.discovered(source, stream)
        kit.configure(source, stream, json.dumps({**config, "selected": True}))

        first = kit.run(source, stream)
        assert first.code == 0, first.text
        assert _landed(first) == len(api.first) + (2 if is_inclusive else 0)
        assert _keys(zone, source, stream, api) == sorted(map(api.key_of, api.rows))

        api.change()
        again = kit.run(source, stream)
        assert again.code == 0, again.text
        new = len(api.more) if "incremental" in SECTIONS[api.name] else len(api.rows)
        assert _landed(again) == new + (1 if is_inclusive else 0)
        assert _keys(zone, source, stream, api) == sorted(map(api.key_of, api.rows))
        assert "warning" not in first.text + again.text


def _landed(run: Outcome) -> int:
    found = re.search(r": ([0-9,]+) rows? in", run.out)
    assert found is not None, run.text
    return int(found[1].replace(",", ""))


def _keys(zone: Zone, source: str, stream: str, api: StandIn) -> list[str]:
    key = " || '/' || ".join(f'"{name}"' for name in api.key)
    return sorted(
        row for (row,) in zone.query(source, stream, f"SELECT DISTINCT ({key}) || '' FROM landed")
    )
