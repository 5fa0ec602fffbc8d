"""Keeps and counts rows that do not fit their stream config, with the reason; drops none."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landing.catalog.stream_config import StreamConfig
from landing.columns.conversion import Columns, Converted, RowError
from landing.columns.odd_records import OddRecord
from landing.columns.privacy import row_protector
from landing.columns.size_limits import bounded
from landing.errors import counted
from landing.extraction.kept_rows import encode, kept_line, row_json
from landing.extraction.row_versions import key_of, keys_of

# Bounds the state; with more rows than this, one may be quarantined more than once.
REMEMBERED = 1_000
_SHOWN = 3
"""Reasons that a message names."""


@dataclass(frozen=True)
class Rejected:
    """A row that did not convert; `json` is what quarantine keeps of it."""

    error: RowError
    json: bytes
    key: Any
    """Its primary key; if that is incomplete, an object that equals no other key."""

    @property
    def identity(self) -> str:
        """A hash of the row without the reason, which may change with the config."""
        return hashlib.blake2b(self.json, digest_size=8).hexdigest()


class Quarantine:
    """The rejected rows of one run, as JSON lines on the local disk until they are published.

    Only fields of the stream config are kept, and private fields are protected.
    """

    def __init__(
        self,
        file: Path,
        config: StreamConfig,
        columns: Columns,
        primary_key: tuple[str, ...],
    ) -> None:
        self._file = file
        known = config.known_names if config.on_drift == "land" else None
        self._protected = row_protector(config.fields, known)
        self._columns = columns
        self._primary_key = primary_key
        self._reasons: Counter[str] = Counter()
        self._closed: Counter[str] = Counter()
        self._new = 0
        self._again = 0
        self.known: frozenset[str] = frozenset()
        """Identities of rows that an earlier run quarantined; the API may return them again."""
        self._identities: dict[str, None] = {}

    @property
    def count(self) -> int:
        """Rows since the last `close`."""
        return self._reasons.total()

    @property
    def identities(self) -> list[str]:
        """Identities of the last rejected rows, which the API is most likely to return again."""
        return sorted(self._identities)

    @property
    def share(self) -> float:
        """Share of rejected rows since the last `close`, not counting known ones."""
        return self.count / max(1, self._new)

    def new(self, converted: Converted) -> tuple[list[Rejected], list[Rejected]]:
        """The rejected rows to add; known ones are only counted.

        The second list has those that are later versions of rows in the batch that fit; the first
        has all others.
        """
        rejected = (self._rejected(error) for error in converted.errors)
        new = [one for one in rejected if self._is_new(one.identity)]
        self._new += converted.table.num_rows + len(new)
        if not new or not self._primary_key or converted.kept is None:
            return new, []
        last = dict(zip(keys_of(converted.table, self._primary_key), converted.kept, strict=True))
        parted: dict[bool, list[Rejected]] = {False: [], True: []}
        for one in new:
            parted[one.error.index > last.get(one.key, one.error.index)].append(one)
        return parted[False], parted[True]

    def _rejected(self, error: RowError) -> Rejected:
        key = key_of(error.row, self._columns, self._primary_key)
        if isinstance(error.row, OddRecord):
            kept = error.row.in_words if self._columns.has_private else repr(error.row)
            return Rejected(error, bounded(encode(kept)), key)
        row = self._protected(error.row)
        if error.is_tombstone:
            row = {name: row[name] for name in self._primary_key if name in row}
        return Rejected(error, bounded(row_json(row)), key)

    def _is_new(self, identity: str) -> bool:
        self._identities.pop(identity, None)
        self._identities[identity] = None
        if len(self._identities) > REMEMBERED:
            del self._identities[next(iter(self._identities))]
        self._again += identity in self.known
        return identity not in self.known

    def add(self, rows: Sequence[tuple[Rejected, str]], load_id: str) -> None:
        """Add rows, each with the `_dlt_load_id` that it gets once it fits."""
        with self._file.open("ab") as out:
            for rejected, row_version in rows:
                error = rejected.error
                line = kept_line(rejected.json, error, load_id, row_version)
                out.write(line)
                self._reasons[f"{error.field}: {error.reason}"] += 1

    def close(self) -> Path | None:
        """The file with the rows added since the last call; None if there are none."""
        self._new = 0
        if not self.count:
            return None
        self._closed += self._reasons
        self._reasons.clear()
        # Rows added while this file is being published go to a new one.
        return self._file.replace(self._file.with_suffix(".closed.jsonl"))

    def excess(self) -> str:
        """A message with the share of rejected rows and the main reasons."""
        return (
            f"{self.count:,} of {self._new:,} records do not fit the configured fields, "
            f"{_main(self._reasons)}, a share of {self.share:.3g}"
        )

    def notes(self) -> Iterator[str]:
        found = self._closed + self._reasons
        if count := found.total():
            what = "1 record does" if count == 1 else f"{count:,} records do"
            yield f"{what} not fit the configured fields and went to quarantine: {_main(found)}"
        if self._again:
            what = (
                "1 record still does" if self._again == 1 else f"{self._again:,} records still do"
            )
            yield f"{what} not fit, and went to quarantine with an earlier run"


def _main(reasons: Counter[str]) -> str:
    shown = [f"{reason} ({n:,})" for reason, n in reasons.most_common(_SHOWN)]
    if len(reasons) > _SHOWN:
        shown.append(f"and {counted(len(reasons) - _SHOWN, 'other reason')}")
    return "; ".join(shown)
