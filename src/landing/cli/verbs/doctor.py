"""`landing doctor`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from landing.catalog.workspace import Workspace
from landing.cli.arguments import add_json, add_sources
from landing.cli.text.console import VERDICTS, say
from landing.cli.text.output import print_json
from landing.errors import WorkspaceError, counted

if TYPE_CHECKING:
    from landing.operations.doctor import Finding

HELP = "find out why runs do not work here, and what to do about it"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Checks Python, packages, settings, disk, bucket (it writes an object below _dlt/_doctor "
        "and deletes it), clocks, sources, their variables and stream configs. It calls no API and "
        "shows no secret. Exits with 1 if something is wrong."
    )
    add_sources(parser)
    add_json(parser)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.catalog.files import configured_streams
    from landing.catalog.names import check_source
    from landing.observe import check_installed
    from landing.operations.doctor import of_machine, of_workspace
    from landing.page.publishing import least_age, shows_values

    sources = [check_source(workspace, name) for name in options.sources]

    def findings() -> Iterator[Finding]:
        yield from of_machine()
        yield from of_workspace(workspace, sources, (check_installed, least_age, shows_values))

    known = workspace.source_names()
    named = sources or [one for one in known if any(configured_streams(workspace, one))] or known
    hint = f"; `landing check {named[0]}` tests whether its API answers" if named else ""
    return _report(options, findings(), hint)


def without_workspace(options: argparse.Namespace, error: WorkspaceError) -> int:
    """The checks that need no workspace."""
    from landing.operations.doctor import of_machine, wrong

    remedy = "change into the repository that has one, or make one: `landing init FOLDER`"
    return _report(options, [*of_machine(), wrong("workspace", str(error), remedy)])


def _report(options: argparse.Namespace, findings: Iterable[Finding], hint: str = "") -> int:
    found = list(findings) if options.json else list(_printed(findings))
    amiss = sum(not finding.ok for finding in found)
    if options.json:
        print_json(found)
    elif amiss:
        say(f"{counted(amiss, 'problem')} found")
    else:
        say(f"no problems found{hint}")
    return 1 if amiss else 0


def _printed(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Print each as it comes, since a bucket that does not answer takes its time."""
    for finding in findings:
        mark = "ok" if finding.ok else "!!"
        say(
            finding.found,
            mark=f"{mark}  {finding.check:<12} ",
            style=VERDICTS[mark],
            styled=mark,
        )
        if finding.remedy is not None:
            say(finding.remedy, mark=f"{'':<16} → ")
        yield finding
