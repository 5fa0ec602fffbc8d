"""The plan of a new source from options, and from questions for those that are left out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from landing.cli.text.console import say
from landing.errors import UsageError, nearest

if TYPE_CHECKING:
    from landing.scaffold import AuthPlan, CursorPlan, PagingPlan, SourcePlan, StreamPlan
    from landing.scaffold.kinds import Kind


def plan_from_answers(options: argparse.Namespace) -> SourcePlan:
    """Raises UsageError if an option is missing and there is no terminal to ask in."""
    from landing.scaffold import SourcePlan
    from landing.scaffold.plan import check_url

    needed = {
        "--base-url": options.base_url,
        "--auth": options.auth,
        "--paging": options.paging,
        "--streams": options.streams,
    }
    missing = [flag for flag, value in needed.items() if not value]
    if missing and not sys.stdin.isatty():
        raise UsageError(
            f"add {', '.join(missing)} (or --openapi): there is no terminal to ask questions in"
        )
    asks = bool(missing)
    base_url = check_url(options.base_url or asked("Base URL, which all paths are relative to"))
    auth = _auth(options, asks)
    paging = _paging(options, asks)
    names = options.streams or asked("Streams, as name or name=path, separated by spaces").split()
    records = _value(
        options.records, asks, "Where the records are in the response, such as data.items", ""
    )
    key = _value(options.primary_key, asks, "Field that identifies a record", "id")
    cursor = _cursor(options, asks)
    is_post = options.method == "post"
    streams = [_stream(name, records, paging, key, cursor, is_post=is_post) for name in names]
    return SourcePlan(options.source, base_url, auth, streams)


def _auth(options: argparse.Namespace, asks: bool) -> AuthPlan:
    from landing.scaffold import AUTHS, planned_auth

    kind = options.auth or _chosen("How to authenticate", AUTHS)
    return planned_auth(kind, _about(AUTHS, kind, pairs("auth", options.auth_arg), asks))


def _paging(options: argparse.Namespace, asks: bool) -> PagingPlan:
    from landing.scaffold import PAGINGS, paging_plan

    kind = options.paging or _chosen("How to get from one page to the next", PAGINGS)
    return paging_plan(kind, _about(PAGINGS, kind, pairs("paging", options.paging_arg), asks))


def _about(
    kinds: Mapping[str, Kind], kind: str, given: dict[str, str], asks: bool
) -> dict[str, str]:
    """The arguments of a kind: those given, and those answered, if questions are asked."""
    if asks and kind in kinds:
        for argument in kinds[kind].arguments:
            if argument.name not in given:
                question = argument.question[:1].upper() + argument.question[1:]
                default = None if argument.default is None else str(argument.default)
                given[argument.name] = asked(question, default)
    return given


def _cursor(options: argparse.Namespace, asks: bool) -> CursorPlan | None:
    from landing.scaffold import CursorPlan
    from landing.scaffold.plan import DEFAULT_INITIAL_VALUE

    field = _value(options.cursor, asks, "Field that grows with every change, if there is one", "")
    if not field:
        for flag in ("since", "initial_value"):
            if getattr(options, flag):
                raise UsageError(
                    f"--{flag.replace('_', '-')} needs --cursor: which field is it of?"
                )
        return None
    since = options.since
    if not since and asks:
        since = asked(f"Query parameter for records from a value of {field} on")
    if not since:
        raise UsageError(
            "--cursor needs --since: which query parameter does the API take it in? (if there is "
            "none, leave both out and set cursor_field in the stream config)"
        )
    question = f"Value of {field} before the first run, such as 0 for numbers"
    initial = _value(options.initial_value, asks, question, DEFAULT_INITIAL_VALUE)
    param, _, template = since.partition("=")
    if template and "{value}" not in template:
        raise UsageError(f"--since {since}: the template has to have {{value}} in it")
    is_number = initial.removeprefix("-").isdecimal()
    return CursorPlan(field, param, int(initial) if is_number else initial, template)


def _stream(
    name: str,
    records: str,
    paging: PagingPlan,
    key: str,
    cursor: CursorPlan | None,
    *,
    is_post: bool,
) -> StreamPlan:
    from landing.scaffold import StreamPlan

    name, _, path = name.partition("=")
    return StreamPlan(
        name,
        path.lstrip("/") or ("graphql" if paging.kind == "graphql" else name),
        records=records,
        paging=paging,
        primary_key=[key] if key else [],
        cursor=cursor,
        is_post=is_post,
    )


def pairs(flag: str, given: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--{flag}-arg {text}: write it as NAME=VALUE")
        pairs[name] = value
    return pairs


def _value(given: str | None, asks: bool, question: str, default: str) -> str:
    if given is not None or not asks:
        return default if given is None else given
    return asked(question, default)


def asked(question: str, default: str | None = None) -> str:
    hint = f" [{default}]" if default else ""
    while True:
        try:
            answer = input(f"{question}{hint}: ").strip()
        except EOFError:
            raise UsageError(
                "the input ended before the last answer; nothing was written"
            ) from None
        if answer or default is not None:
            return answer or str(default)


def _chosen(question: str, kinds: Mapping[str, Kind]) -> str:
    say(f"{question}:")
    width = max(map(len, kinds))
    for name, kind in kinds.items():
        say(kind.summary, mark=f"  {name:<{width}}  ")
    while (answer := asked("Kind")) not in kinds:
        say(f"There is no '{answer}'{nearest(answer, kinds)}")
    return answer
