"""The reference feeder as another repository has it: a copy of the file, by its own configs."""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import duckdb
import pytest

from tests.kit import REPOSITORY, Kit
from tests.lake import engine, reading

FEEDER = REPOSITORY / "orchestration" / "feeder.py"


class Feeder:
    def __init__(self, kit: Kit, catalog: str, data: str, patch: pytest.MonkeyPatch) -> None:
        self.file = kit.root / "feeder.py"
        self.catalog = catalog
        self._patch = patch
        patch.setenv("FEEDER_CATALOG", catalog)
        patch.setenv("FEEDER_DATA_URL", data)
        self.module: Any = None
        self._sensors: dict[str, tuple[dg.SensorDefinition, dg.SensorEvaluationContext]] = {}

    def load(self, text: str = "") -> Any:
        """As its configs are now; in one DuckDB for all tests, since extensions load slowly."""
        self.close()
        self._sensors.clear()
        self.file.write_text(text or FEEDER.read_text())
        spec = spec_from_file_location("feeder", self.file)
        assert spec is not None
        assert spec.loader is not None
        self.module = module_from_spec(spec)
        self._patch.setitem(sys.modules, "feeder", self.module)
        spec.loader.exec_module(self.module)
        ours = {**vars(duckdb), "connect": lambda: engine("feeder").cursor()}
        self.module.duckdb = SimpleNamespace(**ours)
        return self.module

    def close(self) -> None:
        engine("feeder").execute("DETACH DATABASE IF EXISTS lake")
        engine("feeder").execute("DROP SECRET IF EXISTS __default_s3")

    def stream(self, path: str) -> Any:
        module = self.module or self.load()
        return next(stream for stream in module.streams() if stream.path == path)

    def feed(self, path: str = "shop/orders") -> dict[str, Any]:
        stream = self.stream(path)
        fed: dict[str, Any] = self.module.feed(stream, lambda told: None)
        return fed

    def asked(self, path: str = "shop/orders") -> dg.RunRequest | None:
        """What its sensor asks for."""
        if path not in self._sensors:
            stream = self.stream(path)
            table = self.module.asset_of(stream)
            sensor = self.module.sensor_of(stream, table)
            defs = dg.Definitions(assets=[table], sensors=[sensor])
            context = dg.build_sensor_context(instance=_instance(), definitions=defs)
            self._sensors[path] = sensor, context
        sensor, context = self._sensors[path]
        tick = sensor.evaluate_tick(context)
        requests = list(tick.run_requests or [])
        assert len(requests) == 1 or tick.skip_message
        return requests[0] if requests else None

    def materialize(self, path: str = "shop/orders") -> dg.ExecuteInProcessResult:
        table = self.module.asset_of(self.stream(path))
        return dg.materialize([table], raise_on_error=False)

    def read(self, sql: str) -> list[tuple[Any, ...]]:
        with reading(self.catalog) as lake:
            return lake.execute(sql).fetchall()

    def rows(self, path: str = "shop/orders") -> list[dict[str, Any]]:
        source, _, stream = path.partition("/")
        with reading(self.catalog) as lake:
            table = lake.execute(f'FROM lake."{source}"."{stream}"').to_arrow_table()
            return list(table.to_pylist())

    def snapshots(self) -> int:
        return int(self.read("SELECT count(*) FROM lake.snapshots()")[0][0])


@cache
def _instance() -> dg.DagsterInstance:
    return dg.DagsterInstance.ephemeral()


def program(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "dagster", *arguments]


def quiet_home(folder: Path) -> dict[str, str]:
    """The environment of a Dagster of its own, which tells nobody about it."""
    folder.mkdir()
    (folder / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    return {**os.environ, "DAGSTER_HOME": str(folder), "DAGSTER_DISABLE_TELEMETRY": "true"}
