"""What the verbs share in what they print and in how they end."""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Any, Protocol

from landing.cli.text.colours import painted
from landing.cli.text.lines import hanging, terminal_width
from landing.errors import LeaseHeld, UsageError
from landing.errors import counted as counted
from landing.errors import lasting as lasting
from landing.errors import sized as sized
from landing.secrets import redacted

if TYPE_CHECKING:
    from landing.results import TableResult


_ERROR = "error: "


class Failures(Protocol):
    """Where a verb that writes its own kind of lines has failures told."""

    def write(self, level: str, event: str, message: str) -> None: ...


def complain(error: BaseException, options: argparse.Namespace) -> None:
    trace = "".join(traceback.format_exception(error)) if options.debug else ""
    report_event(options, "error", "error", "\n".join(filter(None, [f"{_ERROR}{error}", trace])))
    remedy: str | None = getattr(error, "remedy", None)
    if remedy is not None and getattr(options, "log", None) is None:
        print(redacted(f"  → {remedy}"), file=sys.stderr)


def print_json(document: Any) -> None:
    """The one document of a command with `--json`."""
    import msgspec

    encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode
    text = msgspec.json.format(encode(document), indent=1).decode()
    print("\n".join(map(printable, text.split("\n"))))


def print_failed(error: BaseException, code: int) -> None:
    """Its document, if it ended before it had one: a line, since rows may have been told before."""
    import msgspec

    from landing.cli.json.shapes import Error, Failed

    print(printable(msgspec.json.encode(Failed(error=Error.of(error, code))).decode()), flush=True)


def stdout_to_stderr(options: argparse.Namespace) -> AbstractContextManager[Any]:
    """Tell and ask within at standard error with `--json`, whose document stands alone."""
    return redirect_stdout(sys.stderr) if options.json else nullcontext()


def report_event(options: argparse.Namespace, level: str, event: str, text: str) -> None:
    """Of a command as a whole: a line for a person, or of the verb's log."""
    log: Failures | None = getattr(options, "log", None)
    if log is None:
        lines = redacted(text).split("\n")
        # What follows the first line, as of a traceback, stays as it is.
        lines[0] = hanging(lines[0], len(_ERROR), terminal_width(sys.stderr))
        if lines[0].startswith(_ERROR):
            lines[0] = painted(_ERROR.strip(), "red", sys.stderr) + lines[0][len(_ERROR) - 1 :]
        print("\n".join(lines), file=sys.stderr)
    else:
        log.write(level, event, text.removeprefix(_ERROR))


def exit_code(errors: Iterable[Exception]) -> int:
    codes = [getattr(error, "exit_code", 1) for error in errors]
    if not codes:
        return 0
    if UsageError.exit_code in codes:
        return UsageError.exit_code
    return LeaseHeld.exit_code if set(codes) == {LeaseHeld.exit_code} else 1


def positive(text: str) -> int:
    """For argparse: a whole number above 0."""
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number above 0")
    return number


def table_lines(table: TableResult) -> Iterator[str]:
    """What happened to a current-state table."""
    name = f"  table  {table.format} at {table.location}: "
    if table.is_new:
        yield f"{name}made of all that landed, {counted(table.upserted, 'row')}"
    elif table.upserted or table.removed:
        gone = f", {counted(table.removed, 'row')} removed" if table.removed else ""
        changed = table.upserted - table.inserted
        which = f" ({table.inserted:,} new, {changed:,} changed)" if table.upserted else ""
        yield f"{name}{counted(table.upserted, 'row')} upserted{which}{gone}"
    else:
        yield f"{name}up to date"
    if table.keyless:
        yield (
            f"  !      {counted(table.keyless, 'row')} without a value in the primary key "
            "landed, but are not in the table"
        )
    for field, count in table.conversion_errors.items():
        yield (
            f"  !      {printable(field)}: {counted(count, 'value')} of older files don't fit the "
            "type of now, and are null in the table"
        )


def printable(text: str) -> str:
    """Strangers wrote what a source gives: nothing in it is to steer a terminal."""
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    """As JSON spells it within a string."""
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else json.dumps(character)[1:-1]
