"""Output that several verbs have in common, and their exit codes."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from landing.cli.text.console import put_document, put_trace, say
from landing.errors import LeaseHeld, UsageError, listed
from landing.errors import counted as counted
from landing.errors import lasting as lasting
from landing.errors import sized as sized
from landing.secrets import masked, redacted, without_secrets

if TYPE_CHECKING:
    from landing.results import TableResult


ARROW = "  → "
ERROR = "error: "
_NOTE = "  !      "


class Log(Protocol):
    """The log of a verb that writes events instead of lines."""

    def write(self, level: str, event: str, message: str) -> None: ...


def complain_of_each(
    source: str, failed: Mapping[str, Exception], options: argparse.Namespace
) -> None:
    """Complain of streams that failed, but once of what differs only in the stream's name."""
    alike: dict[tuple[str, str], list[str]] = {}
    for stream, error in failed.items():
        texts = (str(error), str(getattr(error, "remedy", "")))
        # Each on its own in a log of events, and where tracebacks may differ.
        is_alone = options.debug or getattr(options, "log", None) is not None
        first, second = texts if is_alone else (_unnamed(source, stream, text) for text in texts)
        alike.setdefault((first, second), []).append(stream)
    for first_stream, *others in alike.values():
        complain(failed[first_stream], options, also=others)


def _unnamed(source: str, stream: str, text: str) -> str:
    return text.replace(f"{source}/{stream}", "…").replace(f"{source} {stream}", "…")


def complain(error: BaseException, options: argparse.Namespace, also: Sequence[str] = ()) -> None:
    """`also` are other streams with the same error."""
    trace = "".join(traceback.format_exception(error)) if options.debug else ""
    report_event(options, "error", "error", f"{ERROR}{error}", trace)
    if also:
        say(f"the same for {listed(also)}", mark=" " * len(ERROR), to=sys.stderr)
    remedy: str | None = getattr(error, "remedy", None)
    if remedy is not None and getattr(options, "log", None) is None:
        say(redacted(remedy), mark=ARROW, to=sys.stderr)


def print_json(document: Any) -> None:
    """Print the document of a command with `--json`."""
    import msgspec

    text = msgspec.json.format(_encoded(document), indent=1).decode()
    put_document(text.split("\n"))


def print_json_line(document: Any) -> None:
    """Print one of several documents, each on a line."""
    put_document([_encoded(document).decode()])


def _encoded(document: Any) -> bytes:
    import msgspec

    from landing.cli.json.shapes import plain

    encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=plain)
    text = encoder.encode(document)
    if masked(text.decode()) == text.decode():
        return text
    values = msgspec.json.Decoder(float_hook=Decimal).decode(text)
    return encoder.encode(without_secrets(values, masked))


def print_failed(error: BaseException, code: int) -> None:
    """Print the document of a command that failed, on one line, since rows may have been printed
    before."""
    from landing.cli.json.shapes import Error, Failed

    print_json_line(Failed(error=Error.of(error, code)))


def report_event(
    options: argparse.Namespace, level: str, event: str, text: str, trace: str = ""
) -> None:
    """Print a line about the command as a whole, or write it to the verb's log."""
    log: Log | None = getattr(options, "log", None)
    if log is not None:
        log.write(level, event, "\n".join(filter(None, [text.removeprefix(ERROR), trace])))
        return
    text = redacted(text)
    mark = ERROR if text.startswith(ERROR) else ""
    say(text.removeprefix(mark), mark=mark, style="bold red" if mark else "", to=sys.stderr)
    if trace:
        put_trace(redacted(trace))


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


def print_table(table: TableResult | None) -> None:
    """Print how the stream's current-state table changed, if it has one."""
    if table is None:
        return
    say(f"{table.format} at {table.location}: {_upserts(table)}", mark="  table  ")
    if table.keyless:
        rows = counted(table.keyless, "row")
        say(
            f"{rows} without a value in the primary key landed, but are not in the table",
            mark=_NOTE,
        )
    for field, count in table.conversion_errors.items():
        say(
            f"{field}: {counted(count, 'value')} of older files don't fit the column's current "
            "type, and are null in the table",
            mark=_NOTE,
        )


def _upserts(table: TableResult) -> str:
    if table.is_new:
        return f"rebuilt from all landed files, {counted(table.upserted, 'row')}"
    if not (table.upserted or table.removed):
        return "up to date"
    gone = f", {counted(table.removed, 'row')} removed" if table.removed else ""
    changed = table.upserted - table.inserted
    which = f" ({table.inserted:,} new, {changed:,} changed)" if table.upserted else ""
    return f"{counted(table.upserted, 'row')} upserted{which}{gone}"
