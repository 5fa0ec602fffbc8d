"""The SQLite file in which the processes of a machine share the state of a pace."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from landing.errors import SettingsError


def file_of(key: str) -> Path:
    """The path of a pace's state, without its suffix. The name is a digest and does not reveal the
    key."""
    return _folder() / hashlib.sha256(key.encode()).hexdigest()[:32]


def _folder() -> Path:
    """The folder for this user's paces, which only this user can access.

    Raises SettingsError if it can't be created, or belongs to another user.
    """
    folder = Path(tempfile.gettempdir()) / f"landing-pace-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
    except OSError as error:
        raise SettingsError(
            f"{folder}: requests can't be paced, since that folder can't be created "
            f"({error.strerror}); set TMPDIR to a folder that can be written to"
        ) from error
    if folder.is_symlink() or state.st_uid != os.getuid() or state.st_mode & 0o077:
        raise SettingsError(
            f"{folder}: requests can't be paced, since others could write to that folder; remove "
            "it, or set TMPDIR to another"
        )
    return folder


def opened(file: Path | None) -> sqlite3.Connection:
    """Open the database, in memory without a file; a damaged file is replaced."""
    if file is None:
        return _prepared(":memory:")
    database = file.with_suffix(".sqlite")
    try:
        return _prepared(str(database))
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        for leftover in database.parent.glob(f"{database.name}*"):  # a damaged file
            leftover.unlink(missing_ok=True)
        return _prepared(str(database))


def _prepared(database: str) -> sqlite3.Connection:
    # We begin transactions ourselves; SQLite waits for those of other processes.
    connection = sqlite3.connect(
        database, timeout=60.0, isolation_level=None, check_same_thread=False
    )
    # Safe against kills; losing this state in a power cut does no harm.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=OFF")
    with transaction(connection):
        connection.execute(
            "CREATE TABLE IF NOT EXISTS permits (name VARCHAR, item_timestamp INTEGER)"
        )
        connection.execute("CREATE INDEX IF NOT EXISTS by_time ON permits (item_timestamp)")
        connection.execute("CREATE INDEX IF NOT EXISTS by_name ON permits (name)")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS allowance (id INTEGER PRIMARY KEY CHECK (id = 1), "
            "remaining INTEGER, resets_at REAL, held_until REAL, set_at REAL)"
        )
        connection.execute("INSERT OR IGNORE INTO allowance VALUES (1, NULL, 0, 0, 0)")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS kept (id INTEGER PRIMARY KEY CHECK (id = 1), "
            "milliseconds INTEGER)"
        )
        connection.execute("INSERT OR IGNORE INTO kept VALUES (1, 0)")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    if connection.in_transaction:
        connection.execute("COMMIT")
