"""Where the API of a document is, and how it authenticates."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from landing.errors import UsageError, listed
from landing.scaffold.openapi.document import Document, at, children, elements, value
from landing.scaffold.plan import AuthPlan

if TYPE_CHECKING:
    from jsonschema_path import SchemaPath

_SWAGGER_FLOWS = {"application": "clientCredentials", "accessCode": "authorizationCode"}


def base_url_of(document: Document) -> str:
    """The first server's URL, with its variables' defaults. A relative one is resolved against the
    document's URL.

    Raises UsageError if the document leaves the address, or a part of it, open.
    """
    server = next(elements(at(document.root, "servers")), None)
    url = _swagger_url(document) if server is None else str(value(server, "url") or "/")
    for name, variable in children(None if server is None else at(server, "variables")):
        if (default := value(variable, "default")) not in (None, ""):
            url = url.replace(f"{{{name}}}", str(default))
    if missing := re.findall(r"{([^}]*)}", url):
        raise UsageError(
            f"{document.location} has the API's address as {url}, without a value of "
            f"{listed(missing)}: add --base-url=https://…"
        )
    if "://" not in url and document.location.startswith(("http://", "https://")):
        url = urljoin(document.location, url)
    if "://" not in url:
        raise UsageError(
            f"{document.location} does not say where the API is: add --base-url=https://…"
        )
    return url.rstrip("/")


def _swagger_url(document: Document) -> str:
    """From the places of Swagger 2; a path alone if the document names no host."""
    host, path = (str(value(document.root, key) or "") for key in ("host", "basePath"))
    schemes = value(document.root, "schemes") or ["https"]
    scheme = "https" if "https" in schemes else str(schemes[0])
    return f"{scheme}://{host}/{path.lstrip('/')}" if host else path or "/"


def security_schemes(document: Document) -> dict[str, SchemaPath]:
    """By name; of OpenAPI 3 or of Swagger 2."""
    schemes = children(at(document.root, "components", "securitySchemes"))
    return dict(schemes) or dict(children(at(document.root, "securityDefinitions")))


def auth_of(document: Document) -> AuthPlan:
    """The first scheme that all requests need, or else the first of the document."""
    schemes = security_schemes(document)
    required = [
        name for one in elements(at(document.root, "security")) for name in one.read_value()
    ]
    for name in (*required, *schemes):
        if name in schemes and (plan := _scheme(schemes[name], document)) is not None:
            return plan
    return AuthPlan()


def _scheme(scheme: SchemaPath, document: Document) -> AuthPlan | None:
    match value(scheme, "type"), str(value(scheme, "scheme") or "").lower():
        case ("http", "basic") | ("basic", _):
            return AuthPlan("basic")
        case ("http", "bearer") | ("openIdConnect", _):
            return AuthPlan("bearer")
        case "apiKey", _:
            where, name = value(scheme, "in"), str(value(scheme, "name"))
            if where == "query":
                return AuthPlan("api-key-in-query", {"name": name})
            return AuthPlan("api-key", {"name": name}) if where == "header" else None
        case "oauth2", _:
            flows = dict(children(at(scheme, "flows")))
            if flow := _SWAGGER_FLOWS.get(str(value(scheme, "flow"))):
                flows[flow] = scheme  # Swagger 2 has one flow, in the scheme itself
            return _oauth2(flows, document)
    return None


def _oauth2(flows: dict[str, SchemaPath], document: Document) -> AuthPlan:
    def url(flow: SchemaPath, name: str) -> str:
        address = str(value(flow, name))
        remote = document.location.startswith("http")
        return urljoin(document.location, address) if remote else address

    if (flow := flows.get("clientCredentials")) is not None:
        return AuthPlan("oauth2-client", {"token_url": url(flow, "tokenUrl")})
    if (flow := flows.get("authorizationCode")) is not None:
        urls = {"token_url": url(flow, "tokenUrl"), "authorize_url": url(flow, "authorizationUrl")}
        return AuthPlan("oauth2-login", urls)
    return AuthPlan("bearer")
