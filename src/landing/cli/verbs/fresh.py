"""`landing fresh`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from landing.catalog.workspace import Workspace, bucket_settings
from landing.cli.arguments import add_grace, add_json, add_sources
from landing.cli.text.output import print_json

if TYPE_CHECKING:
    from landing.cli.json.shapes import LateStream
    from landing.observe.freshness import Late

HELP = "say which streams are behind their schedule, and alert"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Of all selected streams with a schedule; exits with 1 if one is late. What is late is "
        "told to LANDING_ALERT_WEBHOOK, too, if that is set."
    )
    add_sources(parser)
    add_grace(parser)
    add_json(parser)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.catalog.names import check_source
    from landing.observe.alerts import webhook
    from landing.observe.freshness import late_streams
    from landing.zone.bucket import Bucket

    hook = webhook()
    bucket = Bucket(bucket_settings(workspace))
    names = [check_source(workspace, name) for name in options.sources] or workspace.source_names()
    grace, now = timedelta(minutes=options.grace), datetime.now(UTC)
    late = [one for source in names for one in late_streams(workspace, source, bucket, now, grace)]
    if options.json:
        print_json([_listed(one) for one in late])
    else:
        _print(late)
    if late and hook is not None:
        hook.post({}, late)
    return 1 if late else 0


def _listed(late: Late) -> LateStream:
    from landing.cli.json.shapes import LateStream

    return LateStream(
        source=late.source, stream=late.stream, due=late.due, last=late.last, message=late.message
    )


def _print(late: Sequence[Late]) -> None:
    for one in late:
        print(one)
    if not late:
        print("no stream is behind its schedule")
