"""Converts text of any encoding to UTF-8."""

from __future__ import annotations

import codecs
import json

_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
_PLAIN = ("utf-8", "ascii")


def as_utf8(content: bytes, encoding: str | None = None) -> bytes:
    """Text in UTF-8 without byte order mark. Its encoding is that of the mark, or else `encoding`,
    or else guessed from zero bytes.

    Raises ValueError if it is not in that encoding.
    """
    is_marked = content.startswith(_MARKS)
    if not is_marked and encoding is not None:
        return _decoded(content, encoding)
    if is_marked or b"\0" in content[:4]:
        return _decoded(content, json.detect_encoding(content))
    return content


def _decoded(content: bytes, encoding: str) -> bytes:
    try:
        if codecs.lookup(encoding).name in _PLAIN and not content.startswith(codecs.BOM_UTF8):
            return content
        return content.decode(encoding).encode()
    except LookupError:
        raise ValueError(f"text in '{encoding}', which is no known encoding") from None
    except UnicodeError:
        raise ValueError(f"text that is not in the encoding '{encoding}'") from None
