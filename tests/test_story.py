"""From an empty folder to production: what a team does with a workspace of its own, in one story.

From the wheel, with a real API, bucket, dbt and sops, and receivers of alerts. The image is not
built, which needs a base image from elsewhere; tests/test_image.py plays what its file says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import kubernetes_validate
import pyrage
import pytest
import yaml

from demo.helpdesk import TICKETS, TOKEN
from demo.servers import free_ports
from tests.kit import Zone
from tests.lake import extension
from tests.test_alerts import KEY, Receiver, receiving
from tests.test_dbt import COMMANDS, DBT
from tests.test_init import installed, landing, process
from tests.test_tutorial import helpdesk

__all__ = ["installed"]  # a fixture
FIELDS = "id,subject,state,minutes_spent,updated_at"
PARTS = ("--dagster", "--deploy")
pytestmark = pytest.mark.long


@pytest.fixture
def alerts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as received:
        monkeypatch.setenv("LANDING_ALERT_WEBHOOK", f"{received.url}/hook")
        monkeypatch.setenv("LANDING_ALERT_FORMAT", "json")
        monkeypatch.setenv("LANDING_ALERT_PAGERDUTY_KEY", KEY)
        monkeypatch.setenv("LANDING_ALERT_PAGERDUTY_URL", f"{received.url}/v2/enqueue")
        yield received


def test_from_an_empty_folder_to_production(
    installed: Path,
    tmp_path: Path,
    zone: Zone,
    alerts: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(installed / "site"))
    monkeypatch.setenv("HELPDESK_TOKEN", TOKEN)
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("HELPDESK_URL", f"{url}/api")
    lake = tmp_path / "lake"

    with helpdesk(port) as server:
        assert server.stdout is not None
        server.stdout.readline()
        document = f"--openapi={url}/openapi.json"
        made = landing(tmp_path, "init", "lake", *PARTS, "--source", "helpdesk", document)
        assert "orchestration/dlt/sources/helpdesk/streams.py" in made
        lands_chosen_fields(lake, zone)
        is_built_by_dbt(lake, monkeypatch)
        is_deployed(lake)
        keeps_secrets_in_git(lake)
    has_a_failing_night(lake, alerts)
    with helpdesk(port) as server:
        assert server.stdout is not None
        server.stdout.readline()
        recovers(lake, alerts)


def lands_chosen_fields(lake: Path, zone: Zone) -> None:
    assert "tickets.json" in landing(lake, "discover", "helpdesk")
    landing(lake, "select", "helpdesk", "tickets", "--fields", FIELDS)
    file = lake / "orchestration" / "dag" / "streams" / "helpdesk" / "tickets.json"
    config = json.loads(file.read_text())
    assert ",".join(config["fields"]) == FIELDS
    assert config["cursor_field"] == ["updated_at"]
    file.write_text(json.dumps({**config, "schedule": "5 * * * *"}))
    assert f"helpdesk/tickets: {TICKETS:,} rows" in landing(lake, "run", "helpdesk", "--all")
    assert "nothing new" in landing(lake, "run", "helpdesk", "--all")
    assert zone.count("helpdesk", "tickets") == TICKETS


def is_built_by_dbt(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert DBT.exists(), "make test-long installs dbt"
    landing(lake, "dbt")
    home = lake / "home"
    with duckdb.connect() as connection:
        connection.execute(f"SET extension_directory = '{home}/.duckdb/extensions'")
        connection.execute(f"INSTALL '{extension('httpfs')}'")
    with monkeypatch.context() as environment:
        environment.setenv("HOME", str(home))
        environment.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
        environment.delenv("PYTHONPATH")
        built = process(lake / "dbt" / "landing", str(DBT), "-c", COMMANDS, "build")
    assert "ERROR=0 " in built
    assert "stg_helpdesk__tickets" in built


def is_deployed(lake: Path) -> None:
    assert "added landing-helpdesk" in landing(lake, "k8s")
    landing(lake, "k8s", "--check")
    job = yaml.safe_load((lake / "deploy/kubernetes/base/landing-helpdesk.yaml").read_text())
    kubernetes_validate.validate(job, "1.31", strict=True)
    dockerfile = str(lake / "deploy" / "Dockerfile")
    process(lake, str(Path(sys.executable).parent / "hadolint"), dockerfile)


def keeps_secrets_in_git(lake: Path) -> None:
    key = pyrage.x25519.Identity.generate()
    rules = lake / ".sops.yaml"
    rules.write_text(rules.read_text().replace("PUT-YOUR-age1-KEY-HERE", str(key.to_public())))
    secret = landing(lake, "env", "helpdesk", "--secret").replace('HELPDESK_TOKEN: ""', "A: b")
    file = lake / "helpdesk.enc.yaml"
    file.write_text(secret)
    sops = str(Path(sys.executable).parent / "sops")
    process(lake, sops, "encrypt", "--in-place", file.name)
    assert yaml.safe_load(file.read_text())["stringData"] != yaml.safe_load(secret)["stringData"]
    environment = {**os.environ, "SOPS_AGE_KEY": str(key)}
    opened = subprocess.check_output([sops, "decrypt", file.name], cwd=lake, env=environment)
    assert yaml.safe_load(opened) == yaml.safe_load(secret)


def has_a_failing_night(lake: Path, alerts: Receiver) -> None:
    for _ in range(2):
        process(
            lake, sys.executable, "orchestration/dlt/pipeline.py", "helpdesk", "--all", expected=1
        )
    (sent,) = alerts.json
    assert [one["stream"] for one in sent["failed"]] == ["helpdesk/tickets"]
    (event,) = alerts.pagerduty
    assert event["event_action"] == "trigger"
    assert TOKEN not in json.dumps([sent, event])


def recovers(lake: Path, alerts: Receiver) -> None:
    assert "helpdesk/tickets" in landing(lake, "run", "helpdesk", "--all")
    assert [one["stream"] for one in alerts.json[-1]["recovered"]] == ["helpdesk/tickets"]
    assert alerts.pagerduty[-1]["event_action"] == "resolve"
    assert alerts.pagerduty[-1]["dedup_key"] == alerts.pagerduty[0]["dedup_key"]
