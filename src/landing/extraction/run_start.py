"""Where a run of a stream starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from landing.catalog.stream_config import StreamConfig
from landing.errors import SourceError

if TYPE_CHECKING:
    from landing.extraction.incremental import FrozenIncremental


def reads_from(config: StreamConfig, frozen: FrozenIncremental | None, value: Any) -> Any:
    """Where a run starts whose cursor is at `value`: behind it by the lookback. Without `frozen`,
    by the config alone."""
    try:
        if frozen is not None:
            return frozen.initial_value if value is None else frozen.behind(value)
        if value is None:
            return config.initial_value
        if config.lookback is None:
            return value
        return config.lookback.start(value, config.initial_value)
    except (ValueError, TypeError):
        raise SourceError(
            f"cursor '{config.cursor_field}': no lookback can be counted from {value!r}; spell it "
            "as ISO dates and times are, or leave lookback out"
        ) from None
