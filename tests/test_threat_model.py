"""The threat model of SECURITY.md names tests that exist, where it says that they are."""

from __future__ import annotations

import re

import pytest

from tests.kit import REPOSITORY

MODEL = (REPOSITORY / "SECURITY.md").read_text().partition("## What is promised")[0]
_MENTION = re.compile(r"\[(test_\w+\.py)\]\(tests/(test_\w+\.py)\)|`(test_\w+)`")


def mentioned() -> list[tuple[str, str]]:
    """Each test with its file: the last one named before it in its cell or sentence."""
    found = []
    for part in re.split(r"\||\n", MODEL):
        file = "test_security.py"
        for name, path, test in _MENTION.findall(part):
            assert name == path
            file = path or file
            if test:
                found.append((file, test))
    return found


@pytest.mark.parametrize(("file", "test"), mentioned())
def test_a_test_of_the_threat_model_exists(file: str, test: str) -> None:
    assert f"\ndef {test}(" in (REPOSITORY / "tests" / file).read_text()


def test_every_attack_has_a_test() -> None:
    rows = [line for line in MODEL.splitlines() if line.startswith("| ")]
    attacks = [row for row in rows if not row.startswith(("| attack", "|---"))]
    assert len(attacks) >= 14
    assert all("`test_" in row for row in attacks)
    for who in ("The API", "OpenAPI document", "colleague's config", "read the bucket"):
        assert re.search(rf"\*\*[^*]*{who}", MODEL)
