"""Stores tokens between runs: in a file of this user, or in an encrypted object in the bucket.

A provider that rotates refresh tokens issues a new one with each use. It treats the second use of
an old one as theft and revokes all of them. So one process at a time renews, the others use its
result, and a new token is stored durably before it is used.
"""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from landing.catalog.names import check_name
from landing.errors import BucketError, SettingsError, needs
from landing.http.shared_objects import SharedObject, SharedObjects, shared_objects

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

KEY_VARIABLE = "LANDING_TOKEN_KEY"
_POLL_SECONDS = 0.2
_NEW_KEY = (
    'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
)


@dataclass(frozen=True)
class Tokens:
    refresh_token: str = field(repr=False)
    access_token: str = field(repr=False)
    renew_at: float | None
    """Seconds since 1970, a little before the access token ends; None if unknown."""
    client: str
    """A digest of the token URL and client id that obtained them."""
    given: str = ""
    """A digest of the environment's refresh token from which they were derived; empty if none."""


Renew = Callable[[Tokens | None], Tokens]


class TokenStore(Protocol):
    name: str
    """The source's name, for messages that suggest `landing login`."""

    def read(self) -> Tokens | None: ...

    def update(self, renew: Renew) -> Tokens:
        """Call `renew` with the stored tokens, store its result and return it. No other thread or
        process calls `renew` for this store meanwhile; if it raises, nothing changes."""
        ...


def token_store(name: str) -> TokenStore:
    """A store in the bucket if LANDING_TOKEN_KEY is set, as in production; else in a file."""
    return BucketTokens(name) if os.environ.get(KEY_VARIABLE) else FileTokens(name)


class FileTokens:
    """`{folder}/{name}.json`, which only its owner can read.

    `folder` defaults to `dlt-landing` in `$XDG_STATE_HOME` or `~/.local/state`. Raises
    SettingsError if the file can't be read or written.
    """

    def __init__(self, name: str, folder: str | Path | None = None) -> None:
        self.name = check_name(name, "source")
        self.file = (Path(folder) if folder else _state_folder()) / f"{name}.json"

    def __repr__(self) -> str:
        return f"FileTokens({str(self.file)!r})"

    def read(self) -> Tokens | None:
        with self._explained():
            try:
                content = self.file.read_bytes()
            except FileNotFoundError:
                return None
        try:
            return msgspec.json.decode(content, type=Tokens)
        except msgspec.DecodeError:
            raise SettingsError(
                f"{self.file} does not hold tokens: delete it and run `landing login {self.name}`"
            ) from None

    def update(self, renew: Renew) -> Tokens:
        with self._locked():
            kept = self.read()
            renewed = renew(kept)
            if renewed != kept:
                self._write(msgspec.json.encode(renewed))
        return renewed

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock a separate file, since the tokens' file is replaced; a crash releases the lock."""
        with self._explained():
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.file.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            # Unlock explicitly: a process forked meanwhile has the descriptor too.
            fcntl.flock(lock, fcntl.LOCK_UN)
            os.close(lock)

    def _write(self, content: bytes) -> None:
        with self._explained():
            written = self.file.with_suffix(".new")
            written.unlink(missing_ok=True)  # left by a process that was killed
            with os.fdopen(
                os.open(written, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb"
            ) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            written.replace(self.file)
            _sync_folder(self.file.parent)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SettingsError(
                f"tokens can't be kept in {self.file}: {error.strerror}; name another folder in "
                f"FileTokens, or keep them in the bucket by setting {KEY_VARIABLE}"
            ) from None


def _state_folder() -> Path:
    try:
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    except RuntimeError:
        raise SettingsError(
            "this user has no home folder to keep tokens in: name a folder in FileTokens, or "
            f"keep them in the bucket by setting {KEY_VARIABLE}"
        ) from None
    return Path(state) / "dlt-landing"


def _sync_folder(folder: Path) -> None:
    """Sync the folder, which makes a rename in it durable."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


class _Record(msgspec.Struct, frozen=True):
    """The object's content: the encrypted tokens, and the claim of a process that renews them."""

    sealed: str | None = None
    claim: str | None = None


class BucketTokens:
    """`_dlt/_tokens/{name}.json` below DLT_BUCKET_URL, encrypted with LANDING_TOKEN_KEY.

    A process claims the renewal by a conditional write; a claim that is unchanged for
    `claim_seconds` belongs to a process that died. If the variable has several keys, separated by
    commas, the first encrypts and all decrypt. Raises SettingsError without a key or with a wrong
    one, and BucketError.
    """

    def __init__(self, name: str, claim_seconds: float = 120.0) -> None:
        self.name = check_name(name, "source")
        self.path = f"_dlt/_tokens/{name}.json"
        self._claim_seconds = claim_seconds

    def __repr__(self) -> str:
        return f"BucketTokens({self.name!r})"

    def read(self) -> Tokens | None:
        found = self._bucket.get(self.path)
        return self._opened(_record(found)) if found else None

    def update(self, renew: Renew) -> Tokens:
        claim = uuid.uuid4().hex
        kept = self._claimed(claim)
        try:
            renewed = renew(kept)
        except BaseException:
            with suppress(BucketError):  # the claim expires by itself, and `error` matters more
                self._release(claim)
            raise
        # Store them even if the claim has expired: the provider no longer accepts older tokens.
        sealed = self._fernet.encrypt(msgspec.json.encode(renewed)).decode()
        self._bucket.put(self.path, msgspec.json.encode(_Record(sealed)))
        return renewed

    def _claimed(self, claim: str) -> Tokens | None:
        """Wait until the claim to renew is ours; returns the stored tokens."""
        watched, since = b"", time.monotonic()
        while True:
            found = self._bucket.get(self.path)
            record = _record(found) if found else _Record()
            kept = self._opened(record)
            if record.claim == claim:
                return kept
            if found is None:
                self._bucket.create(self.path, msgspec.json.encode(_Record(claim=claim)))
                continue
            if found.data != watched:
                watched, since = found.data, time.monotonic()
            is_free = record.claim is None or time.monotonic() - since > self._claim_seconds
            if is_free:
                ours = msgspec.json.encode(_Record(record.sealed, claim))
                self._bucket.replace(self.path, ours, found)
            else:
                time.sleep(_POLL_SECONDS)

    def _release(self, claim: str) -> None:
        found = self._bucket.get(self.path)
        if found is not None and (record := _record(found)).claim == claim:
            self._bucket.replace(self.path, msgspec.json.encode(_Record(record.sealed)), found)

    def _opened(self, record: _Record) -> Tokens | None:
        fernet = self._fernet
        from cryptography.fernet import InvalidToken

        if record.sealed is None:
            return None
        try:
            return msgspec.json.decode(fernet.decrypt(record.sealed), type=Tokens)
        except (InvalidToken, msgspec.DecodeError):
            raise SettingsError(
                f"{KEY_VARIABLE} can't decrypt {self._bucket.location(self.path)}, which was "
                f"written with another key: set that one, or delete the object and run `landing "
                f"login {self.name}`"
            ) from None

    @cached_property
    def _bucket(self) -> SharedObjects:
        return shared_objects(
            "tokens are to be kept", f"unset {KEY_VARIABLE} to keep them in a file"
        )

    @property
    def _fernet(self) -> MultiFernet:
        with needs("a token store in the bucket", "auth"):
            from cryptography.fernet import Fernet, MultiFernet
        keys = [key.strip() for key in os.environ.get(KEY_VARIABLE, "").split(",") if key.strip()]
        if not keys:
            raise SettingsError(
                f"{KEY_VARIABLE}, the key that encrypts tokens in the bucket, is not set; make one "
                f"with: {_NEW_KEY}"
            )
        try:
            return MultiFernet([Fernet(key) for key in keys])
        except ValueError:
            raise SettingsError(
                f"{KEY_VARIABLE} is not a key (32 bytes in URL-safe base64); make one with: "
                f"{_NEW_KEY}"
            ) from None


def _record(found: SharedObject) -> _Record:
    try:
        return msgspec.json.decode(found.data, type=_Record)
    except msgspec.DecodeError:
        return _Record()
