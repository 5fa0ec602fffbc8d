"""`pyarrow.compute` as `pc` and `pyarrow.parquet` as `pq`, each imported when it is first used: a
run that finds nothing new needs no parquet, and without a cursor no compute functions."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = ["pc", "pq"]


class _Lazy(ModuleType):
    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self.__name__), name)
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
else:
    pc, pq = _Lazy("pyarrow.compute"), _Lazy("pyarrow.parquet")
