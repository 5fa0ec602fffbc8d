"""An alert as a message of a Slack incoming webhook."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from landing.errors import counted
from landing.observe.alert import Alert, Recovered

# Slack's limits, by its references of messages and blocks.
MOST_BLOCKS = 50
LONGEST_SECTION = 3_000
LONGEST_TEXT = 40_000
_MARKS = {"failed": ":red_circle:", "late": ":hourglass:"}


def slack_body(alerts: Sequence[Alert], recovered: Sequence[Recovered]) -> dict[str, Any]:
    """`text` is what notifications show, and all there is if the alerts are over."""
    every: list[Alert | Recovered] = [*alerts, *recovered]
    lines = list(map(_line, every))
    body: dict[str, Any] = {"text": "\n".join(_fitting(lines, LONGEST_TEXT))}
    if alerts:
        body["blocks"] = list(_blocks(lines))
    return body


def _blocks(lines: Sequence[str]) -> Iterator[dict[str, Any]]:
    sections = list(map(_section, lines))
    yield from sections[: MOST_BLOCKS - 1]
    if more := len(sections[MOST_BLOCKS - 1 :]):
        yield _section(f"and {counted(more, 'other')}: `landing status` shows all")


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _line(one: Alert | Recovered) -> str:
    if isinstance(one, Recovered):
        return _escaped(lambda text: f":white_check_mark: *{one.name}* {text}", one.text)
    mark = _MARKS.get(one.kind, ":warning:")
    name = f"{one.name}:" if one.kind == "late" else f"*{one.name}*"
    return _escaped(lambda text: f"{mark} {name} {text}", one.text)


def _escaped(line: Callable[[str], str], text: str) -> str:
    """As short as a section has to be after `&`, `<` and `>` are escaped, which makes it longer."""
    while True:
        escaped = line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        if len(escaped) <= LONGEST_SECTION or not text:
            return escaped
        text = text[: len(text) * 3 // 4]


def _fitting(lines: Iterable[str], longest: int) -> Iterator[str]:
    left = longest
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            return
        yield line
