"""What a person is told of a bucket that refuses a request, or does not answer it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from landing.catalog.workspace import BucketSettings
from landing.errors import BucketUnusable
from landing.secrets import redacted

_CHECK_KEYS = "check S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY"
_REFUSALS = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed")
_ANSWERED = re.compile(r"non-2xx status code: (\d{3}[ \w]*)")
_ERROR_CODE = re.compile(r"<Code>(\w+)</Code>")
_RETRIED = re.compile(r"after (\d+) retries")
_UNANSWERED = re.compile(r"kind: (Timeout|Interrupted|Request|Decode|Unknown),")
_CONNECTION_FAULTS = {
    "Connect": "no connection",
    "Timeout": "no answer in time",
    "Interrupted": "the connection was closed in mid-answer",
}


class Unanswered(BucketUnusable):
    """No answer arrived: the request may have succeeded."""


class BucketMessages:
    """Errors that explain another library's messages about a bucket."""

    def __init__(self, settings: BucketSettings) -> None:
        self._settings = settings

    def missing(self) -> BucketUnusable:
        name = urlsplit(self._settings.url).netloc
        return BucketUnusable(
            f"bucket '{name}' does not exist at {self._server()}: create it, or fix "
            f"{self._settings.variable} or S3_ENDPOINT"
        )

    def refused(self, verb: str, path: str, detail: str) -> BucketUnusable:
        why = f"the key may not {verb} there; {_CHECK_KEYS}"
        if "InvalidAccessKeyId" in detail or "SignatureDoesNotMatch" in detail:
            why = f"the key is not known or its secret is wrong; {_CHECK_KEYS}"
        if "RequestTimeTooSkewed" in detail:
            why = "this machine's clock and the bucket's differ too much; set the one that is wrong"
        return BucketUnusable(
            f"the bucket refuses to {verb} {self._settings.url}/{path} at {self._server()}: {why}"
        )

    def failed(self, verb: str, path: str, detail: str) -> BucketUnusable:
        if any(refusal in detail for refusal in _REFUSALS):
            return self.refused(verb, path, detail)
        if "NoSuchBucket" in detail:
            return self.missing()
        kind = Unanswered if _UNANSWERED.search(detail) else BucketUnusable
        return kind(
            f"could not {verb} {self._settings.url}/{path} at {self._server()}: {_brief(detail)}"
        )

    def _server(self) -> str:
        return self._settings.endpoint or ("this machine" if self._settings.is_local else "AWS S3")


def _brief(detail: str) -> str:
    """The cause in one line, from a library's message with its whole chain of errors."""
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
