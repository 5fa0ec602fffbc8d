"""Pages as a git host shows them, made fit for the site: nested lists, links that leave docs/."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DOCS = "docs"
ELSEWHERE = "repository"
"""Where the site has files of the repository that are outside of docs/."""

_FENCE = re.compile(r"^ *(```+|~~~+)")
_ITEM = re.compile(r"^( *)((?:[-*+]|\d+\.) +)(?=\S)")
_LINK = re.compile(r"(\]\()([^)\s#]+)?(#[^)\s]*)?(\))")
_NOTE = re.compile(r"^ *<!-- .* -->\n(?= *```)", re.MULTILINE)
_LANGUAGES = {"yaml": "yaml", "yml": "yaml", "json": "json", "py": "python", "sh": "bash"}


def nested(text: str) -> str:
    """With four spaces for each level of a list, which Python's Markdown asks for, where a git host
    takes what stands below the item's text."""
    lines = []
    starts: list[int] = []  # of the texts of the items that the line is in
    fence = ""
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip(" "))
        if not fence and line.strip():
            while starts and indent < starts[-1]:
                starts.pop()
        inside = starts[-1] if starts else 0
        lines.append(" " * 4 * len(starts) + line[min(indent, inside) :] if line.strip() else "")
        if match := _FENCE.match(line):
            fence = "" if fence and match[1] == fence else fence or match[1]
        elif not fence and (item := _ITEM.match(line)):
            starts.append(len(item[0]))
    return "\n".join(lines)


def without_notes(text: str) -> str:
    """Without the comments before a block, which are for the tests."""
    return _NOTE.sub("", text)


def linked(text: str, page: str, known: Callable[[str], bool]) -> str:
    """With links to files outside of docs/ leading to their pages of the site. `page` is the path
    in the repository, and `known` says whether a path in it has a page."""
    here = on_site(page)

    def mended(match: re.Match[str]) -> str:
        opening, path, anchor, closing = match.groups(default="")
        if not path or re.match(r"[a-z]+:", path):
            return match[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
        if not known(target):
            return match[0]
        relative = posixpath.relpath(on_site(target), posixpath.dirname(here) or ".")
        return f"{opening}{relative}{anchor}{closing}"

    return "".join(
        piece if is_code else _LINK.sub(mended, piece) for piece, is_code in _pieces(text)
    )


def links(text: str, page: str) -> Iterator[str]:
    """Paths in the repository that a page links to."""
    for piece, is_code in _pieces(text):
        for _, path, _, _ in [] if is_code else _LINK.findall(piece):
            if path and not re.match(r"[a-z]+:", path):
                yield posixpath.normpath(posixpath.join(posixpath.dirname(page), path))


def on_site(path: str) -> str:
    """Where the site has a file of the repository, below docs/ or not."""
    if path.startswith(f"{DOCS}/"):
        return path.removeprefix(f"{DOCS}/")
    return f"{ELSEWHERE}/{path}" if path.endswith(".md") else f"{ELSEWHERE}/{path}.md"


def elsewhere() -> dict[str, str]:
    """The pages of files outside of docs/ that pages lead to, by their paths in the repository."""
    found: dict[str, str] = {}
    left = [str(file.relative_to(REPOSITORY)) for file in (REPOSITORY / DOCS).rglob("*.md")]
    while left:
        page = left.pop()
        text = (REPOSITORY / page).read_text()
        if not page.startswith(f"{DOCS}/"):
            found[page] = text if page.endswith(".md") else _shown(page, text)
        if page.endswith(".md"):
            left += [path for path in links(text, page) if _is_new(path, found)]
    return found


def _is_new(path: str, found: dict[str, str]) -> bool:
    is_ours = not path.startswith(("../", f"{DOCS}/")) and path not in found
    return is_ours and (REPOSITORY / path).is_file()


def _shown(path: str, text: str) -> str:
    language = _LANGUAGES.get(path.rpartition(".")[2], "text")
    return f"# {path}\n\n````{language}\n{text.rstrip()}\n````\n"


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """Prose and fenced code in turn."""
    piece: list[str] = []
    fence = ""
    for line in text.splitlines(keepends=True):
        match = _FENCE.match(line)
        if match and not fence:
            yield "".join(piece), False
            piece, fence = [line], match[1]
        elif match and match[1] == fence:
            yield "".join([*piece, line]), True
            piece, fence = [], ""
        else:
            piece.append(line)
    yield "".join(piece), bool(fence)
