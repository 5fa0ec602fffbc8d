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
_LINK = re.compile(
    r"(?P<opening>\]\()(?P<path>[^)\s#]+)(?P<anchor>#[^)\s]*)?(?=\))"
    r"|(?P<attribute>\bsrc(?:set)?=\")(?P<source>[^\"\s#]+)(?=\")"
)
_COPIED = (".gif", ".jpg", ".png", ".svg", ".webp")
_NOTE = re.compile(r"^ *<!-- .* -->\n(?= *```)", re.MULTILINE)
_LANGUAGES = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".py": "python", ".sh": "bash"}


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

    def fixed(match: re.Match[str]) -> str:
        target = _target(match, page)
        if target is None or not known(target):
            return match[0]
        relative = posixpath.relpath(on_site(target), posixpath.dirname(here) or ".")
        return f"{match['opening'] or match['attribute']}{relative}{match['anchor'] or ''}"

    return "".join(
        piece if is_code else _LINK.sub(fixed, piece) for piece, is_code in _pieces(text)
    )


def links(text: str, page: str) -> Iterator[str]:
    """Paths in the repository that a page links to, or shows."""
    for piece, is_code in _pieces(text):
        for match in () if is_code else _LINK.finditer(piece):
            if target := _target(match, page):
                yield target


def on_site(path: str) -> str:
    """Where the site has a file of the repository, below docs/ or not."""
    if path.startswith(f"{DOCS}/"):
        return path.removeprefix(f"{DOCS}/")
    is_whole = path.endswith((".md", *_COPIED))
    return f"{ELSEWHERE}/{path}" if is_whole else f"{ELSEWHERE}/{path}.md"


def in_repository(path: str) -> str:
    """The file that the site has at a path: the reverse of `on_site`."""
    if not path.startswith(f"{ELSEWHERE}/"):
        return f"{DOCS}/{path}"
    inner = path.removeprefix(f"{ELSEWHERE}/")
    shown = inner.removesuffix(".md")
    return shown if (REPOSITORY / shown).is_file() else inner


def elsewhere() -> dict[str, str | bytes]:
    """What the site has of files outside of docs/ that pages lead to, by their paths there."""
    found: dict[str, str | bytes] = {}
    left = [str(file.relative_to(REPOSITORY)) for file in (REPOSITORY / DOCS).rglob("*.md")]
    while left:
        path = left.pop()
        content = _content(path)
        if not path.startswith(f"{DOCS}/"):
            found[on_site(path)] = content
        if path.endswith(".md"):
            left += [one for one in links(str(content), path) if _is_new(one, found)]
    return found


def _target(match: re.Match[str], page: str) -> str | None:
    """The path in the repository that a link leads to; none if it leads to another host."""
    path = match["path"] or match["source"]
    if re.match(r"[a-z]+:", path):
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), path))


def _is_new(path: str, found: dict[str, str | bytes]) -> bool:
    is_ours = not path.startswith(("../", f"{DOCS}/")) and on_site(path) not in found
    return is_ours and (REPOSITORY / path).is_file()


def _content(path: str) -> str | bytes:
    """Of a page or picture as it is; of another file, a page that shows it."""
    file = REPOSITORY / path
    if path.endswith(_COPIED):
        return file.read_bytes()
    if path.endswith(".md"):
        return file.read_text()
    language = _LANGUAGES.get(file.suffix, "text")
    return f"# {path}\n\n````{language}\n{file.read_text().rstrip()}\n````\n"


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
