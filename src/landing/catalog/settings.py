"""The settings that the environment gives: where files land, and the limits of a run."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from landing.catalog.workspace import Workspace
from landing.errors import SettingsError, listed
from landing.secrets import redacted

DEFAULT_FILE_MB = 128.0
MOST_FILE_MB = 4096.0
DEFAULT_SLICE_MB = 512.0
DEFAULT_SLICE_MINUTES = 15.0
AZURE_SCHEMES = ("az", "abfss")
_ENDPOINTS = {
    "s3": "S3_ENDPOINT",
    "gs": "STORAGE_EMULATOR_HOST",
    **dict.fromkeys(AZURE_SCHEMES, "AZURE_STORAGE_ENDPOINT"),
}
_IN_ACCOUNT = re.compile(r"[^@:]+@[a-z0-9]+\.[a-z0-9.-]+")
"""How an `abfss://` URL names a container and the host of its account."""
_FORMS = "s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or file:///folder"
DEFAULT_STALL_MINUTES = 60.0
"""Above the longest wait of the engine itself, so that only a stream that hangs reaches it."""


@dataclass(frozen=True)
class BucketSettings:
    """Where files land. The keys are not here: they stay in the environment until they are used."""

    url: str
    endpoint: str | None
    is_default: bool
    variable: str = "DLT_BUCKET_URL"
    """The variable that a person has to change if the URL is wrong."""

    @property
    def scheme(self) -> str:
        return self.url.partition("://")[0]

    @property
    def is_local(self) -> bool:
        return self.scheme == "file"

    @property
    def is_azure(self) -> bool:
        return self.scheme in AZURE_SCHEMES

    @property
    def bucket(self) -> str:
        """The bucket's name; on Azure the container's."""
        return urlsplit(self.url).netloc.partition("@")[0]

    @property
    def account_host(self) -> str | None:
        """The host of the storage account that an `abfss://` URL names."""
        return urlsplit(self.url).netloc.partition("@")[2] or None

    @property
    def default_note(self) -> str:
        """What to say where `is_default` is true."""
        return f"DLT_BUCKET_URL is not set: landing in {self.url}"


def bucket_settings(workspace: Workspace) -> BucketSettings:
    """Reads `DLT_BUCKET_URL` and `S3_ENDPOINT`.

    Raises SettingsError if the URL is none of a bucket or folder, or if it is missing although an
    `S3_` variable is set.
    """
    url = os.environ.get("DLT_BUCKET_URL", "").strip().rstrip("/")
    if not url:
        _check_no_server()
        return BucketSettings((workspace.repository / "landing-zone").as_uri(), None, True)
    return _settings_of("DLT_BUCKET_URL", url)


def _check_no_server() -> None:
    names = ("S3_ENDPOINT", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")
    given = [name for name in names if os.environ.get(name, "").strip()]
    if given:
        raise SettingsError(
            f"DLT_BUCKET_URL is not set, but {listed(given)} {'is' if len(given) == 1 else 'are'}: "
            "set it to s3://bucket/prefix, or leave the S3_ variables out to land in the folder "
            "landing-zone (environment or .env)"
        )


def tables_settings(landing: BucketSettings) -> BucketSettings:
    """Where current-state tables are: `LANDING_TABLES_URL`, or else the folder `tables` beside
    the landing zone.

    Raises SettingsError if there is no such folder, or if it is inside the landing zone, whose
    readers would then read the tables' files.
    """
    url = os.environ.get("LANDING_TABLES_URL", "").strip().rstrip("/") or _sibling(landing.url)
    if f"{url}/".startswith(f"{landing.url}/"):
        raise SettingsError(
            f"LANDING_TABLES_URL is '{url}': it has to be outside of {landing.url}, because "
            "readers of the landing zone would read the tables' files as landed ones"
        )
    return _settings_of("LANDING_TABLES_URL", url)


def _sibling(url: str) -> str:
    parts = urlsplit(url)
    above, _, last = parts.path.rstrip("/").rpartition("/")
    if not last or last == "tables":
        raise SettingsError(
            f"LANDING_TABLES_URL is not set, and the landing zone {url} has no room for a folder "
            "'tables' beside it: set it to s3://bucket/prefix or file:///folder"
        )
    return f"{parts.scheme}://{parts.netloc}{above}/tables"


def _settings_of(variable: str, url: str) -> BucketSettings:
    scheme, _, rest = url.partition("://")
    place, _, path = rest.partition("/")
    scheme = scheme.lower()
    is_remote = place and scheme in ("s3", "gs", *AZURE_SCHEMES)
    if not is_remote and not (path and not place and scheme == "file"):
        raise SettingsError(f"{variable} is '{redacted(url)}': it has to be {_FORMS}")
    container = place.partition("@")[0] if _IN_ACCOUNT.fullmatch(place) else place
    bucket = container if scheme == "abfss" else place
    if problem := _problem_in(bucket, path, is_local=scheme == "file"):
        raise SettingsError(f"{variable} is '{redacted(url)}': {problem}")
    return BucketSettings(f"{scheme}://{rest}", _endpoint(scheme), False, variable)


def _problem_in(bucket: str, path: str, *, is_local: bool) -> str | None:
    """Why an address would be cut off, or would lead to another place than it seems to."""
    for character in "#?":
        if character in bucket + path:
            instead = f"write it as {quote(character)}" if is_local else "rename the prefix"
            return f"what follows '{character}' would be cut off; {instead}"
    if any(not character.isprintable() for character in bucket + path):
        return "it has an unprintable character; remove it"
    if "@" in bucket or ":" in bucket:
        return (
            "a bucket's name can't have '@' or ':'; keys go into S3_ACCESS_KEY_ID and "
            "S3_SECRET_ACCESS_KEY, a server's address into S3_ENDPOINT, and an account on Azure "
            "is named like abfss://container@account.dfs.core.windows.net/prefix"
        )
    if not {"", ".", ".."}.isdisjoint(path.split("/")) and path:
        return "its path has an empty part, '.' or '..'; write the path without them"
    return None


def _endpoint(scheme: str) -> str | None:
    """A server other than the provider's, as a URL; without a scheme it means http, as inside a
    cluster. `STORAGE_EMULATOR_HOST` is the name that Google's own clients read."""
    variable = _ENDPOINTS.get(scheme, "")
    endpoint = os.environ.get(variable, "").strip().rstrip("/")
    if not endpoint:
        return None
    url = endpoint if "://" in endpoint else f"http://{endpoint}"
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise SettingsError(
            f"{variable} is '{endpoint}': it has to be host:port or a http(s):// URL"
        )
    return url


def s3_keys() -> tuple[str, str] | None:
    """The access key and its secret; None to use AWS's own credential chain.

    Raises SettingsError if only one of the two is set, or none although `S3_ENDPOINT` is set.
    """
    key = os.environ.get("S3_ACCESS_KEY_ID", "").strip()
    secret = os.environ.get("S3_SECRET_ACCESS_KEY", "").strip()
    if bool(key) != bool(secret):
        missing = "S3_SECRET_ACCESS_KEY" if key else "S3_ACCESS_KEY_ID"
        raise SettingsError(f"{missing} is not set; set both keys or neither (environment or .env)")
    if not key and os.environ.get("S3_ENDPOINT", "").strip():
        raise SettingsError(
            "S3_ENDPOINT is set, but S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY are not "
            "(environment or .env)"
        )
    return (key, secret) if key else None


def part_bytes() -> int:
    """Bytes at which a parquet part is closed, from `LANDING_FILE_MB` (MB of 1024² bytes)."""
    megabytes = _positive("LANDING_FILE_MB", DEFAULT_FILE_MB, "MB")
    if megabytes > MOST_FILE_MB:
        raise SettingsError(
            f"LANDING_FILE_MB is {megabytes:g}: at most {MOST_FILE_MB:,} is possible, since each "
            "file is uploaded by one request, and S3 takes 5 GB in one"
        )
    return max(1, int(megabytes * 1024 * 1024))


@dataclass(frozen=True)
class SliceLimits:
    """How much of a stream goes into one load, if the stream returns its oldest rows first."""

    bytes: float
    seconds: float

    def is_full(self, written: int, elapsed: float) -> bool:
        return written >= self.bytes or elapsed >= self.seconds


def slice_limits() -> SliceLimits:
    """From `LANDING_SLICE_MB` (of parquet) and `LANDING_SLICE_MINUTES`."""
    megabytes = _positive("LANDING_SLICE_MB", DEFAULT_SLICE_MB, "MB")
    minutes = _positive("LANDING_SLICE_MINUTES", DEFAULT_SLICE_MINUTES, "minutes")
    return SliceLimits(megabytes * 1024 * 1024, minutes * 60)


def stall_seconds() -> float:
    """Seconds a stream may return nothing before its run fails, from `LANDING_STALL_MINUTES`."""
    return _positive("LANDING_STALL_MINUTES", DEFAULT_STALL_MINUTES, "minutes") * 60


def _positive(name: str, default: float, unit: str) -> float:
    text = os.environ.get(name, "").strip()
    try:
        number = float(text) if text else default
    except ValueError:
        number = 0.0
    if not 0.0 < number < 100_000:
        raise SettingsError(f"{name} is '{text}': it has to be a positive number of {unit}")
    return number
