"""Batches to columns: by converters where there are any, in the order in which they came."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from landing.columns import Batch, Columns, Converted
from landing.converters.pool import Converters, Result, spec_of
from landing.http.jsonpage import undecoded
from landing.streamconfig import StreamConfig

BATCHES_AHEAD = 2
"""With converters while the one before is stamped and written; each is memory."""


@dataclass(frozen=True)
class Offered:
    batch: Batch
    result: Future[Result] | None = None
    """None if it is converted here."""

    @property
    def is_done(self) -> bool:
        return self.result is None or self.result.done()


class Conversion:
    """How the batches of one stream become columns."""

    def __init__(
        self, config: StreamConfig, columns: Columns, converters: Converters | None
    ) -> None:
        self._columns = columns
        self._converters = converters
        # Where drift ends a run or lands, all fields of all records are looked at here.
        self._spec = spec_of(columns) if config.on_drift == "report" else None

    def record(self) -> Any:
        """The type that the records of a page are decoded to as it is made."""
        if self._columns.record is None or (self._spec and self._converters_are_up):
            return undecoded()
        return self._columns.early

    @property
    def _converters_are_up(self) -> bool:
        return self._converters is not None and self._converters.are_up

    def offered(
        self, batches: Iterable[Batch], cursor: str | None, ahead: int = BATCHES_AHEAD
    ) -> Iterator[Offered]:
        """The batches, of which up to `ahead` are asked for before they are needed. An exception
        comes after the batches that came before it."""
        waiting: deque[Offered] = deque()
        remaining = iter(batches)
        failure: Exception | None = None
        while True:
            try:
                waiting.append(self._offered(next(remaining), cursor))
            except StopIteration:
                break
            except Exception as error:
                failure = error
                break
            while waiting and (waiting[0].is_done or len(waiting) > ahead):
                yield waiting.popleft()
        yield from waiting
        if failure is not None:
            raise failure

    def _offered(self, batch: Batch, cursor: str | None) -> Offered:
        if self._spec is None or self._converters is None or not isinstance(batch, tuple):
            return Offered(batch)
        return Offered(batch, self._converters.submit(self._spec, batch, cursor))

    def converted(self, batch: Batch, offered: Offered) -> Converted:
        """The columns of an offered batch, or of what became of it here."""
        if offered.result is None or not isinstance(batch, tuple):
            return self._columns.convert(batch)
        return offered.result.result() or self._columns.carefully(batch)
