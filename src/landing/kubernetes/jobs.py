"""Plans the CronJobs: which streams each runs, when, and under which name."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from landing.catalog.files import valid_configs
from landing.catalog.schedule import Schedule
from landing.catalog.workspace import Workspace

Per = Literal["source", "stream"]
Key: TypeAlias = tuple[str, ...]

LONGEST_NAME = 52
"""Characters of a CronJob's name. Its Jobs' names have 11 more, and a label takes 63."""
LONGEST_LABEL = 63
_HASHED = 8


@dataclass(frozen=True)
class Job:
    name: str
    source: str
    source_slug: str
    streams: tuple[str, ...]
    schedule: Schedule


@dataclass(frozen=True)
class Timetable:
    jobs: tuple[Job, ...]
    unscheduled: tuple[str, ...]
    """Selected streams without a schedule, as `source/stream`."""


def timetable(workspace: Workspace, per: Per, default: Schedule | None = None) -> Timetable:
    """The jobs of all selected streams. `default` is for streams without their own schedule.

    Raises CatalogError if a stream config or its schedule is wrong.
    """
    groups: dict[Key, list[str]] = defaultdict(list)
    schedules: dict[Key, Schedule] = {}
    unscheduled = []
    for config in valid_configs(workspace):
        schedule = config.schedule or default
        if schedule is None:
            unscheduled.append(f"{config.source}/{config.stream}")
            continue
        key = (config.source, config.stream if per == "stream" else str(schedule))
        groups[key].append(config.stream)
        schedules[key] = schedule
    slugs = source_slugs(workspace)
    names = _job_names(groups, per)
    jobs = [
        Job(names[key], key[0], slugs[key[0]], tuple(streams), schedules[key])
        for key, streams in groups.items()
    ]
    return Timetable(tuple(sorted(jobs, key=lambda job: job.name)), tuple(unscheduled))


def source_slugs(workspace: Workspace) -> dict[str, str]:
    """Each source's name in a form that Kubernetes accepts as name and label."""
    named = dns_names(((source,) for source in workspace.source_names()), LONGEST_LABEL)
    return {source: slug for (source,), slug in named.items()}


def _job_names(groups: Iterable[Key], per: Per) -> dict[Key, str]:
    """A source with one job has its bare name; several jobs add the stream, or a digest of their
    schedule."""
    keys = list(groups)
    timetables = Counter(source for source, _ in keys)
    wanted = {}
    for source, what in keys:
        distinct = what if per == "stream" else _digest((what,))
        alone = per == "source" and timetables[source] == 1
        wanted[source, what] = ("landing", source) if alone else ("landing", source, distinct)
    names = dns_names(wanted.values(), LONGEST_NAME)
    return {key: names[parts] for key, parts in wanted.items()}


def dns_names(wanted: Iterable[Key], longest: int) -> dict[Key, str]:
    """A distinct DNS-1123 label for each name.

    Names that are too long, or that differ only in characters that a label can't have (`a_b`,
    `a-b`, `A-b`), end with a digest of the original spelling.
    """
    keys = sorted(set(wanted))
    slugs = {key: _slug(key) for key in keys}
    taken = Counter(slugs.values())
    return {
        key: slug if taken[slug] == 1 and len(slug) <= longest else _distinct(slug, key, longest)
        for key, slug in slugs.items()
    }


def _slug(parts: Sequence[str]) -> str:
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


def _distinct(slug: str, key: Key, longest: int) -> str:
    return f"{slug[: longest - _HASHED - 1].rstrip('-')}-{_digest(key)}"


def _digest(parts: Key) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:_HASHED]
