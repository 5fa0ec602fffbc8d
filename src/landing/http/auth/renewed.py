"""Credentials that expire, and are renewed once for all threads and streams of the process."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from requests import PreparedRequest
from requests.auth import AuthBase

from landing.http.server_times import seconds_until
from landing.http.traffic import of_no_stream

_RENEWED_BEFORE = 60.0
"""Seconds before its end at which a credential is renewed, if it lasts ten minutes or more."""


class Credential(Protocol):
    def is_due(self) -> bool:
        """Whether it expires so soon that no request should begin with it."""
        ...

    def attach(self, request: PreparedRequest) -> None: ...

    def is_in(self, request: PreparedRequest) -> bool:
        """Whether `request` was sent with it."""
        ...


@dataclass(frozen=True)
class AccessToken:
    token: str = field(repr=False)
    renew_at: float | None
    header: str = "Authorization"
    template: str = "Bearer {token}"

    def is_due(self) -> bool:
        return self.renew_at is not None and time.time() >= self.renew_at

    def attach(self, request: PreparedRequest) -> None:
        request.headers[self.header] = self._value

    def is_in(self, request: PreparedRequest) -> bool:
        return request.headers.get(self.header) == self._value

    @property
    def _value(self) -> str:
        return self.template.replace("{token}", self.token)


def renew_at(begun: float, expires: Any) -> float | None:
    """When to renew a credential that lasts so long, or until then; None if it does not end, which
    some providers report as 0."""
    seconds = seconds_until(str(expires), begun)
    return begun + seconds - min(_RENEWED_BEFORE, seconds / 10) if seconds else None


CredentialT = TypeVar("CredentialT", bound=Credential)


class RenewedAuth(AuthBase, Generic[CredentialT]):
    """Instances with equal arguments share one credential, since each stream creates its own
    client. Raises what `obtain` raises: ApiError or SettingsError.
    """

    def __init__(self, *arguments: Hashable) -> None:
        self._slot: _Slot[CredentialT] = _slot((type(self), *arguments))

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        with self._slot.lock, of_no_stream():
            credential = self._slot.credential
            if credential is None or credential.is_due():
                credential = self._slot.credential = self.obtain(None)
        credential.attach(request)
        return request

    def renew(self, rejected: PreparedRequest) -> bool:
        """After a 401: get a new credential, unless `rejected` was sent with one that has been
        replaced since. Always True: the request may be repeated."""
        with self._slot.lock, of_no_stream():
            credential = self._slot.credential
            if credential is None or credential.is_in(rejected):
                self._slot.credential = self.obtain(credential)
        return True

    @abstractmethod
    def obtain(self, refused: CredentialT | None) -> CredentialT:
        """Get a credential other than `refused`. Never called by two threads at the same time."""


class _Slot(Generic[CredentialT]):
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.credential: CredentialT | None = None


_slots: dict[Hashable, _Slot[Credential]] = {}
_slots_lock = threading.Lock()


def _slot(key: Hashable) -> _Slot[CredentialT]:
    with _slots_lock:
        return _slots.setdefault(key, _Slot())  # type: ignore[return-value]
