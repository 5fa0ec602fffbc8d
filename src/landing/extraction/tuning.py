"""What makes a process faster that only lands; for the command line, not for a library.

`requests` is patched for the whole process, since a source may use a plain session that it made
itself, as many do: no adapter can be mounted on that. `landing.http.Session` needs no patch to read
bodies fast, but its answers are decoded by `requests`, too.
"""

from __future__ import annotations

import gc
from typing import Any

import msgspec


def import_faster() -> None:
    """Call before the engine and the source are imported, and `tune_process` after: garbage
    collections in between would find nothing, since what modules make stays."""
    gc.disable()


def tune_process() -> None:
    """Call once, after the engine and the source are imported."""
    collect_less()
    _read_in_large_pieces()
    _decode_faster()


def collect_less() -> None:
    """Pages of nested dictionaries trigger full collections, which visit every module's objects
    and find nothing, since pages have no cycles: a quarter of a run's time."""
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)
    gc.enable()


def _read_in_large_pieces() -> None:
    """A plain session reads a body 10 KB at a time, and after each piece waits for the interpreter
    lock, which the thread that converts the last page holds for milliseconds."""
    from requests import models

    models.CONTENT_CHUNK_SIZE = 1024 * 1024


def _decode_faster() -> None:
    """requests decodes with simplejson where that is installed, as dlt has it: six times as slow
    as this. Whatever is not plain JSON, errors included, stays with what requests chose."""
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
