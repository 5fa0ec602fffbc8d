"""`landing fresh`."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, timedelta

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.cli.arguments import add_grace, add_json, add_sources, chosen_sources
from landing.cli.text.console import say
from landing.cli.text.output import ARROW, print_json
from landing.results import shaped

HELP = "list the streams that are behind their schedule or ahead of now, and alert"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Exits with 1 if a selected stream is late by its schedule, or has a cursor value more "
        "than a day ahead of now. Sends alerts, if LANDING_ALERT_WEBHOOK or "
        "LANDING_ALERT_PAGERDUTY_KEY is set, of streams that are late, of those whose cursor "
        "itself is ahead or that have too much in quarantine, and of those that no longer are."
    )
    add_sources(parser)
    add_grace(parser)
    add_json(parser)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.catalog.files import configured_streams
    from landing.catalog.orphans import orphans
    from landing.cli.json.shapes import StaleStream
    from landing.observe.ahead import ahead_streams
    from landing.observe.alert_rules import rules
    from landing.observe.alerts import alert_of_stale
    from landing.observe.freshness import late_streams
    from landing.observe.receivers import configured_receivers
    from landing.zone.bucket import Bucket

    configured_receivers(), rules()  # a mistake in their variables comes first
    for orphan in orphans(workspace):
        say(orphan.message, mark="note: ", to=sys.stderr)
    bucket = Bucket(bucket_settings(workspace))
    names = chosen_sources(options, workspace)
    grace, now = timedelta(minutes=options.grace), datetime.now(UTC)
    late = [one for source in names for one in late_streams(workspace, source, bucket, now, grace)]
    ahead = [one for source in names for one in ahead_streams(workspace, source, bucket, now)]
    if options.json:
        print_json([shaped(StaleStream, one) for one in (*late, *ahead)])
    else:
        for one in (*late, *ahead):
            say(str(one))
        for remedy in dict.fromkeys(stream.remedy for stream in ahead):
            say(remedy, mark=ARROW)
        if not late and not ahead:
            say("no stream is behind its schedule")
    checked = {(one, stream) for one in names for stream in configured_streams(workspace, one)}
    alert_of_stale(workspace, bucket, checked, late, ahead)
    return 1 if late or ahead else 0
