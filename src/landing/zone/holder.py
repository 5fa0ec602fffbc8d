"""The process that holds a stream's lease, as the lease in the bucket describes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast

from landing.zone.bucket import Bucket, StoredObject
from landing.zone.process import has_ended

Purpose = Literal["run", "publication", "compaction", "state"]
_DOING = {
    "run": "another run is under way",
    "publication": "rows that were read before are being published",
    "compaction": "its files are being compacted",
    "state": "its state is being changed",
}


@dataclass(frozen=True)
class Holder:
    """The process that holds a lease, or died while holding it."""

    purpose: Purpose
    host: str
    pid: str
    since: str
    renewed: datetime
    """By the bucket's clock."""
    is_gone: bool = False
    """Whether it was a process of this machine, and has ended."""

    @property
    def doing(self) -> str:
        return "it was interrupted" if self.is_gone else _DOING[self.purpose]

    def __str__(self) -> str:
        gone = ", which no longer exists," if self.is_gone else ""
        return f"process {self.pid} on {self.host}{gone} holds the lease since {self.since}"


RELEASED = Holder("publication", "another machine", "?", "just now", datetime.now(UTC))


def lease_holder(bucket: Bucket, path: str) -> Holder | None:
    """The holder of the lease at `path`; None if it is free."""
    found = bucket.get(path)
    return None if found is None or is_released(found) else holder_of(found)


def holder_of(found: StoredObject) -> Holder:
    fields = lease_fields(found)
    purpose = fields.get("purpose", "run")
    return Holder(
        purpose=cast(Purpose, purpose if purpose in _DOING else "run"),
        host=str(fields.get("host", "another machine")),
        pid=str(fields.get("pid", "?")),
        since=str(fields.get("since", "just now")),
        renewed=found.modified,
        is_gone=has_ended(str(fields.get("process", ""))),
    )


def is_released(found: StoredObject) -> bool:
    """Whether its holder has ended. It may name a load that has to be sealed."""
    return lease_fields(found).get("released") is True


def lease_fields(found: StoredObject) -> dict[str, Any]:
    try:
        fields = json.loads(found.data)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}
