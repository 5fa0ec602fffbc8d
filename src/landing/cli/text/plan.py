"""What a run would do, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from landing.cli.text.console import put, say, terminal_width
from landing.cli.text.rows import row_lines
from landing.errors import counted
from landing.http.captured import CapturedRequest
from landing.operations.planning import RunPlan
from landing.operations.preview import Preview
from landing.secrets import redacted
from landing.zone.lineage import LOAD_ID, ROW_ID


def print_plan(plan: RunPlan) -> None:
    """All but the error of a page that could not be read, which goes to standard error."""
    config = plan.config
    does = "requests no records" if plan.preview is None else "reads one page"
    say(f"{config.source}/{config.stream}  (dry run: {does}, writes nothing)")
    for name, fact in _facts(plan):
        say(fact, mark=f"  {name:<9} ")
    for line in _columns(plan):
        say(line)
    if plan.preview is not None:
        _print_rows(plan.preview, plan.columns.names)


def _facts(plan: RunPlan) -> Iterator[tuple[str, str]]:
    config = plan.config
    yield "config", config.origin
    yield "mode", f"{config.sync_mode}, {config.destination_sync_mode}: {plan.mode}"
    yield "key", ", ".join(config.primary_key) or "none"
    if config.is_incremental:
        since = "the beginning" if plan.cursor is None else plan.read_from
        stands = "" if plan.read_from == plan.cursor else f" (the cursor is at {plan.cursor})"
        yield "cursor", f"{config.cursor_field}, from {since}{stands}"
        for parent in plan.parents:
            yield "parent", f"{parent.stream}, by {parent.cursor_field} from {parent.cursor}"
    if plan.deletes is not None:
        yield "deletes", plan.deletes
    if plan.preview is not None:
        yield from _previewed(plan.preview, f"{config.source} {config.stream}")
    yield "to", f"{plan.location}/year=YYYY/month=MM/day=DD/{{load_id}}.{{part}}.parquet"
    if plan.table is not None:
        yield "table", f"{config.table_format} at {plan.table}"
    for warning in plan.warnings:
        yield "!", warning


def _previewed(found: Preview, name: str) -> Iterator[tuple[str, str]]:
    """What the first page showed."""
    if found.requests:
        yield from _request(found.requests)
    if found.total is not None:
        yield "rows", f"{found.total:,}, says the API"
    yield "page", _page(found)
    for one in found.refused:
        yield (
            "refused",
            redacted(f"{one.field}: {one.reason} ({one.records:,}); goes to quarantine"),
        )
    for note in found.notes:
        yield "!", note
    if found.drift:
        yield "→", f"`landing discover {name}` updates the discovered schema"


def _request(requests: Sequence[CapturedRequest]) -> Iterator[tuple[str, str]]:
    """The one that gave the page, or that failed."""
    last = requests[-1]
    yield "request", f"{last.method} {last.url}"
    for name, value in last.params:
        yield "", f"  {name} = {value}"
    if last.body is not None:
        yield "", f"  {last.body}"
    if (times := requests.count(last)) > 1:
        yield "", f"made {times} times"
    if others := len(requests) - times:
        yield "", f"after {counted(others, 'other')}, as for a login or a parent"


def _page(found: Preview) -> str:
    if found.error is not None:
        return "would not land, see below" if found.read else "could not be read, see below"
    if not found.read:
        return "no record: there is nothing new"
    parts = [f"{counted(found.read, 'record')}: {found.new:,} would land"]
    if refused := found.refused_records:
        parts.append(f"{refused:,} would be refused")
    if found.undecided > 0:
        parts.append(f"{found.undecided:,} landed before, or are at the cursor")
    return ", ".join(parts)


def _columns(plan: RunPlan) -> Iterator[str]:
    config, change = plan.config, plan.change
    against = "as in the last files"
    if change is not None:
        against = "nothing has landed yet" if plan.is_first else "against the last files:"
    yield f"  columns   {len(plan.columns)}, {against}"
    marks = {}
    if change is not None and not plan.is_first:
        marks = dict.fromkeys(change.added, "  + new")
        marks |= {one.name: f"  ~ was {one.before}" for one in change.changed}
    width = max(len(name) for name in plan.columns.names)
    for column in plan.columns:
        field = config.fields.get(column.name)
        privacy = f" ({field.privacy})" if field is not None and field.privacy else ""
        mark = marks.get(column.name, "")
        yield f"    {column.name:<{width}}  {column.type}{privacy}{mark}"
    for name in change.removed if change is not None else ():
        yield f"    {name:<{width}}  - no longer lands"


def _print_rows(found: Preview, columns: Sequence[str]) -> None:
    if not found.rows:
        return
    of = "" if found.new == len(found.rows) else f", of {found.new:,}"
    say(f"  preview   {counted(len(found.rows), 'row')} as they would land{of}")
    width = terminal_width()
    room = None if width is None else width - 4
    for line in row_lines(columns, found.rows, room, first_to_go=(LOAD_ID, ROW_ID)):
        put(f"    {line}")
