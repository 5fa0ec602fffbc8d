"""The kinds of values that a stream config expects, and what a run's drift still says of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from landing.catalog.fields import landing_fields
from landing.catalog.stream_config import StreamConfig
from landing.results import Drifted

_BECAME = " → "


def not_adapted(config: StreamConfig, drifted: Drifted) -> Drifted:
    """A run's drift, without changes to which the config or discovered schema has been adapted."""
    known, lands = config.known_names, landing_fields(config.fields)
    expected = {name: spelled(kinds) for name, kinds in expected_kinds(config)}
    return Drifted(
        gained={name: kinds for name, kinds in drifted.gained.items() if name not in known},
        lost=[name for name in drifted.lost if name in lands],
        changed={
            name: change
            for name, change in drifted.changed.items()
            if change.partition(_BECAME)[0] == expected.get(name)
        },
    )


def expected_kinds(config: StreamConfig) -> Iterator[tuple[str, frozenset[str]]]:
    """For each field that lands, the kinds in the discovered schema, or else in the config; and if
    a person listed several kinds in the config, these as well."""
    for name, field in landing_fields(config.fields).items():
        seen = config.discovered.get(name)
        kinds = (seen.kinds if seen is not None else None) or field.kinds
        if len(field.kinds) > 1:
            kinds |= field.kinds
        if kinds:
            yield name, widened(kinds)


def widened(kinds: frozenset[str]) -> frozenset[str]:
    return kinds | {"integer"} if "number" in kinds else kinds


def became(expected: Collection[str], seen: Collection[str]) -> str:
    return f"{spelled(expected)}{_BECAME}{spelled(seen)}"


def spelled(kinds: Collection[str]) -> str:
    seen = set(kinds)
    if "number" in seen:
        seen.discard("integer")
    return " or ".join(sorted(seen)) or "null"
