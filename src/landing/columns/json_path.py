"""Paths to one place in JSON: names separated by dots, or a JSONPath.

`meta.next` and `params.1` are read without a parser. `$["a.b"].c`, `data[0].items` and other
JSONPaths are parsed by the library that dlt parses them with. A name that itself has dots, as
`@odata.nextLink`, is found without quotes too.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import msgspec

from landing.errors import SourceError

Step: TypeAlias = str | int

_JSONPATH = re.compile(r"^\$|[\[\]'\"*?()]|\.\.")


class Path(NamedTuple):
    steps: tuple[Step, ...]
    is_exact: bool
    """Whether each step is one name; otherwise a name may consist of several steps with dots."""

    @property
    def names(self) -> tuple[str, ...] | None:
        """The steps as names; None if one of them may be an index."""
        if any(isinstance(step, int) or step.isdecimal() for step in self.steps):
            return None
        return self.steps  # type: ignore[return-value]

    @property
    def may_join(self) -> bool:
        return not self.is_exact and len(self.steps) > 1


NOWHERE = Path((), True)
"""The path of the whole body."""


@cache
def parsed(path: str) -> Path:
    """The parsed path. Raises SourceError if it is malformed or may mean several places."""
    if not path:
        return NOWHERE
    if not _JSONPATH.search(path):
        return Path(tuple(path.split(".")), False)
    # jsonpath-ng takes a while to import, and few paths need it.
    from dlt.common import jsonpath
    from jsonpath_ng.exceptions import JSONPathError

    try:
        return Path(tuple(_steps(jsonpath.compile_path(path), path)), True)
    except JSONPathError as error:
        raise SourceError(f"the path '{path}' is no JSONPath: {error}") from None


def _steps(node: Any, path: str) -> list[Step]:
    from jsonpath_ng import Child, Fields, Index, Root

    match node:
        case Root():
            return []
        case Child():
            return [*_steps(node.left, path), *_steps(node.right, path)]
        case Fields(fields=(name,)) if name != "*":
            return [name]
        case Index(indices=(place,)):
            return [place]
    raise SourceError(
        f"the path '{path}' can mean several places; only names and list places can be used, "
        "such as $.data[0]['a.b']"
    )


def raw_at(content: bytes | msgspec.Raw, path: str) -> msgspec.Raw | None:
    """The JSON text of the value at a path, or None if there is no such place.

    Raises msgspec.DecodeError if what has to be read of the content is no JSON.
    """
    return _found(msgspec.Raw(content), *parsed(path))


def value_at(content: bytes, path: str, missing: Any = None) -> Any:
    """The value at a path, or `missing`; nothing else is decoded. Raises as `raw_at` does."""
    raw = raw_at(content, path)
    return missing if raw is None else msgspec.json.decode(raw)


def _found(raw: msgspec.Raw, steps: tuple[Step, ...], is_exact: bool) -> msgspec.Raw | None:
    if not steps:
        return raw
    if (kind := first_byte(raw)) == b"{":
        members = members_of(raw)
        for taken in range(1, 2 if is_exact else len(steps) + 1):
            name = ".".join(map(str, steps[:taken]))
            if name in members:
                found = _found(members[name], steps[taken:], is_exact)
                if found is not None:
                    return found
    elif kind == b"[" and (place := place_of(steps[0])) is not None:
        items = _LIST.decode(raw)
        if -len(items) <= place < len(items):
            return _found(items[place], steps[1:], is_exact)
    return None


def first_byte(raw: bytes | msgspec.Raw) -> bytes:
    """The first byte of a JSON text: `{`, `[`, `"` or that of another scalar."""
    return bytes(memoryview(raw)[:64]).lstrip()[:1]


def members_of(raw: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """An object's members, undecoded."""
    return _OBJECT.decode(raw)


_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


def place_of(step: Step) -> int | None:
    return step if isinstance(step, int) else int(step) if step.isdecimal() else None


def value_in(body: Any, path: str, missing: Any = None) -> Any:
    """The value at a path in a decoded JSON body, or `missing`."""
    place, last = _owner(body, path, make=False)
    return missing if place is None else place[last]


def put(body: Any, path: str, value: Any) -> None:
    """Set the value at a path in a request's JSON body, and create missing objects.

    Raises SourceError if the path leads beyond the end of a list, or into a scalar.
    """
    place, last = _owner(body, path, make=True)
    if place is None:
        raise SourceError(f"the request's body has no place for the parameter '{path}'")
    if isinstance(place, list) and last == len(place):
        place.append(value)
    else:
        place[last] = value


def remove(body: Any, path: str) -> None:
    """Remove the member at a path from a request's JSON body, if it is there."""
    place, last = _owner(body, path, make=False)
    if place is not None:
        del place[last]


def _owner(body: Any, path: str, *, make: bool) -> tuple[Any, Any]:
    """The object or list that has the path's last step, and its name or index in it; None if there
    is none and `make` is false."""
    steps = list(parsed(path).steps)
    if isinstance(body, dict) and path in body:
        return body, path
    for step in steps[:-1]:
        body = _inner(body, step, make)
        if body is None:
            return None, None
    last: Any = _key(body, steps[-1], make)
    return (None, None) if last is None else (body, last)


def _inner(body: Any, step: Step, make: bool) -> Any:
    key = _key(body, step, make)
    if key is None or (isinstance(body, list) and key == len(body)):
        return None
    if make and isinstance(body, dict):
        return body.setdefault(key, {})
    return body[key]


def _key(body: Any, step: Step, make: bool) -> Any:
    if isinstance(body, dict):
        return str(step) if make or str(step) in body else None
    place = place_of(step)
    if isinstance(body, list) and place is not None and place < len(body) + make:
        return place
    return None
