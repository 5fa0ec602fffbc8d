"""docs/troubleshooting.md says what the code says, and leaves out no kind of error."""

from __future__ import annotations

import re

import pytest

from landing import errors
from tests.kit import REPOSITORY
from tools.site.messages import messages, said, tree

PAGE = (REPOSITORY / "docs" / "troubleshooting.md").read_text()
QUOTED = re.findall(r"^### `(.+)`$", PAGE, re.MULTILINE)


def test_the_page_quotes_messages() -> None:
    assert len(QUOTED) > 30
    assert len(set(QUOTED)) == len(QUOTED)


@pytest.mark.parametrize("message", QUOTED)
def test_a_quoted_message_is_in_the_code(message: str) -> None:
    """Where the page has `…`, the code fills in something, or says one of several things."""
    pattern = ".*".join(re.escape(piece) for piece in message.split("…"))
    assert any(re.search(pattern, text) for text in said())


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_every_kind_of_error_is_explained(kind: type[errors.LandingError]) -> None:
    (row,) = [
        row for row in PAGE.splitlines() if row.startswith("|") and f"`{kind.__name__}`" in row
    ]
    assert f"| {kind.exit_code} |" in row


def test_messages_are_found_wherever_the_code_makes_an_error() -> None:
    found = {(message.error, message.text) for message in messages()}
    assert {kind for kind, _ in found} == set(tree())
    assert (
        errors.BucketUnusable,
        "bucket '…' does not exist at …: create it, or fix … or S3_ENDPOINT",
    ) in found
    assert any("LANDING_DUCKLAKE_CATALOG is not set" in text for _, text in found)
