"""Each command says how it is used, with commands that it takes."""

from __future__ import annotations

import re
import shlex

import pytest

from landing.cli import main as run_main
from landing.cli.examples import EXAMPLES
from landing.cli.main import VERBS
from landing.cli.parser import Parser
from tests.kit import REPOSITORY, Kit


def test_every_verb_has_examples_and_no_other_has() -> None:
    assert sorted(EXAMPLES) == sorted(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_takes_its_own_examples(verb: str) -> None:
    parser = Parser(prog=f"landing {verb}")
    VERBS[verb].configure(parser)
    for words, _ in EXAMPLES[verb]:
        parser.parse_args(shlex.split(re.sub(r" >>? \S+$", "", words)))


def test_help_shows_the_examples_as_they_are_written(kit: Kit) -> None:
    lines = kit.landing("run", "--help").out.splitlines()
    at = lines.index("examples:")
    assert lines[at + 1] == "  landing run shop orders --dry-run     what would be done"
    assert any(line.startswith("exit codes: 0 success") for line in lines[at:])


@pytest.mark.parametrize("verb", VERBS)
def test_the_docs_name_every_verb(verb: str) -> None:
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")]
    assert any(f"landing {verb}" in page.read_text() for page in pages)


def test_a_word_that_is_no_verb_lists_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_main(["statsu"])
    assert "status" in capsys.readouterr().err
