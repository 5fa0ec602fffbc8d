"""What a person is told of a bucket that refuses a request, or does not answer it."""

from __future__ import annotations

import re

from landing.catalog.settings import AZURE_SCHEMES, BucketSettings
from landing.errors import BucketUnusable
from landing.secrets import redacted

_AZURE_KEYS = "check AZURE_STORAGE_ACCOUNT_KEY or the identity's roles (`landing env` lists all)"
_CHECK = {
    "s3": "check S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY",
    "gs": "check GOOGLE_APPLICATION_CREDENTIALS or the identity's roles (`landing env` lists all)",
    **dict.fromkeys(AZURE_SCHEMES, _AZURE_KEYS),
}
_SERVERS = {
    "file": "this machine",
    "s3": "AWS S3",
    "gs": "Google Cloud Storage",
    **dict.fromkeys(AZURE_SCHEMES, "Azure Blob Storage"),
}
_UNKNOWN_KEYS = (
    *("InvalidAccessKeyId", "SignatureDoesNotMatch"),
    *("AuthenticationFailed", "AuthorizationFailure", "InvalidAuthenticationInfo"),
    "401 Unauthorized",
)
"""How S3, Azure and Google say that they don't know a key; the others have no right."""
_REFUSALS = (
    *(*_UNKNOWN_KEYS, "AccessDenied", "RequestTimeTooSkewed", "AuthorizationPermission"),
    "token request",
)
_CREATED = "`landing doctor` tries the bucket once it exists"
_OF_THE_MACHINE = ("169.254.169.254", "metadata.google.internal")
"""Where a machine at Azure or Google has its own identity."""
_ANSWERED = re.compile(r"non-2xx status code: (\d{3}[ \w]*)")
_ERROR_CODE = re.compile(r"<Code>(\w+)</Code>")
_RETRIED = re.compile(r"after (\d+) retries")
_UNANSWERED = re.compile(r"kind: (Timeout|Interrupted|Request|Decode|Unknown),")
_TLS_FAULTS = {
    "InvalidContentType": "the server does not speak TLS on this port; does its address begin with "
    "http://?",
    "invalid peer certificate": "the server's TLS certificate is not trusted",
}
_CONNECTION_FAULTS = {
    "Connect": "no connection",
    "Timeout": "no answer in time",
    "Interrupted": "the connection was closed in mid-answer",
}


def is_of_no_bucket(detail: str) -> bool:
    return "NoSuchBucket" in detail or "ContainerNotFound" in detail


class Unanswered(BucketUnusable):
    """No answer arrived: the request may have succeeded."""


class BucketMessages:
    """Errors that explain another library's messages about a bucket."""

    def __init__(self, settings: BucketSettings) -> None:
        self._settings = settings

    def missing(self) -> BucketUnusable:
        name, variable = self._settings.bucket, self._settings.variable
        if self._settings.scheme == "s3":
            return BucketUnusable(
                f"bucket '{name}' does not exist at {self._server()}: create it, or fix "
                f"{variable} or S3_ENDPOINT",
                remedy=_CREATED,
            )
        what = "container" if self._settings.is_azure else "bucket"
        return BucketUnusable(
            f"{what} '{name}' does not exist at {self._server()}: create it, or fix {variable}",
            remedy=_CREATED,
        )

    def refused(self, verb: str, path: str, detail: str) -> BucketUnusable:
        why = f"the key may not {verb} there; {self._check()}"
        if any(unknown in detail for unknown in _UNKNOWN_KEYS):
            why = f"the key is not known or its secret is wrong; {self._check()}"
        if "token request" in detail:
            why = f"these credentials give no token ({_brief(detail)}); {self._check()}"
            if any(host in detail for host in _OF_THE_MACHINE):
                why = f"no key is set, and this machine or pod has no identity; {self._check()}"
        if "RequestTimeTooSkewed" in detail:
            why = "this machine's clock and the bucket's differ too much; set the one that is wrong"
        return BucketUnusable(
            f"the bucket refuses to {verb} {self._settings.url}/{path} at {self._server()}: {why}"
        )

    def failed(self, verb: str, path: str, detail: str) -> BucketUnusable:
        if any(refusal in detail for refusal in _REFUSALS):
            return self.refused(verb, path, detail)
        if is_of_no_bucket(detail):
            return self.missing()
        kind = Unanswered if _UNANSWERED.search(detail) else BucketUnusable
        return kind(
            f"could not {verb} {self._settings.url}/{path} at {self._server()}: {_brief(detail)}"
        )

    def unusable(self, detail: str) -> BucketUnusable:
        """For keys that are not even well formed."""
        return BucketUnusable(f"can't use {self._settings.url}: {_brief(detail)}; {self._check()}")

    def _check(self) -> str:
        return _CHECK.get(self._settings.scheme, "check the folder's owner and permissions")

    def _server(self) -> str:
        return self._settings.endpoint or _SERVERS[self._settings.scheme]


def _brief(detail: str) -> str:
    """The cause in one line, from a library's message with its whole chain of errors."""
    for text, message in _TLS_FAULTS.items():
        if text in detail:
            return message
    for kind, message in _CONNECTION_FAULTS.items():
        if f"kind: {kind}," in detail:
            return message + _attempts(detail)
    if found := _ANSWERED.search(detail):
        code = _ERROR_CODE.search(detail)
        return f"it answered {found[1]}{f' ({code[1]})' if code else ''}{_attempts(detail)}"
    text = redacted(detail).strip().partition("\n")[0] or "no reason given"
    return text if len(text) <= 300 else text[:300] + "…"


def _attempts(detail: str) -> str:
    retries = _RETRIED.search(detail)
    return f", {int(retries[1]) + 1} times" if retries else ""
