"""The argument parser of all verbs: it raises errors, and suggests the nearest valid word."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from landing.errors import nearest

_WRONG_CHOICE = re.compile(r"invalid choice: '([^']*)' \(choose from (.*)\)")


class WrongUsage(Exception):
    def __init__(self, parser: argparse.ArgumentParser, message: str) -> None:
        super().__init__(message)
        self.parser = parser


class Parser(argparse.ArgumentParser):
    reordered: Callable[[Sequence[str]], Sequence[str]] | None = None
    """Applied to the words before they are parsed, by a verb that has a short form."""

    def __init__(self, **options: Any) -> None:
        # An abbreviation of an option would fail once another option begins alike.
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        wrong = _WRONG_CHOICE.search(message)
        if wrong and (hint := nearest(wrong[1], re.findall(r"[\w-]+", wrong[2]))):
            message = f"{message[: wrong.start()]}invalid choice: '{wrong[1]}'{hint}"
        raise WrongUsage(self, message)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self.reordered is not None and args is not None:
            args = self.reordered(args)
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:  # here, since a parser above has other options and another usage
            hint = nearest(unknown[0].partition("=")[0], self._option_string_actions)
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return parsed, unknown


class Help(argparse.HelpFormatter):
    """Wraps paragraphs, except those with indented lines, such as examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        fill = super()._fill_text
        paragraphs = text.split("\n\n")
        return "\n\n".join(p if "\n  " in p else fill(p, width, indent) for p in paragraphs)


def add_verbs(
    parser: argparse.ArgumentParser, verbs: dict[str, tuple[str, Callable[..., int]]]
) -> dict[str, argparse.ArgumentParser]:
    """Add the verbs below a verb, such as `land` of `landing quarantine`, each with its help and
    the function for `options.call`."""
    below = parser.add_subparsers(dest="below", required=True, metavar="VERB", prog=parser.prog)
    parsers = {}
    for name, (text, call) in verbs.items():
        parsers[name] = below.add_parser(name, help=text, description=f"{text.capitalize()}.")
        parsers[name].set_defaults(call=call)
        # No default, which would take the place of what the parser above has read.
        add_debug(parsers[name], default=argparse.SUPPRESS)
    return parsers


def add_debug(parser: argparse.ArgumentParser, default: Any = False) -> None:
    parser.add_argument(
        "--debug", action="store_true", default=default, help="show the traceback of an error"
    )
