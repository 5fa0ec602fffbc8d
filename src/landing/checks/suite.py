"""The checks, one function each, and the suite that runs them over a source's streams."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import msgspec

from landing.checks.interruption import NothingDied, rows_after_interruptions
from landing.checks.output import Listening, leaks
from landing.checks.subject import Limits, Read, Subject, content
from landing.columns import Row
from landing.discovery import spelled
from landing.errors import LandingError, StreamError, UsageError, listed
from landing.failures import causes, explained, raise_if_interrupted
from landing.pages import row_count
from landing.recordings import missing_answer
from landing.sources import Source

Status = Literal["passed", "failed", "skipped"]

CONNECTS = "connects"
SMALL_LIMIT = 5
SOME_ROWS = 50
SHOWN = 3


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one check found; `stream` is None for the check of the source as a whole."""

    stream: str | None
    check: str
    status: Status
    detail: str
    seconds: float


class Failed(Exception):
    """A check did not hold; `str()` says what was seen and what to do."""


class Unreadable(Failed):
    """The stream could not be read."""


class Skipped(Exception):
    """A check does not apply; `str()` says why."""


Check: TypeAlias = Callable[[Subject], str]


def records(subject: Subject) -> str:
    """The stream yields records."""
    first = subject.first
    if not first.rows:
        raise Failed("the stream gave no records, so nothing else can be checked of it")
    return _amount(first)


def primary_key(subject: Subject) -> str:
    """Each record has its primary key, and no two records share one."""
    key = subject.key
    if not key:
        raise Skipped("neither the stream nor its config has a primary key")
    for name in key:
        without = sum(row.get(name) is None for row in subject.first.rows)
        if without:
            raise Failed(f"{without:,} records have no '{name}', which is in the primary key")
    versions = _versions(subject)
    shared = [key for key, contents in versions.items() if len(contents) > 1]
    if shared:
        examples = "; ".join(_named(identity) for identity, _ in shared[:SHOWN])
        raise Failed(
            f"{len(shared):,} keys are those of several different records, such as {examples}: "
            f"{', '.join(key)} does not tell records apart"
        )
    return f"{', '.join(key)} of {len(versions):,} records"


def _versions(subject: Subject) -> dict[tuple[Any, Any], set[bytes]]:
    """The contents of each key. A record that is read twice is no matter, and one that changed
    meanwhile has another cursor."""
    identity = subject.identity()
    found: dict[tuple[Any, Any], set[bytes]] = {}
    for row in subject.first.rows:
        at = subject.cursor_of(row) if subject.cursor_field else None
        found.setdefault((identity(row), at), set()).add(content(row))
    return found


def cursor(subject: Subject) -> str:
    """Each record has a cursor, and all of them can be compared."""
    name = _cursor_name(subject)
    if subject.cursor_type is None:
        raise Failed(f"no record has the cursor field '{name}'")
    without = unusable = 0
    for row in subject.first.rows:
        without += row.get(name) is None
        unusable += row.get(name) is not None and subject.cursor_of(row) is None
    if unusable:
        raise Failed(
            f"{unusable:,} records have a '{name}' that is no "
            f"{spelled(subject.cursor_type)}, so it can't be compared"
        )
    if without == len(subject.first.rows):
        raise Failed(f"no record has a value in '{name}'")
    if without:
        return f"{name}; {without:,} records have none and land once"
    return name


def incremental(subject: Subject) -> str:
    """A read from a cursor value gives what is there from that value on, and nothing older."""
    name = _cursor_name(subject)
    if not subject.takes_cursor:
        raise Skipped("the stream does not ask by the cursor: each run reads it from its start")
    values = _cursor_values(subject)
    if len(values) < 2:
        raise Skipped(f"all records have the same '{name}'")
    held = subject.held
    if held.row_order == "desc":
        return _newest_first(subject)
    ordered = sorted(values, reverse=held.last_value_func is min)
    middle = subject.read(since=values[ordered[len(ordered) // 2]])
    _nothing_older(subject, middle)
    _nothing_missing(subject, middle)
    found = f"{len(middle.rows):,} of {len(subject.first.rows):,} records from the middle value on"
    if not subject.first.is_whole:
        return found
    last = subject.read(since=values[ordered[-1]])
    _nothing_older(subject, last)
    _nothing_missing(subject, last)
    return f"{found}, {len(last.rows):,} from the last"


def _cursor_values(subject: Subject) -> dict[Any, Any]:
    """The cursor's distinct values, each with its spelling by the API."""
    name = _cursor_name(subject)
    return {subject.cursor_of(row): row[name] for row in _with_cursor(subject)}


def _with_cursor(subject: Subject) -> Iterator[Row]:
    return (row for row in subject.first.rows if subject.cursor_of(row) is not None)


def _newest_first(subject: Subject) -> str:
    """A stream that declares the order `desc` is ended by the engine at the first known row."""
    values = [subject.cursor_of(row) for row in _with_cursor(subject)]
    if any(later > earlier for earlier, later in pairwise(values)):
        raise Failed("row_order is 'desc', but the records do not come newest first")
    return "newest first; a run ends at the first known record"


def _nothing_older(subject: Subject, read: Read) -> None:
    start = subject.typed(read.start)
    falls = subject.held.last_value_func is min
    cursors = [subject.cursor_of(row) for row in read.rows]
    older = sum(at is not None and (at > start if falls else at < start) for at in cursors)
    if older:
        raise Failed(
            f"asked from {read.start} on, it gave {older:,} of {len(read.rows):,} records that "
            "are older: pass the cursor's last_value to the API"
        )


def _nothing_missing(subject: Subject, read: Read) -> None:
    first = subject.first
    cursors = [subject.cursor_of(row) for row in _with_cursor(subject)]
    if not (first.is_whole and read.is_whole) and cursors != sorted(cursors):
        raise Skipped(
            f"the records do not come in the order of '{subject.cursor_field}', and the read was "
            "cut off: raise --max-rows to compare all"
        )
    start = subject.typed(read.start)
    held = subject.held
    is_open, falls = held.range_start == "open", held.last_value_func is min
    expected = [
        row
        for row in _with_cursor(subject)
        if _is_due(subject.cursor_of(row), start, is_open=is_open, falls=falls)
    ]
    missing = _without(subject, expected, read.rows)
    if not missing:
        return
    at_start = sum(subject.cursor_of(row) == start for row in missing)
    hint = ": ask the API for >=, not >" if at_start == len(missing) else ""
    raise Failed(
        f"asked from {read.start} on, it left out {len(missing):,} records that it gave before, "
        f"{at_start:,} of them with exactly that value{hint}"
    )


def _is_due(at: Any, start: Any, *, is_open: bool, falls: bool) -> bool:
    if at == start:
        return not is_open
    return bool(at < start if falls else at > start)


def _without(subject: Subject, rows: Sequence[Row], others: Sequence[Row]) -> list[Row]:
    identity = subject.identity()
    known = set(subject.identities(others))
    return [row for row in rows if identity(row) not in known]


def limit(subject: Subject) -> str:
    """A page has no more records than `limit` asks for."""
    own = _own_limit(subject)
    asked = min(SMALL_LIMIT, own)
    sizes = subject.read(limit=asked, most=2 * asked + 1).sizes
    if not any(sizes):
        raise Failed(f"asked for pages of {asked} records, it gave none")
    if max(sizes) > asked:
        raise Failed(f"asked for {asked} records, a page had {max(sizes):,}: pass limit to the API")
    return f"pages of {asked}"


def _own_limit(subject: Subject) -> int:
    parameter = subject.parameter("limit")
    if parameter is None or not isinstance(parameter.default, int):
        raise Skipped("the stream's function has no parameter limit with a number as default")
    return parameter.default


def paging(subject: Subject) -> str:
    """Pages of another size give the same records."""
    own = _own_limit(subject)
    first = subject.first
    count = len(first.rows)
    size = min(own - 1, max(1, count // 3))
    if size < 1 or count < 2:
        raise Skipped("there are too few records for more than one page")
    again = subject.read(limit=size)
    if not first.is_whole and count <= own:
        # Of one page alone, all may be on the other side of the cut.
        first, again = subject.read(most=2 * own), subject.read(limit=size, most=2 * own)
    before, after = subject.identities(first.rows), subject.identities(again.rows)
    if first.is_whole and again.is_whole:
        missing, added = _differences(before, after)
    else:
        # Where both were cut off, records near the cut may be on its other side.
        shared = min(len(before), len(after))
        kept = max(0, shared - max(own, size))
        if not kept:
            raise Skipped("too few records were read to compare: raise --max-rows")
        missing, _ = _differences(before[:kept], after)
        added, _ = _differences(after[:kept], before)
    if missing or added:
        raise Failed(
            f"pages of {size} gave {len(missing):,} records less and {len(added):,} more than "
            f"pages of {own}, such as {_named((missing or added)[0])}: page by a key, in an "
            "order that is the same for each request"
        )
    return f"the same records in pages of {own} and of {size}"


def _differences(some: Sequence[Any], others: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    known, wanted = set(others), set(some)
    return [one for one in some if one not in known], [one for one in others if one not in wanted]


def types(subject: Subject) -> str:
    """Each value fits its configured field, so that nothing would go to quarantine."""
    config = subject.written_config
    if config is None:
        raise Skipped(f"not discovered yet: run `landing discover {subject.source.name}`")
    reasons: Counter[str] = Counter()
    for page in subject.first.pages:
        for misfit in subject.columns.convert(page).misfits:
            reasons[f"{misfit.field}: {misfit.reason}"] += 1
    if reasons:
        told = "; ".join(f"{reason} ({n:,})" for reason, n in reasons.most_common(SHOWN))
        raise Failed(f"{reasons.total():,} records would go to quarantine: {told}")
    present = {name for row in subject.first.rows for name in row}
    absent = [name for name in config.fields if name not in present]
    if len(absent) == len(config.fields):
        raise Failed(f"no record has any of the fields of {config.origin}")
    note = f"; no record had {listed(absent)}" if absent else ""
    return f"{len(config.fields)} fields of {config.origin}{note}"


def fields(subject: Subject) -> str:
    """Asked for some fields, the API gives these, the key and the cursor, and no others."""
    if subject.parameter("fields") is None:
        raise Skipped("the stream's function has no parameter fields")
    needed = [name for name in (*subject.key, subject.cursor_field) if name is not None]
    present = dict.fromkeys(name for row in subject.first.rows for name in row)
    others = [name for name in present if name not in needed]
    if len(others) < 2:
        raise Skipped("there are too few fields to choose from")
    chosen = list(dict.fromkeys([*needed, *others[: len(others) // 2]]))
    rows = subject.read(fields=chosen, most=SOME_ROWS).rows
    given = {name for row in rows for name in row}
    if extra := given - set(chosen):
        raise Failed(f"asked for {listed(chosen)}, it gave {listed(extra)} too")
    if missing := set(chosen) - given:
        raise Failed(f"asked for {listed(chosen)}, it did not give {listed(missing)}")
    _same_values(subject, rows, chosen)
    return f"{len(chosen)} of {len(present)} fields"


def _same_values(subject: Subject, rows: Sequence[Row], names: Collection[str]) -> None:
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
                raise Failed(
                    f"'{name}' of the record {_named(identity(row))} is another value if only "
                    "some fields are asked for"
                )


def resume(subject: Subject) -> str:
    """Two runs that die, one that completes: what landed is what the stream has."""
    landed = _landed(subject)
    expected = [
        row
        for page in subject.first.pages
        for row in subject.columns.convert(page).table.to_pylist()
    ]
    if subject.key and set(subject.key) <= subject.config.fields.keys():
        return _newest_is_there(subject, landed, expected)
    there = {content(row) for row in landed}
    lost = sum(content(row) not in there for row in expected)
    if lost:
        raise Failed(f"{lost:,} of {len(expected):,} records were lost")
    return f"{len(expected):,} records, all there after two runs that died"


def _landed(subject: Subject) -> list[Row]:
    try:
        return rows_after_interruptions(subject)
    except NothingDied as reason:
        raise Skipped(str(reason)) from None


def _newest_is_there(subject: Subject, landed: Sequence[Row], expected: Sequence[Row]) -> str:
    """`landed` in the order of loads, so that the last version of a key is the current one."""
    current = _newest(subject, landed)
    wanted = _newest(subject, expected)
    if lost := [identity for identity in wanted if identity not in current]:
        raise Failed(
            f"{len(lost):,} of {len(wanted):,} records were lost, such as {_named(lost[0])}"
        )
    at = _landed_cursor(subject)
    for identity, row in wanted.items():
        there = current[identity]
        is_newer = at is not None and there[at] != row[at]
        if content(there) != content(row) and not is_newer:
            raise Failed(f"the record {_named(identity)} landed with another content")
    return f"{len(wanted):,} records, all there after two runs that died"


def _newest(subject: Subject, rows: Sequence[Row]) -> Mapping[Any, Row]:
    identity = subject.identity()
    found: dict[Any, Row] = {}
    at = _landed_cursor(subject)
    for row in rows:
        known = found.get(identity(row))
        if known is None or at is None or not _is_older(subject, row[at], known[at]):
            found[identity(row)] = row
    return found


def _landed_cursor(subject: Subject) -> str | None:
    """The cursor field, if it is among those that land."""
    return subject.cursor_field if subject.cursor_field in subject.config.fields else None


def _is_older(subject: Subject, at: Any, than: Any) -> bool:
    if at is None or than is None:
        return False
    return bool(at > than if subject.held.last_value_func is min else at < than)


def secrets(subject: Subject) -> str:
    """No secret of the source's variables is in what was printed, logged, landed or kept."""
    found, looked_for = leaks(subject)
    if not looked_for:
        raise Skipped("the source reads no variable whose name says that it is secret")
    if found:
        raise Failed(f"the value of {found[0].secret} is in {found[0].place}")
    return f"{listed(looked_for)}: not in output, logs, records, state or quarantine"


CHECKS: dict[str, Check] = {
    "records": records,
    "primary_key": primary_key,
    "cursor": cursor,
    "incremental": incremental,
    "limit": limit,
    "paging": paging,
    "types": types,
    "fields": fields,
    "resume": resume,
    "secrets": secrets,
}
"""By name, in the order in which they are run: what only the first needs is read first."""


class Suite:
    """The checks of a source. `results` yields each as soon as it is known."""

    def __init__(self, source: Source, limits: Limits, may_be_empty: Collection[str] = ()) -> None:
        self._source = source
        self._limits = limits
        self._may_be_empty = may_be_empty
        self._subjects: dict[str, Subject] = {}
        self._unreadable: dict[str, str] = {}
        """Why a stream could not be read, so that its API is asked once and not by each check."""

    def results(self, streams: Sequence[str], checks: Collection[str]) -> Iterator[CheckResult]:
        """Raises UsageError for a stream that is not there, and for what a person has to set."""
        streams = streams or list(self._source.streams())
        for stream in (*streams, *self._may_be_empty):
            self._source.stream(stream)
        yield self.connects(streams[0])
        for stream in streams:
            for name in CHECKS:
                if name in checks:
                    yield self.check(stream, name)

    def connects(self, stream: str) -> CheckResult:
        """Whether the API answers the first request of a stream."""

        def answers(subject: Subject) -> str:
            subject.read(most=1)
            return f"the API answered to {stream}"

        return self._outcome(None, CONNECTS, self._subject(stream), answers)

    def check(self, stream: str, name: str) -> CheckResult:
        return self._outcome(stream, name, self._subject(stream), CHECKS[name])

    def close(self) -> None:
        for subject in self._subjects.values():
            subject.close()

    def _subject(self, stream: str) -> Subject:
        if stream not in self._subjects:
            self._subjects[stream] = Subject(self._source, stream, self._limits)
        return self._subjects[stream]

    def _outcome(
        self, stream: str | None, name: str, subject: Subject, check: Check
    ) -> CheckResult:
        clock = time.monotonic()
        status: Status = "passed"
        with Listening(subject.heard):
            try:
                if name != CONNECTS:
                    self._require_readable(subject)
                if name not in (CONNECTS, "records"):
                    _require_records(subject)
                detail = check(subject)
            except Skipped as reason:
                status, detail = "skipped", str(reason)
            except Failed as reason:
                status, detail = "failed", str(reason)
                is_empty = name == "records" and not isinstance(reason, Unreadable)
                if is_empty and stream in self._may_be_empty:
                    status, detail = "skipped", "the stream has no records, as was said it may"
            except UsageError:
                raise
            except Exception as error:
                status, detail = "failed", str(self._explained(subject, error))
        seconds = round(time.monotonic() - clock, 3)
        return CheckResult(stream=stream, check=name, status=status, detail=detail, seconds=seconds)

    def _require_readable(self, subject: Subject) -> None:
        """The first check of a stream that can't be read fails with the reason, others are
        skipped: one that is asked for alone must not pass."""
        if subject.name in self._unreadable:
            raise Skipped(f"the stream could not be read: {self._unreadable[subject.name]}")
        try:
            _ = subject.first
        except UsageError:
            raise
        except Exception as error:
            told = str(self._explained(subject, error))
            self._unreadable[subject.name] = told.splitlines()[0]
            raise Unreadable(told) from error

    def _explained(self, subject: Subject, error: Exception) -> LandingError:
        raise_if_interrupted(error)
        for cause in causes(error):
            if request := missing_answer(cause):
                return StreamError(
                    f"the recording has no answer to this {request}: the source, its config or "
                    "the check asks otherwise than it did then; record anew with --record"
                )
        told = explained(
            self._source.workspace, self._source.name, f"stream '{subject.name}'", error
        )
        if isinstance(told, UsageError):
            raise told from error
        return told


def _require_records(subject: Subject) -> None:
    if not any(row_count(page) for page in subject.first.pages):
        raise Skipped("the stream gave no records")


def _amount(read: Read) -> str:
    pages = "1 page" if len(read.pages) == 1 else f"{len(read.pages):,} pages"
    rest = "" if read.is_whole else "; there may be more"
    return f"{len(read.rows):,} records in {pages}{rest}"


def _cursor_name(subject: Subject) -> str:
    if subject.cursor_field is None:
        raise Skipped("neither the stream nor its config has a cursor")
    return subject.cursor_field


def _named(identity: Any) -> str:
    values = identity if isinstance(identity, tuple) else (identity,)
    if len(values) == 1 and isinstance(values[0], bytes):
        return "one without a key"
    return ", ".join(str(value) for value in values)
