"""Credentials that end, and are got anew once for all threads and streams of the process."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

from requests import PreparedRequest
from requests.auth import AuthBase


class Credential(Protocol):
    def is_due(self) -> bool:
        """Whether it ends so soon that a request should not begin with it."""
        ...

    def attach(self, request: PreparedRequest) -> None: ...

    def is_in(self, request: PreparedRequest) -> bool:
        """Whether `request` was sent with it."""
        ...


Held = TypeVar("Held", bound=Credential)


class RenewedAuth(AuthBase, Generic[Held]):
    """Values made of the same arguments share one credential, since each stream makes a client
    of its own. Raises what `obtain` raises: ApiError or SettingsError.
    """

    def __init__(self, *arguments: Hashable) -> None:
        self._slot: _Slot[Held] = _slot((type(self), *arguments))

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        with self._slot.lock:
            held = self._slot.held
            if held is None or held.is_due():
                held = self._slot.held = self.obtain(None)
        held.attach(request)
        return request

    def renew(self, rejected: PreparedRequest) -> bool:
        """After a 401: get a new credential, unless `rejected` was sent with an earlier one than
        there is by now. True, as the request may be sent again with what there is."""
        with self._slot.lock:
            held = self._slot.held
            if held is None or held.is_in(rejected):
                self._slot.held = self.obtain(held)
        return True

    @abstractmethod
    def obtain(self, refused: Held | None) -> Held:
        """A credential that was not refused yet. One thread at a time is here."""


class _Slot(Generic[Held]):
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.held: Held | None = None


_slots: dict[Hashable, _Slot[Credential]] = {}
_slots_lock = threading.Lock()


def _slot(key: Hashable) -> _Slot[Held]:
    with _slots_lock:
        return _slots.setdefault(key, _Slot())  # type: ignore[return-value]
