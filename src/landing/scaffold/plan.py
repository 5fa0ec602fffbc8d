"""The plan of a new source, as plain data from flags, questions or an OpenAPI document."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from landing.catalog.names import check_name
from landing.errors import UsageError, listed, nearest
from landing.scaffold.kinds import AUTHS, PAGINGS, Kind

DEFAULT_PAGE_ROWS = 500
DEFAULT_INITIAL_VALUE = "1970-01-01T00:00:00Z"


TAKEN = frozenset({"api", "client", "dlt", "os", "streams", *dir(builtins)})
"""Names that the files of a source use for something else."""


@dataclass(frozen=True)
class AuthPlan:
    kind: str = "none"
    arguments: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True)
class PagingPlan:
    kind: str = "none"
    arguments: Mapping[str, str | int] = field(default_factory=dict)
    rows: int = DEFAULT_PAGE_ROWS


@dataclass(frozen=True)
class CursorPlan:
    field: str
    param: str
    initial_value: str | int = DEFAULT_INITIAL_VALUE
    template: str = ""
    """What the parameter takes, such as `updated_at ge {value}`; the value alone if empty."""


@dataclass(frozen=True)
class StreamPlan:
    name: str
    path: str
    records: str = ""
    paging: PagingPlan = PagingPlan()
    primary_key: Sequence[str] = ("id",)
    cursor: CursorPlan | None = None
    params: Mapping[str, str | int] = field(default_factory=dict)
    """Further query parameters of each request."""
    description: str = ""
    guesses: Sequence[str] = ()
    """Sentences for comments: guesses that a person should check."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Parameters whose values are in environment variables, with descriptions."""
    in_path: Sequence[str] = ()
    """Those of them that `path` has in braces; the others are in the query."""
    is_post: bool = False
    """Whether it is a search: parameters are paths in a JSON body."""

    def path_with(self, values: Mapping[str, str]) -> str:
        """The path with a text for each parameter in it."""
        path = self.path
        for name in self.in_path:
            path = path.replace(f"{{{name}}}", values[name])
        return path

    @property
    def function(self) -> str:
        """The name as a Python identifier that hides no name that the module uses."""
        name = re.sub(r"\W", "_", self.name).lower()
        if name[0].isdigit() or keyword.iskeyword(name) or name in TAKEN:
            name = f"_{name}"
        return name


@dataclass(frozen=True)
class SourcePlan:
    """Raises UsageError for names or a base URL that can't be used."""

    name: str
    base_url: str
    auth: AuthPlan
    streams: Sequence[StreamPlan]
    title: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, "source")
        if not self.name.isidentifier() or keyword.iskeyword(self.name) or self.name[0] == "_":
            raise UsageError(
                f"'{self.name}' can't be a source's name, because it names a Python package: "
                "letters, digits and '_' only, beginning with a letter"
            )
        check_url(self.base_url)
        if not self.streams:
            raise UsageError("a source needs at least one stream: name them with --streams")
        functions: dict[str, str] = {}
        for stream in self.streams:
            check_name(stream.name, "stream")
            other = functions.setdefault(stream.function, stream.name)
            if other is not stream.name:
                raise UsageError(
                    f"streams '{other}' and '{stream.name}' would be the same function, "
                    f"{stream.function}; rename one of them"
                )

    @property
    def prefix(self) -> str:
        return self.name.upper()

    def variables(self) -> list[tuple[str, str]]:
        """Names of the source's environment variables, with descriptions."""
        url = (f"{self.prefix}_URL", f"the API's address, such as {self.base_url}")
        own = [(f"{self.prefix}_{name}", what) for name, what in AUTHS[self.auth.kind].variables]
        of_streams = {
            self.variable(name): what
            for stream in self.streams
            for name, what in stream.variables.items()
        }
        return [url, *own, *of_streams.items()]

    def variable(self, parameter: str) -> str:
        """The environment variable for a parameter of the API."""
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", parameter)
        name = re.sub(r"[^A-Za-z0-9]+", "_", words).strip("_").upper() or "PARAMETER"
        is_taken = name in ("URL", *dict(AUTHS[self.auth.kind].variables))
        return f"{self.prefix}_{name}_PARAMETER" if is_taken else f"{self.prefix}_{name}"

    def example(self) -> dict[str, str]:
        """The source's environment variables, with a value for the one that is not secret."""
        names = [name for name, _ in self.variables()]
        return dict.fromkeys(names, "") | {names[0]: self.base_url}


def check_url(url: str) -> str:
    """Returns `url` if it can be an API's base URL; raises UsageError otherwise."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(
            f"'{url}' can't be the base URL: it has to begin with http:// or https:// and a host"
        )
    if not url.isprintable() or " " in url:
        raise UsageError(f"{url!r} can't be the base URL: it has a space or a control character")
    if "@" in parts.netloc:
        raise UsageError("the base URL has a password, which would be written to files")
    if parts.query or parts.fragment:
        raise UsageError(
            "the base URL has a query, which would be written to files: give a key in it with "
            "--auth=api-key-in-query, and leave the rest to the streams"
        )
    return url


def planned_auth(kind: str, given: Mapping[str, str]) -> AuthPlan:
    """Raises UsageError for an unknown kind and for wrong or missing arguments."""
    arguments = _arguments("--auth", AUTHS, kind, given)
    header = str(arguments.get("header", "X: {token}"))
    if "{token}" not in header.partition(":")[2]:
        raise UsageError(
            f"--auth-arg header: '{header}' has to be a name, a colon and a text with {{token}} in "
            "it, such as 'Authorization: Bearer {token}'"
        )
    return AuthPlan(kind, arguments)


def paging_plan(kind: str, given: Mapping[str, str], rows: int = DEFAULT_PAGE_ROWS) -> PagingPlan:
    """Raises UsageError for an unknown kind and for wrong or missing arguments."""
    return PagingPlan(kind, _arguments("--paging", PAGINGS, kind, given), rows)


def _arguments(
    flag: str, kinds: Mapping[str, Kind], kind: str, given: Mapping[str, str]
) -> dict[str, str | int]:
    if kind not in kinds:
        hint = nearest(kind, kinds)
        raise UsageError(f"{flag}: there is no '{kind}'{hint}; there are: {listed(kinds)}")
    known = {argument.name: argument for argument in kinds[kind].arguments}
    for name in given:
        if name not in known:
            hint = nearest(name, known)
            raise UsageError(f"{flag}={kind} has no '{name}'{hint}; it has: {listed(known)}")
    missing = [name for name, one in known.items() if one.default is None and not given.get(name)]
    if missing:
        needed = " ".join(f"{flag}-arg {name}=…" for name in missing)
        message = "; ".join(f"{name}: {known[name].question}" for name in missing)
        raise UsageError(f"{flag}={kind} needs {needed} ({message})")
    found: dict[str, str | int] = {}
    for name, argument in known.items():
        value: str | int = given.get(name) or argument.default or ""
        found[name] = _number(flag, name, value) if isinstance(argument.default, int) else value
    return found


def _number(flag: str, name: str, value: str | int) -> int:
    try:
        return int(value)
    except ValueError:
        raise UsageError(f"{flag}-arg {name}: '{value}' is not a whole number") from None
