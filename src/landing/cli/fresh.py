"""`landing fresh`."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta

from landing.cli.output import positive
from landing.workspace import Workspace, bucket_settings

HELP = "say which streams are behind their schedule, and alert"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Of all selected streams with a schedule; exits with 1 if one is late. What is late is "
        "told to LANDING_ALERT_WEBHOOK, too, if that is set."
    )
    parser.add_argument("sources", metavar="SOURCE", nargs="*", help="all sources, unless told")
    parser.add_argument(
        "--grace",
        type=positive,
        default=60,
        metavar="MINUTES",
        help="after it was due, in which a stream is not late (default 60)",
    )


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.bucket import Bucket
    from landing.catalog import check_source
    from landing.observe.alerts import webhook
    from landing.observe.freshness import late_streams

    hook = webhook()
    bucket = Bucket(bucket_settings(workspace))
    names = [check_source(workspace, name) for name in options.sources] or workspace.source_names()
    grace, now = timedelta(minutes=options.grace), datetime.now(UTC)
    late = [one for source in names for one in late_streams(workspace, source, bucket, now, grace)]
    for one in late:
        print(one)
    if not late:
        print("no stream is behind its schedule")
    elif hook is not None:
        hook.post({}, late)
    return 1 if late else 0
