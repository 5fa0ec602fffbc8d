"""Verifies that a stream's landing zone has everything that its records say has landed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from landing.catalog.stream_config import StreamConfig
from landing.errors import counted
from landing.operations.verify.accounts import (
    Account,
    account_of,
    file_findings,
    file_notes,
    order_findings,
    part_findings,
    put_anew,
)
from landing.operations.verify.contents import Contents
from landing.operations.verify.cursors import Gaps, state_findings
from landing.operations.verify.findings import Result, Status, VerifyFinding
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths, is_compacted

if TYPE_CHECKING:
    from landing.operations.verify.keys import Keys

CHECKS = ("files", "rows", "columns", "order", "cursor", "state", "newest")


def verify_stream(
    bucket: Bucket, paths: StreamPaths, config: StreamConfig | None, *, quick: bool = False
) -> Iterator[Result]:
    """Yield each check's result as soon as it is done. `config` is None if the workspace has none.

    With `quick`, only the footers of the files are read.
    """
    account = account_of(bucket, paths)
    yield _files(account)
    contents, newest = _read(bucket, account, config, quick=quick)
    yield from _contents(account, contents)
    yield _order(account)
    yield from _cursor(bucket, account)
    yield newest


def _files(account: Account) -> Result:
    compacted = sum(map(is_compacted, account.expected))
    of = f"{counted(len(account.expected), 'file')} of {counted(len(account.records), 'load')}"
    if compacted:
        of += f", {compacted:,} of them compacted"
    findings = [*part_findings(account.records, account.paths), *file_findings(account)]
    return _result(account, "files", of, findings, list(file_notes(account)))


def _contents(account: Account, contents: Contents) -> Iterator[Result]:
    yield _result(
        account,
        "rows",
        f"{counted(contents.rows, 'row')} by the footers of {counted(contents.files, 'file')}, as "
        "the records say",
        contents.row_findings,
    )
    versions = counted(contents.versions, "version")
    message = f"{counted(contents.files, 'file')} with those of the schema history, {versions}"
    notes = []
    if contents.before_history:
        notes.append(
            f"{counted(contents.before_history, 'file')} landed before there was a schema history"
        )
    yield _result(account, "columns", message, contents.column_findings, notes)


def _order(account: Account) -> Result:
    anew = put_anew(account)
    names = counted(len(account.in_order) - anew, "name")
    message = f"{names} in the order of publication, by the bucket's times"
    notes = [f"{counted(anew, 'file')} compacted, copied here or interrupted: no order is known"]
    if account.seals:
        notes.append(
            f"{counted(len(account.seals), 'load')} that a process left unfinished ended with an "
            "empty file, so that nothing of it could appear later"
        )
    findings = list(order_findings(account))
    return _result(account, "order", message, findings, notes[0 if anew else 1 :])


def _cursor(bucket: Bucket, account: Account) -> Iterator[Result]:
    gaps = Gaps(bucket, account)
    loads = counted(len(gaps.loads), "load")
    message = f"{loads} of incremental runs, each from where the one before ended"
    if gaps.loads:
        yield _result(account, "cursor", message, gaps.findings, gaps.notes)
    else:
        yield _skipped(account, "cursor", "no load moved a cursor")
    message = "the state is of the last load or a later one"
    yield _result(account, "state", message, list(state_findings(account)))


def _read(
    bucket: Bucket, account: Account, config: StreamConfig | None, *, quick: bool
) -> tuple[Contents, Result]:
    """The footers of all files, and the check of their keys, which reads along with them."""
    contents = Contents(bucket, account)
    if (why := _unchecked(config, quick=quick)) is not None or config is None:
        contents.read_all()
        return contents, _skipped(account, "newest", why or "")
    import duckdb

    from landing.operations.verify.keys import Keys, lineage_of

    try:
        with tempfile.TemporaryDirectory(prefix="landing-") as folder:
            rows = contents.read(lineage_of(config.primary_key))
            keys = Keys(rows, config.primary_key, Path(folder))
    except (duckdb.Error, OSError) as error:
        # DuckDB also raises its own error if the bucket can't be read. Reading it again raises that
        # of the bucket, or gives the results of the other checks.
        contents = Contents(bucket, account)
        contents.read_all()
        return contents, _not_compared(account, error)
    return contents, _newest(account, config, keys)


def _newest(account: Account, config: StreamConfig, keys: Keys) -> Result:
    values = counted(keys.keys, "value")
    message = f"{values} of {', '.join(config.primary_key)}, each with one newest row"
    findings = []
    if keys.ambiguous:
        such = "; ".join(", ".join(map(str, key)) for key in keys.examples)
        what = (
            f"{keys.ambiguous:,} of them have several newest rows with the same _dlt_load_id, such "
            f"as {such}"
        )
        remedy = (
            "if the key does not distinguish records, fix primary_key; else have readers order by "
            f"{config.cursor_field} too"
        )
        findings.append(VerifyFinding(what, remedy))
    return _result(account, "newest", message, findings)


def _not_compared(account: Account, error: Exception) -> Result:
    remedy = (
        "read what it names: make room on the disk (TMPDIR sets the folder for temporary files), "
        "or restore a file whose key is not text; run this again"
    )
    what = str(error).splitlines()[0].partition(" Detail: Python exception")[0]
    finding = VerifyFinding(what, remedy)
    return _result(account, "newest", "the keys could not be compared", [finding])


def _unchecked(config: StreamConfig | None, *, quick: bool) -> str | None:
    """Why keys are not checked; None if they are."""
    if quick:
        return "keys are not read with --quick"
    if config is None or not config.primary_key or not config.is_incremental:
        return "no config of an incremental stream with a primary key"
    if find_spec("duckdb") is None:
        return "needs duckdb: pip install 'dlt-landing[tables]'"
    return None


def _result(
    account: Account,
    check: str,
    message: str,
    findings: list[VerifyFinding],
    notes: list[str] | None = None,
) -> Result:
    status: Status = "failed" if findings else "passed"
    paths = account.paths
    return Result(paths.source, paths.stream, check, status, message, findings, notes or [])


def _skipped(account: Account, check: str, why: str) -> Result:
    return Result(account.paths.source, account.paths.stream, check, "skipped", why)


__all__ = ["CHECKS", "Result", "VerifyFinding", "verify_stream"]
