"""Finds a text in another, however it is spelled there: escaped as in a URL, JSON, HTML, Python or
a shell, whole or letter by letter, repeatedly and in any mixture, or once in base64 or hexadecimal.

Escapes are undone layer by layer. Each layer knows where its escapes were, so that what is found
can be cut out of the original text.
"""

from __future__ import annotations

import base64
import json
import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from html.entities import html5
from typing import TypeAlias
from urllib.parse import quote

Span: TypeAlias = tuple[int, int]

_MOST_LAYERS = 6
_SHORTEST = 4
"""Characters. A shorter spelling of a text is not searched for: it occurs anywhere."""
_LONGEST_KEPT = 10_000
_SHORTEST_ENCODED = 8
"""Fewest bytes that are searched for in base64 and hexadecimal."""
_ESCAPES = (
    r"%(?P<in_url>[0-9A-Fa-f]{2})"
    r"|\\\\*(?!\0)(?:x(?P<byte>[0-9A-Fa-f]{2})|u(?P<unit>[0-9A-Fa-f]{4})|U(?P<code>[0-9A-Fa-f]{8})"
    r"|u\{(?P<braced>[0-9A-Fa-f]{1,6})\}|(?P<octal>[0-3][0-7]{2})"
    r"|(?P<control>[abfnrtv])|(?P<other>.?))"
    r"|&(?:#0*(?P<decimal>[0-9]{1,7})|#[xX]0*(?P<hexadecimal>[0-9A-Fa-f]{1,6})"
    r"|(?P<name>[A-Za-z][A-Za-z0-9]{1,31}));"
    r"|'(?P<quotes>['\"]+)|\"(?P<more_quotes>['\"]+)|\0(?P<nul>\0*)"
)
"""Each alternative begins with a character, so that `re` skips quickly what begins with no other.
`quotes`: a shell spells an apostrophe as `'"'"'`. `nul`: as in ASCII read from UTF-16."""
_OF_ASCII = re.compile(_ESCAPES, re.DOTALL)
_OF_ANY_TEXT = re.compile(
    _ESCAPES
    + r"|(?P<utf8>[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3})"
    r"|(?P<pair>[\ud800-\udbff][\udc00-\udfff])|(?<![\ud800-\udbff])(?P<undecoded>[\udc80-\udcff])",
    re.DOTALL,
)
"""`utf8`: bytes that were read as Latin-1. `undecoded`: Python's spelling of a byte that is not
UTF-8."""
_CONTROLS = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))
_BASES = {
    **dict.fromkeys(("in_url", "byte", "unit", "code", "braced", "hexadecimal"), 16),
    "octal": 8,
    "decimal": 10,
}


@dataclass(frozen=True)
class Layer:
    text: str
    origin: Callable[[int], int]
    """Where the character at a position begins in the original text."""

    def span(self, start: int, end: int) -> Span:
        """In the original text."""
        return self.origin(start), self.origin(end)

    @cached_property
    def _without_plus(self) -> str:
        """A form has a plus for a space."""
        return self.text.replace("+", " ")

    @cached_property
    def _without_spaces(self) -> str:
        """Base64 may be broken over lines."""
        return "".join(self._without_plus.split())

    @cached_property
    def _kept(self) -> Sequence[int]:
        """Where the characters of `_without_spaces` stand in the text."""
        kept = array("q")
        for word in re.finditer(r"\S+", self._without_plus):
            kept.extend(range(*word.span()))
        return kept

    def find(self, spellings: _Spellings, *, as_word: bool) -> Iterator[Span]:
        for spelling in spellings.plain:
            for at in _places(self._without_plus, spelling):
                end = at + len(spelling)
                if not (as_word and (self._has_word_at(at) or self._has_word_at(end))):
                    yield self.span(at, end)
        for spelling in spellings.encoded:
            for at in _places(self._without_spaces, spelling):
                yield self.span(self._kept[at], self._kept[at + len(spelling) - 1] + 1)

    def _has_word_at(self, at: int) -> bool:
        """Whether the characters before and after this position are of one word."""
        pair = self.text[max(at - 1, 0) : at + 1]
        return len(pair) == 2 and pair.replace("_", "a").isalnum()


class Escaped:
    """A text with its escapes undone, layer by layer; the first layer is the text itself."""

    @classmethod
    def of(cls, text: str) -> Escaped:
        """The same for a text that was looked at a moment ago, as each is before it is printed."""
        return _recent(text) if len(text) <= _LONGEST_KEPT else cls(text)

    def __init__(self, text: str) -> None:
        self.layers = [Layer(text, int)]
        while len(self.layers) < _MOST_LAYERS:
            further = _undone(self.layers[-1])
            if further.text == self.layers[-1].text:
                break
            self.layers.append(further)

    def find(self, sought: str, *, as_word: bool = False) -> Iterator[Span]:
        """Where the original text has it, in any spelling; with `as_word`, not as a part of a
        longer word. The spans may overlap."""
        spellings = _spellings(sought)
        for layer in self.layers:
            yield from layer.find(spellings, as_word=as_word)


_recent = lru_cache(maxsize=8)(Escaped)


def _places(text: str, sought: str) -> Iterator[int]:
    at = text.find(sought)
    while at >= 0:
        yield at
        at = text.find(sought, at + len(sought))


def _undone(layer: Layer) -> Layer:
    """Keeps three numbers for each escape, as one for each character takes a gigabyte for a large
    text: where the escape starts and ends, and where what it means stops in the new text."""
    starts, ends, stops = array("q"), array("q", [0]), array("q", [0])

    def undo(match: re.Match[str]) -> str:
        meant = _meant(match)
        start, end = match.span()
        stops.append(stops[-1] + start - ends[-1] + len(meant))
        starts.append(start)
        ends.append(end)
        return meant

    def origin(at: int) -> int:
        last = bisect_right(stops, at) - 1
        # All that the next escape means begins where that escape starts.
        return layer.origin(min(at - stops[last] + ends[last], starts[last]))

    escape = _OF_ASCII if layer.text.isascii() else _OF_ANY_TEXT
    text = escape.sub(undo, layer.text)
    starts.append(len(layer.text))
    return Layer(text, origin)


def _meant(match: re.Match[str]) -> str:
    kind = match.lastgroup or ""
    text = match[kind]
    if kind in _BASES:
        number = int(text, _BASES[kind])
        return chr(number) if number < 0x110000 else match[0]
    match kind:
        case "control":
            return _CONTROLS[text]
        case "other":
            return text
        case "name":
            return html5.get(f"{text};", match[0])
        case "quotes" | "more_quotes":
            return "'"
        case "utf8":
            try:
                return text.encode("latin-1").decode(errors="surrogatepass")
            except UnicodeDecodeError:
                return text
        case "pair":
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        case "undecoded":
            return chr(ord(text) - 0xDC00)
    return ""


@dataclass(frozen=True)
class _Spellings:
    plain: Sequence[str]
    encoded: Sequence[str]
    """In base64 and hexadecimal, without plus signs and spaces."""


@lru_cache(maxsize=1024)
def _spellings(sought: str) -> _Spellings:
    """The text itself may look as if it had escapes, and is sought as it is and with them undone:
    one of the layers in which it is sought has them undone as often."""
    plain = [layer.text.replace("+", " ") for layer in Escaped(sought).layers]
    # A quotation mark at its beginning may have become one with another before it.
    plain += [spelling.strip("'\"") for spelling in plain]
    kept = [plain[0], *(spelling for spelling in plain if len(spelling) >= _SHORTEST)]
    encoded = [spelling.replace("+", "") for spelling in _encoded(sought)]
    return _Spellings(list(dict.fromkeys(kept)), list(dict.fromkeys(encoded)))


def _encoded(sought: str) -> Iterator[str]:
    data = sought.encode(errors="surrogatepass")
    in_latin = sought.encode("latin-1") if max(sought, default="") < "\u0100" else data
    if len(in_latin) < _SHORTEST_ENCODED:
        return
    yield from (data.hex(), data.hex().upper())
    # A client's secret is escaped before it becomes base64; that of a token is in JSON.
    in_url, in_json = quote(data, safe="").encode(), json.dumps(sought)[1:-1].encode()
    for spelled in dict.fromkeys((data, in_latin, in_url, in_json)):
        yield from _in_base64(spelled)


def _in_base64(data: bytes) -> Iterator[str]:
    """As it appears inside base64 text, as in Basic's `user:password`, at any offset.

    Three bytes become four characters, so there are three alignments. Characters that share bits
    with the text before or after the value are left out.
    """
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            whole = (before + len(data)) // 3 * 3 - before
            skip = (0, 2, 3)[before]
            yield encode(b"\0" * before + data[:whole]).decode()[skip:]
