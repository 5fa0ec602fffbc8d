"""Sources from public OpenAPI documents, against stand-ins that page as each API's own pages say.

The documents themselves are not kept here. `tests/public_documents.json` has what tells how a list
of each kind pages, and `python -m tools.openapi_table --facts` writes it. `docs/openapi.md` has the
table of the whole documents.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kit import REPOSITORY, Kit, Zone
from tools.openapi_table.apis import APIS, Api
from tools.openapi_table.documents import OpenApi, lists
from tools.openapi_table.trial import tried

DOCUMENTS = json.loads((REPOSITORY / "tests" / "public_documents.json").read_text())
OTHERS = {
    ("asana", "/task_templates"): ("told", "Page by CursorPages"),  # lacks `next_page`
    ("slack", "/conversations.history"): (
        "told",
        "has more pages than were read",
    ),  # lacks a cursor
    ("xero", "/Journals"): ("told", "two pages hold the same rows"),  # `offset` takes a number
    ("square", "/v2/events/types"): ("missed", "no stream was written"),  # two lists of one thing
}
"""Lists that their document describes in part, or in a way of its own."""


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
def test_a_public_document_is_read_whole(
    api: Api, kit: Kit, folder_zone: Zone, tmp_path: Path
) -> None:
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(DOCUMENTS[api.name]))

    def landing(*arguments: str) -> tuple[int, str, str]:
        done = kit.landing(*arguments)
        return done.code, done.out, done.err

    verdicts = tried(api, file, list(lists(OpenApi(file), api)), landing, kit.root)
    assert {one.path for one in verdicts} == set(DOCUMENTS[api.name]["paths"])
    for one in verdicts:
        outcome, why = OTHERS.get((api.name, one.path), ("whole", ""))
        assert one.outcome == outcome, one
        assert why in one.why
