"""`landing fresh`."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta

from landing.catalog.workspace import Workspace, bucket_settings
from landing.cli.arguments import add_grace, add_json, add_sources, chosen_sources
from landing.cli.text.console import say
from landing.cli.text.output import print_json

HELP = "list the streams that are behind their schedule, and alert"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Looks at all selected streams with a schedule. If some are late, it exits with 1 and "
        "sends them to LANDING_ALERT_WEBHOOK, if that is set."
    )
    add_sources(parser)
    add_grace(parser)
    add_json(parser)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.observe.alerts import webhook
    from landing.observe.freshness import late_streams
    from landing.zone.bucket import Bucket

    hook = webhook()
    bucket = Bucket(bucket_settings(workspace))
    names = chosen_sources(options, workspace)
    grace, now = timedelta(minutes=options.grace), datetime.now(UTC)
    late = [one for source in names for one in late_streams(workspace, source, bucket, now, grace)]
    if options.json:
        print_json(late)
    else:
        for one in late:
            say(str(one))
        if not late:
            say("no stream is behind its schedule")
    if late and hook is not None:
        hook.post({}, late)
    return 1 if late else 0
