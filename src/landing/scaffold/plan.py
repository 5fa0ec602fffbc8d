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

DEFAULT_PAGE_ROWS = 500
DEFAULT_INITIAL_VALUE = "1970-01-01T00:00:00Z"


@dataclass(frozen=True)
class Argument:
    """An argument of a `landing.http` class that an answer fills in. Required without `default`."""

    name: str
    question: str
    default: str | int | None = None


@dataclass(frozen=True)
class Kind:
    """A class of `landing.http` and the arguments it needs."""

    class_name: str
    summary: str
    arguments: tuple[Argument, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    """Environment variables as pairs: the name after the source's prefix, and a description."""


_SIZE = Argument("size", "parameter for the number of rows", "limit")
_SIZE_IF_ANY = Argument("size", "parameter for the number of rows, if there is one", "")
_TOTAL = Argument("total", "path of the total number of rows in the body, if there is one", "")

PAGINGS: dict[str, Kind] = {
    "none": Kind("", "the whole response is one page"),
    "offset": Kind(
        "OffsetPages",
        "a number of rows to skip",
        (Argument("offset", "parameter for the offset", "offset"), _SIZE, _TOTAL),
    ),
    "page": Kind(
        "NumberedPages",
        "a page number",
        (
            Argument("number", "parameter for the page number", "page"),
            _SIZE,
            Argument("first", "number of the first page", 1),
            _TOTAL,
        ),
    ),
    "cursor": Kind(
        "CursorPages",
        "a cursor for the next page in the body",
        (
            Argument("path", "path of the cursor in the body, such as meta.next_cursor"),
            Argument("param", "parameter for the cursor", "cursor"),
            _SIZE_IF_ANY,
        ),
    ),
    "cursor-header": Kind(
        "CursorPages",
        "a cursor for the next page in a header",
        (
            Argument("header", "name of the header with the cursor"),
            Argument("param", "parameter for the cursor", "cursor"),
            _SIZE_IF_ANY,
        ),
    ),
    "link": Kind("LinkPages", "the header Link", (_SIZE_IF_ANY,)),
    "next-url": Kind(
        "NextUrlPages",
        "the next page's URL in the body",
        (Argument("path", "path of the next page's URL in the body", "next"), _SIZE_IF_ANY),
    ),
    "next-url-header": Kind(
        "HeaderUrlPages",
        "the next page's URL in a header other than Link",
        (
            Argument("header", "name of the header with the URL"),
            Argument("size", "parameter for the number of rows, if there is one", ""),
        ),
    ),
    "keyset": Kind(
        "KeysetPages",
        "rows after the last row's value of a field",
        (
            Argument("field", "the field that rows are sorted by, distinct in each row"),
            Argument("param", "parameter for its last value"),
            Argument("limit_param", "parameter for the number of rows", "limit"),
        ),
    ),
    "graphql": Kind(
        "",
        "a GraphQL connection with pageInfo",
        (
            Argument("connection", "path of the connection in the data", "{stream}"),
            Argument("fields", "fields of a node, separated by spaces", "id"),
            Argument("size", "argument for the number of nodes", "first"),
        ),
    ),
}

_USER = (("USER", "the user's name"), ("PASSWORD", "the user's password"))
_CLIENT = (("CLIENT_ID", "the client's id"), ("CLIENT_SECRET", "the client's secret"))
_SCOPE = Argument("scope", "scopes to request, separated by spaces, if any", "")

AUTHS: dict[str, Kind] = {
    "none": Kind("", "no authentication"),
    "bearer": Kind("Bearer", "a bearer token", variables=(("TOKEN", "the bearer token"),)),
    "api-key": Kind(
        "ApiKey",
        "a key in a header",
        (Argument("name", "name of the header", "X-API-Key"),),
        (("API_KEY", "the API key"),),
    ),
    "api-key-in-query": Kind(
        "ApiKey",
        "a key in the query of each URL",
        (Argument("name", "name of the parameter", "api_key"),),
        (("API_KEY", "the API key"),),
    ),
    "basic": Kind("Basic", "user and password", variables=_USER),
    "session": Kind(
        "SessionLogin",
        "a login that sets a cookie",
        (
            Argument("url", "path or URL of the login", "login"),
            Argument("user", "name of the form's field for the user", "username"),
            Argument("password", "name of the form's field for the password", "password"),
            Argument("cookie", "name of the session's cookie, if you know it", ""),
        ),
        _USER,
    ),
    "token": Kind(
        "TokenLogin",
        "a login whose response has a token",
        (
            Argument("url", "path or URL of the login", "login"),
            Argument("user", "name of the member for the user in the JSON body", "username"),
            Argument("password", "name of the member for the password", "password"),
            Argument("token", "path of the token in the response", "token"),
            Argument("header", "header with the token", "Authorization: Bearer {token}"),
            Argument(
                "expires", "path of the token's lifetime in the response, if there is one", ""
            ),
        ),
        _USER,
    ),
    "oauth2-client": Kind(
        "OAuth2ClientCredentials",
        "OAuth 2, client credentials",
        (Argument("token_url", "path or URL of the token endpoint"), _SCOPE),
        _CLIENT,
    ),
    "oauth2-jwt": Kind(
        "JwtBearer",
        "OAuth 2, a service account with a private key",
        (Argument("token_url", "path or URL of the token endpoint"), _SCOPE),
        (("ISSUER", "the service account's name"), ("PRIVATE_KEY", "its private key, as PEM text")),
    ),
    "oauth2-login": Kind(
        "OAuth2RefreshToken",
        "OAuth 2 with a refresh token, granted once in the browser (landing login)",
        (
            Argument("token_url", "path or URL of the token endpoint"),
            Argument("authorize_url", "path or URL of the authorization endpoint"),
            _SCOPE,
        ),
        _CLIENT,
    ),
}


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
    """Query parameters whose values are in environment variables, with descriptions."""
    is_post: bool = False
    """Whether it is a search: parameters are paths in a JSON body."""

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
