"""Makes a process that only lands data faster; for the command line, not for use as a library.

`requests` is patched for the whole process, since many sources create plain sessions, on which no
adapter can be mounted. `landing.http.Session` reads bodies fast without the patch, but its answers
are decoded by `requests`, too.
"""

from __future__ import annotations

import gc
from functools import cache
from typing import Any

import msgspec

from landing.zone import allocator


def import_faster() -> None:
    """Disable garbage collection during imports, which create no garbage, and choose how memory is
    allocated. Call before the engine and the source are imported, and `tune_process` after."""
    gc.disable()
    allocator.keep_little()


def tune_process() -> None:
    """Call once, after the engine and the source are imported."""
    collect_less()
    _read_in_large_pieces()
    _decode_faster()


def collect_less() -> None:
    """Reduce full collections. Pages of nested dictionaries trigger them, but have no cycles to
    collect; they took a quarter of a run's time."""
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)
    gc.enable()


def _read_in_large_pieces() -> None:
    """Read bodies in pieces of 1 MB. A plain session reads 10 KB at a time and then waits for the
    interpreter lock, which the converting thread holds for milliseconds."""
    from requests import models

    models.CONTENT_CHUNK_SIZE = 1024 * 1024


@cache
def _decode_faster() -> None:
    """Decode JSON with msgspec, six times as fast as simplejson, which dlt installs and `requests`
    prefers. Anything but plain JSON, including errors, is left to the decoder of `requests`."""
    from requests import models

    chosen: Any = getattr(models, "complexjson")  # noqa: B009 - in no stub

    class Faster:
        JSONDecodeError = chosen.JSONDecodeError
        dumps = staticmethod(chosen.dumps)

        @staticmethod
        def loads(text: str, **options: Any) -> Any:
            if not options:
                try:
                    return msgspec.json.decode(text)
                except msgspec.DecodeError:
                    pass  # NaN, half surrogates, numbers beyond a double, or no JSON at all
            return chosen.loads(text, **options)

    models.complexjson = Faster  # type: ignore[attr-defined]
