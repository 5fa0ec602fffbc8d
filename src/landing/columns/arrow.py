"""`pyarrow` as `pa`, `pyarrow.compute` as `pc` and `pyarrow.parquet` as `pq`, each imported when it
is first used: a run that finds nothing new needs no parquet, one without a cursor no compute
functions, and `landing status` no Arrow at all."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = ["pa", "pc", "pq"]


class _Lazy(ModuleType):
    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self.__name__), name)
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
else:
    pa, pc, pq = map(_Lazy, ("pyarrow", "pyarrow.compute", "pyarrow.parquet"))
