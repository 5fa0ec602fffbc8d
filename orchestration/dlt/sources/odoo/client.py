"""Odoo over its external API: any stock Odoo from version 14 on, no module to install.

Environment variables:

ODOO_URL        Odoo's address, such as https://shop.example.com
ODOO_DB         Name of the database
ODOO_USER       Login of the user; create a separate one with read access only.
                Not needed with an API key on Odoo 19 or newer.
ODOO_API_KEY    API key of that user (Preferences, Account Security, New API Key), or
ODOO_PASSWORD   its password. One of the two is needed; with both, the API key is used.

Odoo 19 and newer is read through JSON-2 if there is an API key. Everything else goes through
JSON-RPC, where an API key stands in for the password.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Protocol, cast
from urllib.parse import urljoin, urlsplit

from requests import Response

from landing.http import Bearer, Retries, Session

JSON2_SINCE_VERSION = 19
CONNECT_AND_READ_TIMEOUT = (10.0, 300.0)

MODULES = {"sale.order": "sale", "sale.order.line": "sale"}


class OdooError(Exception):
    """Odoo refused or failed. The message says why and what to do, and contains no secret."""


class Odoo:
    """Calls methods of models with named arguments, whichever protocol the server speaks."""

    def __init__(self) -> None:
        http = Http(os.environ["ODOO_URL"])
        database = os.environ["ODOO_DB"]
        api_key = os.environ.get("ODOO_API_KEY")
        secret = api_key or os.environ.get("ODOO_PASSWORD")
        if not secret:
            raise OdooError("No credentials: set ODOO_API_KEY (preferred) or ODOO_PASSWORD.")
        self._protocol: Transport
        if api_key and server_version(http) >= JSON2_SINCE_VERSION:
            self._protocol = Json2(http, database, api_key)
        else:
            self._protocol = JsonRpc(http, database, os.environ["ODOO_USER"], secret)

    def fields_of(self, model: str) -> dict[str, dict[str, Any]]:
        """The fields that the user may read, each with its `type` and `store` (is it stored)."""
        fields = self._protocol.call(model, "fields_get", {"attributes": ["type", "store"]})
        return cast(dict[str, dict[str, Any]], fields)

    def search_read(
        self,
        model: str,
        domain: list[Any],
        *,
        fields: list[str],
        order: str,
        limit: int,
    ) -> list[dict[str, Any]]:
        """Archived records included."""
        arguments = {
            "domain": domain,
            "fields": fields,
            "order": order,
            "limit": limit,
            "context": {"active_test": False},
        }
        return cast(list[dict[str, Any]], self._protocol.call(model, "search_read", arguments))


class Transport(Protocol):
    def call(self, model: str, method: str, arguments: Mapping[str, Any]) -> Any: ...


class Json2:
    """`POST /json/2/<model>/<method>` with a bearer key; errors are HTTP statuses with a body."""

    def __init__(self, http: Http, database: str, api_key: str) -> None:
        self._http = http
        self._database = database
        http.session.auth = Bearer(api_key)
        http.session.headers["X-Odoo-Database"] = database

    def call(self, model: str, method: str, arguments: Mapping[str, Any]) -> Any:
        response = self._http.post(f"/json/2/{model}/{method}", arguments)
        if response.ok:
            return self._http.parse(response)
        if response.status_code == HTTPStatus.NOT_FOUND and not _is_json(response):
            raise unknown_database(self._database)
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            raise OdooError(
                "Odoo does not accept the API key: create a new one in the user's preferences "
                "(Account Security) and set ODOO_API_KEY. Keys expire after the time chosen then."
            )
        raise explained(model, *name_and_message({"data": self._http.parse(response)}))


class JsonRpc:
    """`POST /jsonrpc`, where every call carries the credentials and errors come with status 200."""

    def __init__(self, http: Http, database: str, login: str, secret: str) -> None:
        self._http = http
        self._database = database
        self._secret = secret
        self._user_id = self._log_in(login)

    def call(self, model: str, method: str, arguments: Mapping[str, Any]) -> Any:
        credentials = [self._database, self._user_id, self._secret]
        answer = self._http.json_rpc(
            "object", "execute_kw", [*credentials, model, method, [], dict(arguments)]
        )
        if error := answer.get("error"):
            raise explained(model, *name_and_message(error))
        return answer.get("result")

    def _log_in(self, login: str) -> int:
        answer = self._http.json_rpc(
            "common", "authenticate", [self._database, login, self._secret, {}]
        )
        if error := answer.get("error"):
            name, message = name_and_message(error)
            if name.startswith("psycopg2.") or "does not exist" in message:
                raise unknown_database(self._database)
            raise OdooError(f"Odoo could not log in {login!r}: {name}: {message}")
        if not answer.get("result"):
            raise wrong_credentials()
        return int(answer["result"])


class Http:
    """Requests to one Odoo. All of them only read, so each may be repeated."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        # 500 is Odoo's answer to a call that will fail again.
        retries = Retries(final={HTTPStatus.INTERNAL_SERVER_ERROR}, deadline=900)
        self.session = Session(retries=retries)

    def post(self, path: str, body: Mapping[str, Any]) -> Response:
        """Odoo's own response; raises an exception of requests for any other response, or none."""
        # A redirected POST would arrive as a GET, and without its body at another host.
        response = self.session.post(
            self._url + path,
            json=body,
            is_read=True,
            allow_redirects=False,
            timeout=CONNECT_AND_READ_TIMEOUT,
        )
        if response.is_redirect:
            target = urlsplit(urljoin(response.url, response.headers["Location"]))
            host = target.netloc.rpartition("@")[2]
            raise OdooError(
                f"ODOO_URL redirects to {target.scheme}://{host}{target.path}: set it to the "
                "address where Odoo itself answers."
            )
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS or response.status_code > 500:
            response.raise_for_status()
        return response

    def parse(self, response: Response) -> Any:
        try:
            return response.json()
        except ValueError:
            raise OdooError(
                f"ODOO_URL answered {response.status_code} {response.reason}, but not as Odoo "
                "does: check ODOO_URL."
            ) from None

    def json_rpc(self, service: str, method: str, args: list[Any]) -> dict[str, Any]:
        params = {"service": service, "method": method, "args": args}
        body = {"jsonrpc": "2.0", "method": "call", "id": 1, "params": params}
        response = self.post("/jsonrpc", body)
        if response.status_code == HTTPStatus.NOT_FOUND:
            raise OdooError(
                "No JSON-RPC there: check ODOO_URL; an Odoo too new for JSON-RPC is read with "
                "ODOO_API_KEY."
            )
        return cast(dict[str, Any], self.parse(response))


def server_version(http: Http) -> int:
    """The major version; a server that no longer speaks JSON-RPC is new enough for JSON-2."""
    response = http.post(
        "/web/webclient/version_info", {"jsonrpc": "2.0", "method": "call", "params": {}}
    )
    if response.status_code == HTTPStatus.NOT_FOUND:
        return JSON2_SINCE_VERSION
    answer = http.parse(response)
    try:
        # Odoo's hosting runs versions in between: "saas~18" still is 18.
        return int(str(answer["result"]["server_version_info"][0]).removeprefix("saas~"))
    except (KeyError, TypeError, ValueError):
        raise OdooError("ODOO_URL does not tell an Odoo version: is it an Odoo?") from None


def name_and_message(error: Mapping[str, Any]) -> tuple[str, str]:
    data = error.get("data")
    if not isinstance(data, dict):
        data = error
    return str(data.get("name", "")), str(data.get("message", ""))


def explained(model: str, name: str, message: str) -> OdooError:
    """Odoo's error, as one that says what to do."""
    if name.endswith("AccessDenied"):
        return wrong_credentials()
    if name.endswith("AccessError"):
        return OdooError(
            f"The Odoo user may not read {model}: give it a group that may "
            f"(for sale orders: Sales, User: All Documents). Odoo says: {message}"
        )
    if name.endswith(("UserError", "NotFound")) and model in message:
        module = MODULES.get(model)
        hint = f"install the app '{module}'" if module else "install the module that brings it"
        return OdooError(f"This Odoo has no model {model}: {hint}, or leave the stream out.")
    return OdooError(f"Odoo failed to read {model}: {name}: {message}")


def wrong_credentials() -> OdooError:
    return OdooError(
        "Odoo does not accept the credentials: check ODOO_USER with ODOO_API_KEY or "
        "ODOO_PASSWORD. A user with two-factor authentication needs an API key."
    )


def unknown_database(name: str) -> OdooError:
    return OdooError(f"No database {name!r} there: check ODOO_DB, and then ODOO_URL.")


def _is_json(response: Response) -> bool:
    return "json" in response.headers.get("Content-Type", "")
