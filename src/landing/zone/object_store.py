"""Creates the object_store client for the bucket from its settings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from obstore import exceptions
from obstore.store import LocalStore, S3Store

from landing.catalog.workspace import BucketSettings, s3_keys
from landing.errors import BucketError

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


def store_of(settings: BucketSettings, within: timedelta) -> LocalStore | S3Store:
    """A client whose requests time out after `within`."""
    return _local(settings) if settings.is_local else _s3(settings, within)


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
    parts = urlsplit(settings.url)
    own = settings.endpoint is not None or keys is not None
    with _without_aws_variables() if own else nullcontext():
        return S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            client_options={"allow_http": True, "timeout": within},
            retry_config=_RETRIES,
            virtual_hosted_style_request=False,
            **config,
        )


@contextmanager
def _without_aws_variables() -> Iterator[None]:
    """Hide AWS_* variables, which the store always reads: they may be for another account."""
    hidden = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    try:
        for name in hidden:
            os.environ.pop(name, None)
        yield
    finally:
        os.environ.update(hidden)
