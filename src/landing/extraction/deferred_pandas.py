"""Keeps pyarrow from importing pandas with its first array, where pandas is installed: memory and
time of no use to a stream without data frames."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pyarrow as pa


def defer_pandas() -> None:
    """Create the first array without pandas. pyarrow takes pandas into account as soon as something
    else imports it. Call after the source is imported, and before there are threads."""
    if "pandas" in sys.modules or any(isinstance(one, _Announced) for one in sys.meta_path):
        pa.array([0])
        return
    absent = _Absent()
    sys.meta_path.insert(0, absent)
    try:
        pa.array([0])
    finally:
        sys.meta_path[sys.meta_path.index(absent)] = _Announced()


class _Absent(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("not needed yet", name=fullname)


class _Announced(MetaPathFinder):
    """Finds pandas as the other finders do, and has pyarrow look for it again once it is there. It
    stays: a thread that imports meanwhile would skip a finder behind one that is removed."""

    def __init__(self) -> None:
        self._is_looking = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "pandas" or self._is_looking:
            return None
        self._is_looking = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._is_looking = False
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                shim: Any = getattr(pa.lib, "_pandas_api")  # noqa: B009 - in no stub
                _ = shim.pd

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
