"""Plans the CronJobs: which streams each runs, when, and under which name."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
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


def timetable(
    workspace: Workspace, per: Per, default: Schedule | None = None, existing: Sequence[Job] = ()
) -> Timetable:
    """The jobs of all selected streams. `default` is for streams without their own schedule. Jobs
    for a source go on with the names of `existing` ones.

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
    names = _job_names(groups, per, existing)
    jobs = [
        Job(names[key], key[0], slugs[key[0]], tuple(streams), schedules[key])
        for key, streams in groups.items()
    ]
    return Timetable(tuple(sorted(jobs, key=lambda job: job.name)), tuple(unscheduled))


def source_slugs(workspace: Workspace) -> dict[str, str]:
    """Each source's name in a form that Kubernetes accepts as name and label."""
    named = dns_names(((source,) for source in workspace.source_names()), LONGEST_LABEL)
    return {source: slug for (source,), slug in named.items()}


def _job_names(
    groups: Mapping[Key, Sequence[str]], per: Per, existing: Sequence[Job]
) -> dict[Key, str]:
    """No name has a schedule in it. The first job of a source has the source's bare name, and
    others add their first stream."""
    kept = {} if per == "stream" else _kept_names(groups, existing)
    sources = {source for source, _ in kept}
    wanted = {}
    new = groups.keys() - kept.keys()
    for source, what in sorted(new, key=lambda key: (-len(groups[key]), groups[key])):
        is_bare = per == "source" and source not in sources
        first = groups[source, what][0]
        wanted[source, what] = ("landing", source) if is_bare else ("landing", source, first)
        sources.add(source)
    names = dns_names(wanted.values(), LONGEST_NAME, kept.values())
    return {**kept, **{key: names[parts] for key, parts in wanted.items()}}


def _kept_names(groups: Mapping[Key, Sequence[str]], existing: Sequence[Job]) -> dict[Key, str]:
    """A name stays with the streams that are due as before, or else with most of its streams."""
    shared = [
        (str(job.schedule) != key[1], -len(common), job.name, key)
        for key, streams in groups.items()
        for job in existing
        if job.source == key[0] and (common := set(streams).intersection(job.streams))
    ]
    names: dict[Key, str] = {}
    for _, _, name, key in sorted(shared):
        if key not in names and name not in names.values():
            names[key] = name
    return names


def dns_names(wanted: Iterable[Key], longest: int, taken: Iterable[str] = ()) -> dict[Key, str]:
    """A distinct DNS-1123 label for each name, none of them in `taken`.

    Names that are too long, or that differ only in characters that a label can't have (`a_b`,
    `a-b`, `A-b`), end with a digest of the original spelling.
    """
    keys = sorted(set(wanted))
    slugs = {key: _slug(key) for key in keys}
    uses = Counter([*slugs.values(), *taken])
    return {
        key: slug if uses[slug] == 1 and len(slug) <= longest else _distinct(slug, key, longest)
        for key, slug in slugs.items()
    }


def _slug(parts: Sequence[str]) -> str:
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


def _distinct(slug: str, key: Key, longest: int) -> str:
    return f"{slug[: longest - _HASHED - 1].rstrip('-')}-{_digest(key)}"


def _digest(parts: Key) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:_HASHED]
