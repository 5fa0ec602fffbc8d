"""Checks of the records: that there are any, their keys, types and fields."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from landing.columns.conversion import Row
from landing.errors import listed, nearest
from landing.operations.checks.subject import CheckedStream, Read, content
from landing.operations.checks.verdicts import CheckFailed, CheckSkipped, named

SOME_ROWS = 50
SHOWN = 3


def records(subject: CheckedStream) -> str:
    """The stream yields records."""
    first = subject.first
    skipped = f"; {first.gone.note}" if first.gone.count else ""
    if not first.rows:
        raise CheckFailed(
            f"the stream returned no records, so nothing else can be checked of it{skipped}"
        )
    return f"{_amount(first)}{skipped}"


def primary_key(subject: CheckedStream) -> str:
    """Each record has its primary key, and no two records share one."""
    key = subject.key
    if not key:
        raise CheckSkipped("neither the stream nor its config has a primary key")
    for name in key:
        without = sum(row.get(name) is None for row in subject.first.rows)
        if without:
            raise CheckFailed(f"{without:,} records have no '{name}', which is in the primary key")
    versions = _versions(subject)
    shared = [key for key, contents in versions.items() if len(contents) > 1]
    if shared:
        examples = "; ".join(named(identity) for identity, _ in shared[:SHOWN])
        raise CheckFailed(
            f"{len(shared):,} keys are those of several different records, such as {examples}: "
            f"{', '.join(key)} does not distinguish records"
        )
    return f"{', '.join(key)} of {len(versions):,} records"


def _versions(subject: CheckedStream) -> dict[tuple[Any, Any], set[bytes]]:
    """The distinct contents of each key and cursor value: a record may be read twice, and one that
    changed meanwhile has another cursor value."""
    identity = subject.identity()
    found: dict[tuple[Any, Any], set[bytes]] = {}
    for row in subject.first.rows:
        at = subject.cursor_of(row) if subject.cursor_field else None
        found.setdefault((identity(row), at), set()).add(content(row))
    return found


def types(subject: CheckedStream) -> str:
    """Each value fits its configured field, so that nothing would go to quarantine."""
    config = subject.written_config
    if config is None:
        raise CheckSkipped(f"not discovered yet: run `landing discover {subject.source.name}`")
    reasons: Counter[str] = Counter()
    for page in subject.first.pages:
        for error in subject.columns.convert(page).errors:
            reasons[f"{error.field}: {error.reason}"] += 1
    if reasons:
        message = "; ".join(f"{reason} ({n:,})" for reason, n in reasons.most_common(SHOWN))
        raise CheckFailed(f"{reasons.total():,} records would go to quarantine: {message}")
    present = {name for row in subject.first.rows for name in row}
    absent = [name for name in config.fields if name not in present]
    if len(absent) == len(config.fields):
        raise CheckFailed(f"no record has any of the fields of {config.origin}")
    known = config.discovered
    unknown = [f"'{name}'{nearest(name, known)}" for name in absent if name not in known]
    if unknown and known:
        raise CheckFailed(
            f"neither a record nor the discovered schema has {', '.join(unknown)}, which "
            f"{config.origin} lists"
        )
    note = f"; no record had {listed(absent)}" if absent else ""
    return f"{len(config.fields)} fields of {config.origin}{note}"


def fields(subject: CheckedStream) -> str:
    """If some fields are requested, the API returns those, the key, the cursor and no others."""
    if subject.parameter("fields") is None:
        raise CheckSkipped("the stream's function has no parameter fields")
    needed = [name for name in (*subject.key, subject.cursor_field) if name is not None]
    present = dict.fromkeys(name for row in subject.first.rows for name in row)
    others = [name for name in present if name not in needed]
    if len(others) < 2:
        raise CheckSkipped("there are too few fields to choose from")
    chosen = list(dict.fromkeys([*needed, *others[: len(others) // 2]]))
    rows = subject.read(fields=chosen, most=SOME_ROWS).rows
    given = {name for row in rows for name in row}
    if extra := given - set(chosen):
        raise CheckFailed(f"asked for {listed(chosen)}, it returned {listed(extra)} too")
    if missing := set(chosen) - given:
        raise CheckFailed(f"asked for {listed(chosen)}, it did not return {listed(missing)}")
    _same_values(subject, rows, chosen)
    return f"{len(chosen)} of {len(present)} fields"


def _same_values(subject: CheckedStream, rows: Sequence[Row], names: Collection[str]) -> None:
    if not subject.key:
        return
    identity = subject.identity()
    before = {identity(row): row for row in subject.first.rows}
    for row in rows:
        known = before.get(identity(row), row)
        if subject.cursor_of(row) != subject.cursor_of(known):
            continue  # it changed meanwhile
        for name in names:
            if content({"": row.get(name)}) != content({"": known.get(name)}):
                raise CheckFailed(
                    f"'{name}' of the record {named(identity(row))} is another value if only "
                    "some fields are asked for"
                )


def _amount(read: Read) -> str:
    pages = "1 page" if len(read.pages) == 1 else f"{len(read.pages):,} pages"
    rest = "" if read.is_whole else "; there may be more"
    return f"{len(read.rows):,} records in {pages}{rest}"
