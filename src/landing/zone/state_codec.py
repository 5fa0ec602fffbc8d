"""dlt's pipeline state as text and back: compressed JSON in which typed values carry a mark.

The format is dlt's, so that its tools read the states in the bucket; the code is this project's, so
that a state can be read without importing dlt and whatever version of it is installed.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec

_FIRST_MARK = 0xF026
"""In Unicode's private use area: the first character of a string that stands for another type."""
_DECODERS: tuple[Callable[[str], Any], ...] = (
    Decimal,
    datetime.fromisoformat,
    date.fromisoformat,
    UUID,
    lambda text: bytes.fromhex(text.removeprefix("0x")),
    base64.b64decode,
    Decimal,  # dlt's Wei, which is one
    time.fromisoformat,
)
_DECIMAL, _DATETIME, _DATE, _, _, _BYTES, _, _TIME = (
    chr(_FIRST_MARK + number) for number in range(len(_DECODERS))
)
_UNHASHED = {"_state_version", "_state_engine_version", "_version_hash", "_local"}


def encoded(state: Mapping[str, Any]) -> str:
    """Raises TypeError, ValueError or OverflowError if a value has no place in JSON."""
    return base64.b64encode(zlib.compress(msgspec.json.encode(_marked(state)), 9)).decode()


def decoded(text: str) -> dict[str, Any]:
    """Raises ValueError or zlib.error if that is no state."""
    state = _unmarked(msgspec.json.decode(zlib.decompress(base64.b64decode(text, validate=True))))
    if not isinstance(state, dict):
        raise ValueError("not an object")
    return state


def version_hash(state: Mapping[str, Any]) -> str:
    """Of what a state says, without its version."""
    content = {name: value for name, value in state.items() if name not in _UNHASHED}
    text = msgspec.json.encode(_marked(content), order="deterministic")
    return base64.b64encode(hashlib.sha3_256(text).digest()).decode()


def _marked(value: Any) -> Any:
    """`value` as what JSON has; what is of no known type is left to the encoder to refuse."""
    match value:
        case Enum():
            return value.value
        case Decimal():
            return f"{_DECIMAL}{value}"
        case datetime():
            return _DATETIME + value.isoformat()
        case date():
            return _DATE + value.isoformat()
        case time():
            return _TIME + value.isoformat()
        case UUID():
            return str(value)  # as dlt writes it
        case bytes():
            return _BYTES + base64.b64encode(value).decode()
        case Mapping():
            return {_key(name): _marked(inner) for name, inner in value.items()}
        case _ if hasattr(value, "_asdict"):
            return _marked(value._asdict())
        case list() | tuple():
            return list(map(_marked, value))
        case set() | frozenset():
            raise TypeError(f"a {type(value).__name__} is no JSON value")
        case _ if is_dataclass(value) and not isinstance(value, type):
            return _marked(asdict(value))
    return value


def _key(name: Any) -> str:
    return name if isinstance(name, str) else msgspec.json.encode(name).decode().strip('"')


def _unmarked(value: Any) -> Any:
    match value:
        case dict():
            return {name: _unmarked(inner) for name, inner in value.items()}
        case list():
            return list(map(_unmarked, value))
        case str() if len(value) > 1 and 0 <= ord(value[0]) - _FIRST_MARK < len(_DECODERS):
            try:
                return _DECODERS[ord(value[0]) - _FIRST_MARK](value[1:])
            except (ValueError, ArithmeticError):
                return value  # a text that happens to begin with such a character
    return value
