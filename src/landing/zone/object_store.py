"""Creates the object_store client for the bucket from its settings."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

from obstore import exceptions
from obstore.store import AzureStore, GCSStore, LocalStore, S3Store

from landing.catalog.settings import BucketSettings, s3_keys
from landing.catalog.store_options import allows_http, foreign_variables, store_options
from landing.environment import hidden
from landing.errors import BucketError
from landing.zone.bucket_messages import BucketMessages

SMALL_WITHIN = timedelta(seconds=10)
"""Timeout for requests of a few kilobytes; short, so that a hanging one is retried in time to renew
a lease."""
LARGE_WITHIN = timedelta(minutes=5)
_SLOWEST_UPLOAD = 256 * 1024
"""Bytes per second, below which an upload of a whole part times out."""
_RETRIES: Any = {
    "max_retries": 5,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {
        "init_backoff": timedelta(milliseconds=200),
        "max_backoff": timedelta(seconds=5),
        "base": 2,
    },
}


def upload_within(size: int) -> timedelta:
    """Timeout for a request that uploads a file of about this size."""
    return LARGE_WITHIN + timedelta(seconds=size / _SLOWEST_UPLOAD)


Store: TypeAlias = LocalStore | S3Store | AzureStore | GCSStore


def store_of(settings: BucketSettings, within: timedelta) -> Store:
    """A client whose requests time out after `within`."""
    if settings.is_local:
        return _local(settings)
    return _s3(settings, within) if settings.scheme == "s3" else _of_a_cloud(settings, within)


def _local(settings: BucketSettings) -> LocalStore:
    folder = local_folder(settings)
    try:
        return LocalStore(folder, mkdir=True)
    except (exceptions.BaseError, OSError) as error:
        why = str(error).strip().partition("\n")[0]
        raise BucketError(f"can't use {folder} as a bucket: {why}") from None


def local_folder(settings: BucketSettings) -> Path:
    return Path(unquote(urlsplit(settings.url).path))


def _s3(settings: BucketSettings, within: timedelta) -> S3Store:
    config: dict[str, Any] = {}
    if settings.endpoint is not None:
        # Self-hosted stores have no regions, but a signature needs one.
        config |= {"endpoint": settings.endpoint, "region": "us-east-1"}
    elif region := os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"):
        config["region"] = region
    keys = s3_keys()
    if keys is not None:
        config |= {"access_key_id": keys[0], "secret_access_key": keys[1]}
    with hidden(foreign_variables(settings)):
        return S3Store(
            settings.bucket,
            prefix=_prefix(settings),
            client_options={"allow_http": True, "timeout": within},
            retry_config=_RETRIES,
            virtual_hosted_style_request=False,
            **config,
        )


def _of_a_cloud(settings: BucketSettings, within: timedelta) -> AzureStore | GCSStore:
    options: dict[str, Any] = store_options(settings)
    make = AzureStore if settings.is_azure else GCSStore
    with hidden(foreign_variables(settings)):
        try:
            return make(
                settings.bucket,
                prefix=_prefix(settings),
                client_options={"allow_http": allows_http(options), "timeout": within},
                retry_config=_RETRIES,
                **options,
            )
        except exceptions.BaseError as error:
            raise BucketMessages(settings).unusable(str(error)) from None


def _prefix(settings: BucketSettings) -> str | None:
    return urlsplit(settings.url).path.strip("/") or None
