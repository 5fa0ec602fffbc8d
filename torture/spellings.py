"""Generated secrets, and the ways in which a text may have them."""

from __future__ import annotations

import base64
import html
import json
import random
import re
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_MARKS = "/+=&<>\"'\\%?#:@$ \t\n~`|{}[]()*.,;!^_-"
_OTHERS = "äßñéøλжה中語🙂\u00a0\u202e"


Spelling = Callable[[str], str]


def _utf16(text: str) -> list[int]:
    data = text.encode("utf-16-be")
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


def _mixed_case(text: str) -> str:
    """Every other escape in lower case."""
    found = iter(range(len(text)))
    return re.sub("%..", lambda m: m[0].lower() if next(found) % 2 else m[0], text)


def _base64(before: str, text: str, after: str = "") -> str:
    return base64.b64encode(f"{before}{text}{after}".encode()).decode()


SPELLINGS: dict[str, Spelling] = {
    "as it is": str,
    "in a URL": lambda s: quote(s, safe=""),
    "in a form": quote_plus,
    "in a URL within a URL": lambda s: quote(quote(s, safe=""), safe=""),
    "in JSON": lambda s: json.dumps(s)[1:-1],
    "in JSON with escaped slashes": lambda s: json.dumps(s)[1:-1].replace("/", "\\/"),
    "in JSON of a browser": lambda s: json.dumps(s)[1:-1].replace("&", "\\u0026"),
    "in JSON within JSON": lambda s: json.dumps(json.dumps(s)),
    "in Python": lambda s: repr(s)[1:-1],
    "as Python's bytes": lambda s: repr(s.encode())[2:-1],
    "in HTML": html.escape,
    "in HTML by numbers": lambda s: "".join(c if c.isalnum() else f"&#{ord(c)};" for c in s),
    "in hexadecimal": lambda s: s.encode().hex(),
    "in hexadecimal, upper case": lambda s: s.encode().hex().upper(),
    "in a URL, lower case": lambda s: re.sub("%..", lambda m: m[0].lower(), quote(s, safe="")),
    "for a shell": shlex.quote,
    "in a form within JSON": lambda s: json.dumps(quote_plus(s))[1:-1],
    "in a dictionary of Python": lambda s: repr({"note": [s]}),
    "in Basic": lambda s: base64.b64encode(f"user:{s}".encode()).decode(),
    "in a token for URLs": lambda s: base64.urlsafe_b64encode(f"{s}:x".encode()).decode(),
    "in a URL, in mixed case": lambda s: _mixed_case(quote(s, safe="")),
    "in a path": quote,
    "as the password of a URL": lambda s: f"https://me:{quote(s, safe='')}@host/x",
    "in a URL, each letter": lambda s: "".join(f"%{byte:02x}" for byte in s.encode()),
    "in a URL within a URL, each letter": lambda s: "".join(f"%25{b:02X}" for b in s.encode()),
    "in JSON, each letter": lambda s: "".join(f"\\u{unit:04X}" for unit in _utf16(s)),
    "in JSON, each letter, within JSON": lambda s: "".join(f"\\\\u{u:04x}" for u in _utf16(s)),
    "in JSON, not in ASCII": lambda s: json.dumps(s, ensure_ascii=False)[1:-1],
    "in JSON in a URL": lambda s: quote_plus(json.dumps({"note": s})),
    "in Python, each letter": lambda s: "".join(f"\\x{byte:02x}" for byte in s.encode()),
    "in Python's ASCII": lambda s: ascii(s)[1:-1],
    "in C, each letter": lambda s: "".join(f"\\{byte:03o}" for byte in s.encode()),
    "in HTML, each letter": lambda s: "".join(f"&#{ord(c)};" for c in s),
    "in HTML, each letter in hexadecimal": lambda s: "".join(f"&#x{ord(c):X};" for c in s),
    "in HTML within HTML": lambda s: html.escape(html.escape(s)),
    "in HTML in JSON of a browser": lambda s: json.dumps(html.escape(s)).replace("&", "\\u0026"),
    "in a URL in HTML": lambda s: "".join(f"&#{ord(c)};" for c in quote(s)),
    "for a shell, by hand": lambda s: "'" + s.replace("'", "'\\''") + "'",
    "for a shell, in Python": lambda s: repr(shlex.quote(s)),
    "read as Latin-1": lambda s: s.encode().decode("latin-1"),
    "in Basic in a URL": lambda s: quote(_base64("u:", s), safe=""),
    "in Basic in JSON": lambda s: _base64(":", s).replace("/", "\\/"),
    "in Basic, as in a URL": lambda s: _base64("id:", quote(s, safe="")),
    "in Basic, in Latin-1": lambda s: base64.b64encode(
        f"me:{s}".encode("latin-1" if max(s) < "\u0100" else "utf-8")
    ).decode(),
    "in base64 over lines": lambda s: base64.encodebytes(
        f"{'x' * 50}{s}{'y' * 50}".encode()
    ).decode(),
    "in base64 over lines, in JSON": lambda s: json.dumps(
        base64.encodebytes(f"{'x' * 49}{s}{'y' * 50}".encode()).decode()
    ),
    "in a JSON web token": lambda s: (
        base64.urlsafe_b64encode(json.dumps({"key": s}).encode()).decode().rstrip("=")
    ),
}


def generated(chance: random.Random) -> str:
    """As keys, passwords and tokens look, and as they hardly ever do."""
    alphabet = chance.choice(
        [_LETTERS, _LETTERS + _MARKS, _MARKS + _LETTERS[:8], _OTHERS + _LETTERS]
    )
    while True:
        secret = "".join(chance.choices(alphabet, k=chance.randint(8, 48))).strip()
        if len(secret) >= 8:
            return secret
