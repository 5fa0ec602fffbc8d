"""The kinds of credentials and of paging that `landing new` offers."""

from __future__ import annotations

from dataclasses import dataclass


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
