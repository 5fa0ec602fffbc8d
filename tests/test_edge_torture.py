"""The quick forms of what the torture does at the edge; `test_sealing` has that of the zone."""

from __future__ import annotations

import random

import pytest

from landing import secrets
from landing.secrets import redaction
from torture.leaks import OUTPUTS, SPELLINGS, generated, is_left, leaks


def test_no_generated_secret_is_left_in_any_output() -> None:
    section = leaks(40)
    assert section.problems == []
    assert [tally.times for tally in section.tallies] == [40 * len(SPELLINGS)] * len(OUTPUTS)


def test_a_secret_that_is_left_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "known", lambda: set())
    assert all(tally.lost for tally in leaks(2).tallies if tally.what != "recordings")
    secret = generated(random.Random(1))
    assert all(is_left(f"a {spell(secret)} b", secret) for spell in SPELLINGS.values())


@pytest.mark.parametrize("spelled", ["a+b", "a%2Bb", "a%252bb", "a\\u002bb", "a&#43;b", "a%20b"])
def test_a_space_may_be_a_plus_in_any_spelling(spelled: str) -> None:
    assert secrets.is_in(f"note={spelled}-secret", "a b-secret")
