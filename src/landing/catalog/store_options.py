"""Options of the clients of buckets from the environment: those for Azure Blob Storage and Google
Cloud Storage, and which variables do not count.

The options' names are those of object_store, the library below both obstore and delta-rs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from landing.catalog.settings import BucketSettings, s3_keys
from landing.errors import SettingsError
from landing.secrets import is_secret_variable, register_lasting, secrets_of

_DLT = "DESTINATION__FILESYSTEM__CREDENTIALS__"
_AZURE = {
    "account_name": "AZURE_STORAGE_ACCOUNT_NAME",
    "account_key": "AZURE_STORAGE_ACCOUNT_KEY",
    "sas_key": "AZURE_STORAGE_SAS_TOKEN",
    "client_id": "AZURE_CLIENT_ID",
    "client_secret": "AZURE_CLIENT_SECRET",
    "tenant_id": "AZURE_TENANT_ID",
}
_OF_A_CONNECTION_STRING = {
    "AccountName": "account_name",
    "AccountKey": "account_key",
    "SharedAccessSignature": "sas_key",
    "BlobEndpoint": "endpoint",
}
AZURE_VARIABLES = {
    "AZURE_STORAGE_ACCOUNT_NAME": "the storage account, if the URL does not name it",
    "AZURE_STORAGE_ACCOUNT_KEY": "the account's key; a workload or managed identity without one",
    "AZURE_STORAGE_SAS_TOKEN": "a shared access signature, in place of the key",
    "AZURE_STORAGE_CONNECTION_STRING": "account and key in one, as the portal shows them",
    "AZURE_CLIENT_ID": "a service principal, with AZURE_CLIENT_SECRET and AZURE_TENANT_ID",
    "AZURE_CLIENT_SECRET": "its secret",
    "AZURE_TENANT_ID": "its tenant",
}
GOOGLE_VARIABLES = {
    "GOOGLE_APPLICATION_CREDENTIALS": "the file of a service account's key; without it, the "
    "machine's or pod's own identity",
    **{
        f"{_DLT}{name}": what
        for name, what in (
            ("PROJECT_ID", "the project of a service account, as dlt spells it"),
            ("CLIENT_EMAIL", "the service account"),
            ("PRIVATE_KEY", "its private key"),
        )
    },
}


def store_options(settings: BucketSettings) -> dict[str, str]:
    """The options of a bucket on Azure or Google; none for one elsewhere.

    Raises SettingsError if the variables don't name an account, or name half a key.
    """
    if settings.is_azure:
        return _azure(settings)
    return _google(settings) if settings.scheme == "gs" else {}


def foreign_variables(settings: BucketSettings) -> str | None:
    """What the names of variables begin with that may be of another account, since the bucket has
    an endpoint or keys of its own. The clients read them if they can."""
    if settings.scheme == "s3":
        return "AWS_" if settings.endpoint is not None or s3_keys() is not None else None
    if settings.is_local or not has_keys_of_dlt():
        return None
    return "AZURE_" if settings.is_azure else "GOOGLE_"


def allows_http(options: Mapping[str, str]) -> bool:
    return any(value.startswith("http://") for value in options.values())


def has_keys_of_dlt() -> bool:
    """Whether keys are in dlt's variables, so that the providers' own are not to be read."""
    names = ("PRIVATE_KEY", *(name for name in _AZURE.values() if is_secret_variable(name)))
    return any(_text(_DLT + name) for name in names)


def set_name(name: str) -> str:
    """The variable in dlt's spelling if that is the one that is set."""
    return _DLT + name if _text(_DLT + name) else name


def _azure(settings: BucketSettings) -> dict[str, str]:
    """dlt's variables; or else Azure's own, of which a connection string is the most complete."""
    spelled = _set({option: _DLT + name for option, name in _AZURE.items()})
    given = spelled if set(spelled) - {"account_name"} else {**_own_of_azure(), **spelled}
    if host := settings.account_host:
        given["account_name"] = host.partition(".")[0]
        given.setdefault("endpoint", _blob_endpoint(host))
    if host := _text(f"{_DLT}AZURE_ACCOUNT_HOST"):
        given["endpoint"] = _blob_endpoint(host)
    if settings.endpoint is not None:
        given["endpoint"] = settings.endpoint
    if "account_name" not in given:
        raise SettingsError(
            f"{settings.variable} is '{settings.url}', but AZURE_STORAGE_ACCOUNT_NAME is not set: "
            "set it to the storage account (environment or .env), or name the account in the URL: "
            "abfss://container@account.dfs.core.windows.net/prefix"
        )
    if "client_secret" in given and not {"client_id", "tenant_id"} <= set(given):
        raise SettingsError(
            "AZURE_CLIENT_SECRET is set; set AZURE_CLIENT_ID and AZURE_TENANT_ID, too "
            "(environment or .env)"
        )
    if "sas_key" in given:
        given["sas_key"] = given["sas_key"].lstrip("?")
    return given


def _blob_endpoint(host: str) -> str:
    return f"https://{host.removeprefix('https://').replace('.dfs.', '.blob.', 1)}"


def _own_of_azure() -> dict[str, str]:
    string = _text("AZURE_STORAGE_CONNECTION_STRING")
    pairs = dict(pair.partition("=")[::2] for pair in string.split(";") if "=" in pair)
    given = {
        option: pairs[name] for name, option in _OF_A_CONNECTION_STRING.items() if name in pairs
    }
    if pairs.get("UseDevelopmentStorage", "").lower() == "true":
        raise SettingsError(
            "AZURE_STORAGE_CONNECTION_STRING is that of development storage: set "
            "AZURE_STORAGE_ENDPOINT, AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY "
            "instead"
        )
    if "BlobEndpoint" not in pairs and {"AccountName", "EndpointSuffix"} <= pairs.keys():
        scheme = pairs.get("DefaultEndpointsProtocol", "https")
        host = f"{pairs['AccountName']}.blob.{pairs['EndpointSuffix']}"
        given[_OF_A_CONNECTION_STRING["BlobEndpoint"]] = f"{scheme}://{host}"
    return {**_set(_AZURE), **given}


def _google(settings: BucketSettings) -> dict[str, str]:
    """dlt's variables for a service account; without them, the client reads Google's own."""
    names = {"client_email": f"{_DLT}CLIENT_EMAIL", "private_key": f"{_DLT}PRIVATE_KEY"}
    key = _set(names)
    if len(key) == 1:
        (missing,) = set(names) - set(key)
        raise SettingsError(
            f"{names[missing]} is not set; set CLIENT_EMAIL and PRIVATE_KEY of the service "
            "account, or neither (environment or .env)"
        )
    options = {"base_url": settings.endpoint} if settings.endpoint else {}
    if key:
        private_key = key["private_key"].replace("\\n", "\n")
        return {
            **options,
            "service_account_key": json.dumps(
                {
                    "type": "service_account",
                    "project_id": _text(f"{_DLT}PROJECT_ID"),
                    "private_key_id": _text(f"{_DLT}PRIVATE_KEY_ID"),
                    "client_email": key["client_email"],
                    "private_key": private_key.rstrip("\n") + "\n",
                }
            ),
        }
    if file := _text("GOOGLE_APPLICATION_CREDENTIALS"):
        _register_key_of(file)
    return options


def _register_key_of(file: str) -> None:
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not a text file"
        raise SettingsError(
            f"GOOGLE_APPLICATION_CREDENTIALS is '{file}', which can't be read: {why}"
        ) from None
    register_lasting(*secrets_of("", text), what="a key in GOOGLE_APPLICATION_CREDENTIALS")


def _set(names: Mapping[str, str]) -> dict[str, str]:
    """The options whose variables have a value."""
    return {option: value for option, name in names.items() if (value := _text(name))}


def _text(name: str) -> str:
    return os.environ.get(name, "").strip()
