"""The order in which a stream returned its cursor values so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from landing.columns.arrow import pc
from landing.extraction.cursor_values import Values


class SeenOrder:
    def __init__(self, beyond: Callable[[Any, Any], Any]) -> None:
        self.is_forward = True
        """Whether no value was below the one before it."""
        self.is_backward = True
        """Whether no value was above the one before it."""
        self._beyond = beyond
        self._last: pa.Scalar | None = None

    def see(self, keys: Values) -> None:
        """Note keys without nulls, in the order in which the stream returned them."""
        if len(keys) == 0 or not (self.is_forward or self.is_backward):
            return
        flat = keys.combine_chunks() if isinstance(keys, pa.ChunkedArray) else keys
        if self._last is not None:
            flat = pa.concat_arrays([pa.array([self._last.as_py()], flat.type), flat])
        earlier, later = flat[:-1], flat[1:]
        self.is_forward &= not pc.any(self._beyond(earlier, later)).as_py()
        self.is_backward &= not pc.any(self._beyond(later, earlier)).as_py()
        self._last = flat[-1]
