"""What is in deploy/dagster/, against what Dagster itself takes.

The chart is in no registry that tests may ask, so its own schema is not at hand: what of the values
reaches Dagster is validated by Dagster, what reaches Kubernetes by its schemas, and the names of
the chart's keys against a list of those that are used.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from dagster._core.instance.config import dagster_instance_config
from dagster._core.workspace.load import location_origins_from_yaml_paths
from dagster_k8s.job import UserDefinedDagsterK8sConfig

from landing.kubernetes.manifests import BUCKET_SECRET, SETTINGS, USER
from tests.kit import REPOSITORY

FOLDER = REPOSITORY / "deploy" / "dagster"
KEYS = {
    "dagster-user-deployments": {"enabled", "deployments"},
    "runLauncher": {"type", "config"},
    "concurrency": {"enabled", "pools", "runs"},
    "dagsterDaemon": {"runMonitoring"},
    "telemetry": {"enabled"},
}


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / "values.yaml").read_text())
    return found


def test_the_settings_of_an_instance_are_dagsters(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text((FOLDER / "dagster.yaml").read_text())
    config, _ = dagster_instance_config(str(tmp_path))
    assert config["telemetry"]["enabled"] is False
    assert config["concurrency"]["pools"] == {"default_limit": 1, "granularity": "op"}


def test_the_charts_values_say_the_same_as_the_settings(
    values: dict[str, Any], tmp_path: Path
) -> None:
    settings = yaml.safe_load((FOLDER / "dagster.yaml").read_text())
    concurrency = _snake(values["concurrency"])
    assert concurrency.pop("enabled") is True
    assert concurrency == settings["concurrency"]
    assert values["telemetry"] == settings["telemetry"]
    monitoring = _snake(values["dagsterDaemon"]["runMonitoring"])
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({"run_monitoring": monitoring}))
    config, _ = dagster_instance_config(str(tmp_path))
    assert config["run_monitoring"] == monitoring
    assert {key: set(value) for key, value in values.items()} == KEYS


def test_the_charts_version_is_the_one_that_is_installed() -> None:
    lines = (REPOSITORY / "constraints.txt").read_text().split()
    pins = dict(line.split("==") for line in lines if "==" in line)
    for file in (FOLDER / "values.yaml", REPOSITORY / "docs" / "dagster.md"):
        assert set(re.findall(r"--version (\S+)", file.read_text())) == {pins["dagster"]}
    assert pins["dagster"] == pins["dagster-webserver"]


def test_pods_have_the_rights_and_the_environment_of_the_cronjobs(values: dict[str, Any]) -> None:
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    assert deployment["envConfigMaps"] == [{"name": SETTINGS, "optional": True}]
    assert deployment["envSecrets"][0] == {"name": BUCKET_SECRET, "optional": True}
    assert deployment["podSecurityContext"]["runAsUser"] == USER
    location = Path(deployment["dagsterApiGrpcArgs"][-1])
    assert (REPOSITORY / location.relative_to("/app")).is_file()
    own = ("securityContext", "resources", "volumeMounts")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": deployment["name"]},
        "spec": {
            "securityContext": deployment["podSecurityContext"],
            "volumes": deployment["volumes"],
            "containers": [
                {
                    "name": "run",
                    "image": f"{deployment['image']['repository']}:{deployment['image']['tag']}",
                    "envFrom": [{"configMapRef": one} for one in deployment["envConfigMaps"]]
                    + [{"secretRef": one} for one in deployment["envSecrets"]],
                    **{key: deployment[key] for key in own},
                }
            ],
        },
    }
    kubernetes_validate.validate(pod, "1.31", strict=True)
    launcher = values["runLauncher"]["config"]["k8sRunLauncher"]
    of_runs = UserDefinedDagsterK8sConfig.from_dict(_snake(launcher["runK8sConfig"]))
    assert of_runs.pod_spec_config == {"termination_grace_period_seconds": 30}
    assert of_runs.job_spec_config == {"ttl_seconds_after_finished": 3600}


def test_the_workspace_names_the_code_locations_that_are_there() -> None:
    named = location_origins_from_yaml_paths([str(REPOSITORY / "workspace.yaml")])
    assert "landing" in [origin.location_name for origin in named]
    for origin in named:
        file = Path(origin.loadable_target_origin.python_file or "")  # type: ignore[attr-defined]
        assert file.is_file()


def _snake(keys: Any) -> Any:
    """`defaultLimit` as `default_limit`, at all levels, as the chart writes dagster.yaml."""
    if not isinstance(keys, dict):
        return keys
    return {re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", k).lower(): _snake(v) for k, v in keys.items()}
