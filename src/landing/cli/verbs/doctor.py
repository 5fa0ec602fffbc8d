"""`landing doctor`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from landing.catalog.workspace import Workspace
from landing.cli.arguments import add_json, add_sources
from landing.cli.text.lines import hanging, terminal_width
from landing.cli.text.output import counted, print_json, printable
from landing.errors import WorkspaceError

if TYPE_CHECKING:
    from landing.operations.doctor import Finding

HELP = "find out what keeps runs from working here, and what to do about it"
_WIDTH = 12


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Python, packages, settings, disk, bucket (an object is written below _dlt/_doctor and "
        "deleted again), clocks, sources, their variables and stream configs. No API is asked, and "
        "no secret is shown. Exits with 1 if something is wrong."
    )
    add_sources(parser)
    add_json(parser)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.catalog.names import check_source
    from landing.observe import check_installed
    from landing.operations.doctor import of_machine, of_workspace
    from landing.page.publishing import least_age, shows_values

    sources = [check_source(workspace, name) for name in options.sources]

    def findings() -> Iterator[Finding]:
        yield from of_machine()
        yield from of_workspace(workspace, sources, (check_installed, least_age, shows_values))

    return _message(options, findings())


def without_workspace(options: argparse.Namespace, error: WorkspaceError) -> int:
    """What can be said where there is none."""
    from landing.operations.doctor import of_machine, wrong

    remedy = "change into the repository that has one, or make one: `landing init FOLDER`"
    return _message(options, [*of_machine(), wrong("workspace", str(error), remedy)])


def _message(options: argparse.Namespace, findings: Iterable[Finding]) -> int:
    found = list(findings) if options.json else list(_printed(findings))
    amiss = sum(not finding.ok for finding in found)
    if options.json:
        print_json(found)
    elif amiss:
        print(f"{counted(amiss, 'thing')} to mend")
    else:
        print("all is well here; whether an API answers, `landing check SOURCE` tries")
    return 1 if amiss else 0


def _printed(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Print each as it comes: a bucket that does not answer takes its time."""
    width = terminal_width()
    for finding in findings:
        mark = "ok" if finding.ok else "!!"
        line = printable(f"{mark}  {finding.check:<{_WIDTH}} {finding.found}")
        print(hanging(line, 5 + max(_WIDTH, len(finding.check)), width), flush=True)
        if finding.remedy is not None:
            line = printable(f"    {'':<{_WIDTH}} → {finding.remedy}")
            print(hanging(line, 7 + _WIDTH, width))
        yield finding
