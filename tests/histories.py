"""A landing zone with a past: days of real runs under shifted clocks, in a folder.

`make_history` is what `tools/pictures.py` draws, too. The clock of the sources is the process's;
that of the bucket is put back for the states, by which `landing status` goes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import time_machine

from landing.cli import main

SOURCE = '''\
import hashlib
import os
from datetime import UTC, datetime, timedelta

import dlt

MINUTE = timedelta(minutes=1)
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def number(*words, below):
    return int.from_bytes(hashlib.blake2b(repr(words).encode(), digest_size=6).digest()) % below


def moments(name, since, every):
    """When records changed since then: fewer at night and on Sundays."""
    at, now = since, datetime.now(UTC)
    while (at := at + every) <= now - 2 * MINUTE:
        busy = (30 if at.weekday() == 6 else 60) + (40 if 8 <= at.hour < 20 else 0)
        if number(name, at.isoformat(), below=100) < busy:
            yield at


def answers(name):
    if name in os.environ.get("SHOP_REFUSES", "").split():
        raise RuntimeError("the API answered 503 Service Unavailable, five times")


def stream(name, every, row):
    @dlt.resource(name=name, primary_key="id")
    def read(
        updated_at: dlt.sources.incremental[str] = dlt.sources.incremental(
            "updated_at", initial_value=os.environ["SHOP_BEGINS"]
        ),
    ):
        answers(name)
        since = datetime.fromisoformat(updated_at.last_value)
        yield [
            {"id": int((at - FIRST) / MINUTE), "updated_at": at.isoformat(), **row(at)}
            for at in moments(name, since, every)
        ]

    return read


def order(at):
    paid = number("paid", at.isoformat(), below=10) > 1
    return {
        "status": ("open", "paid", "paid", "shipped", "returned")[number("s", str(at), below=5)],
        "country": ("DE", "DE", "DE", "FR", "NL", "AT", "PL")[number("c", str(at), below=7)],
        "total": round(5 + number("t", str(at), below=40_000) / 100, 2),
        "items": 1 + number("i", str(at), below=6),
        "paid_on": at.date().isoformat() if paid else None,
        "customer_email": f"someone{number('e', str(at), below=900)}@example.com",
        "coupon": "SUMMER" if number("k", str(at), below=8) == 0 else None,
    }


def customer(at):
    return {
        "name": f"Person {number('n', str(at), below=5_000)}",
        "email": f"person{number('n', str(at), below=5_000)}@example.com",
        "segment": ("new", "regular", "regular", "gold")[number("g", str(at), below=4)],
        "newsletter": number("l", str(at), below=3) == 0,
        "lifetime_value": round(number("v", str(at), below=900_000) / 100, 2),
    }


def shipment(at):
    weight = round(0.2 + number("w", str(at), below=3_000) / 100, 2)
    bad = os.environ.get("SHOP_MISTAKES") and number("b", str(at), below=4) == 0
    return {
        "carrier": ("DHL", "DPD", "GLS", "UPS")[number("a", str(at), below=4)],
        "weight": "n/a" if bad else weight,
        "delivered": number("d", str(at), below=5) > 0,
    }


orders = stream("orders", 3 * MINUTE, order)
customers = stream("customers", 20 * MINUTE, customer)
shipments = stream("shipments", 9 * MINUTE, shipment)
returns = stream("returns", 90 * MINUTE, lambda at: {"reason": ("size", "colour")[at.minute % 2]})
'''
TIME = {"type": "string", "format": "date-time"}
FIELDS: dict[str, dict[str, Any]] = {
    "orders": {
        "id": {"type": "integer"},
        "updated_at": TIME,
        "status": {"type": "string"},
        "country": {"type": "string"},
        "total": {"type": "number"},
        "items": {"type": "integer"},
        "paid_on": {"type": "string", "format": "date"},
        "customer_email": {"type": "string", "privacy": "mask"},
        "coupon": {"type": "string"},
    },
    "customers": {
        "id": {"type": "integer"},
        "updated_at": TIME,
        "name": {"type": "string"},
        "email": {"type": "string", "privacy": "hash"},
        "segment": {"type": "string"},
        "newsletter": {"type": "boolean"},
        "lifetime_value": {"type": "number"},
    },
    "shipments": {
        "id": {"type": "integer"},
        "updated_at": TIME,
        "carrier": {"type": "string"},
        "weight": {"type": "number"},
        "delivered": {"type": "boolean"},
    },
    "returns": {"id": {"type": "integer"}, "updated_at": TIME, "reason": {"type": "string"}},
}
SCHEDULES = {
    "orders": "0 * * * *",
    "customers": "0 */6 * * *",
    "shipments": "0 */3 * * *",
    "returns": "0 */12 * * *",
}


@dataclass
class History:
    """A workspace below `folder`, whose sources give what has changed by the clock of now."""

    folder: Path
    now: datetime
    source: str = "shop"
    env: dict[str, str] = field(default_factory=dict)

    def write(self, streams: Sequence[str], fields: Mapping[str, Any] = FIELDS) -> None:
        code = self.folder / "orchestration" / "dlt" / "sources" / self.source
        code.mkdir(parents=True, exist_ok=True)
        (code / "__init__.py").write_text("from .streams import *\n")
        (code / "streams.py").write_text(SOURCE)
        for stream in streams:
            self.configure(stream, fields=fields[stream], schedule=SCHEDULES[stream])

    def configure(self, stream: str, **keys: Any) -> None:
        file = self.folder / "orchestration" / "dag" / "streams" / self.source / f"{stream}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        document = {
            "stream": stream,
            "selected": True,
            "primary_key": [["id"]],
            "cursor_field": ["updated_at"],
            **keys,
        }
        file.write_text(json.dumps(document))

    def run(self, moment: datetime, *streams: str, **env: str) -> int:
        """One real run of these streams, which ends about then."""
        with time_machine.travel(moment), _set({**self.env, **env}):
            code = main(["run", self.source, *streams])
        for stream in streams if code == 0 else ():
            self.aged(stream, moment)
        return code

    def aged(self, stream: str, moment: datetime) -> None:
        """The state as a bucket has it whose clock was at that moment."""
        zone = Path(unquote(urlsplit(os.environ["DLT_BUCKET_URL"]).path))
        state = zone / "_dlt" / self.source / stream / "state.json"
        if state.is_file():
            os.utime(state, (moment.timestamp(),) * 2)


def make_history(folder: Path, now: datetime, days: int, runs_a_day: int = 8) -> History:
    """Four streams: one that is well, one in quarantine, one that fails now, and one that nobody
    has run for a day. The current folder has to be below `folder`."""
    made = History(folder, now, env={"LANDING_PRIVACY_KEY": "k" * 40})
    begins = now - timedelta(days=days)
    made.env["SHOP_BEGINS"] = (begins - timedelta(hours=12)).isoformat()
    early = {**FIELDS["orders"]}
    early.pop("coupon")
    made.write(list(FIELDS), {**FIELDS, "orders": early})
    between = timedelta(days=1) / runs_a_day
    for number in range(days * runs_a_day + 1):
        moment = begins + number * between - timedelta(minutes=7)
        if number == days * runs_a_day // 2:
            made.configure("orders", fields=FIELDS["orders"], schedule=SCHEDULES["orders"])
        mistakes = {"SHOP_MISTAKES": "1"} if number % (2 * runs_a_day) == 3 else {}
        outage = number == days * runs_a_day * 2 // 3
        refuses = {"SHOP_REFUSES": "orders"} if outage else {}
        made.run(moment, "orders", **refuses)
        made.run(moment + timedelta(minutes=1), "shipments", **mistakes)
        if number % 2 == 0 and moment < now - timedelta(hours=30):
            made.run(moment + timedelta(minutes=2), "customers")
        if number % 4 == 0:
            late = moment > now - timedelta(hours=20)
            made.run(
                moment + timedelta(minutes=3),
                "returns",
                **({"SHOP_REFUSES": "returns"} if late else {}),
            )
    return made


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


@contextmanager
def _set(env: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
