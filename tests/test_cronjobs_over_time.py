"""CronJobs from one change of the stream configs to the next: names, what is said, the cluster."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kit import REPOSITORY, Kit
from tests.servers.cluster import Cluster, cluster
from tests.shell import blocks
from tests.test_kubernetes import DAILY, HOURLY, configure, container, cron_jobs, pod_of

BASE = Path("deploy") / "kubernetes" / "base"
OVERLAY = Path("deploy") / "kubernetes" / "overlay"


def streams_by_name(folder: Path) -> dict[str, list[str]]:
    return {name: container(job)["args"][2:] for name, job in cron_jobs(folder).items()}


def test_a_name_stays_when_a_schedule_changes_and_when_a_second_one_comes(kit: Kit) -> None:
    for stream in ("accounts", "order_lines", "orders"):
        configure(kit, "odoo", stream, HOURLY)
    kit.landing("k8s", "--output", "base")
    assert list(streams_by_name(Path("base"))) == ["landing-odoo"]

    for stream in ("accounts", "order_lines", "orders"):
        configure(kit, "odoo", stream, "35 * * * *")
    changed = kit.landing("k8s", "--output", "base")
    assert list(streams_by_name(Path("base"))) == ["landing-odoo"]
    said = "changed landing-odoo: due at '35 * * * *' (UTC) instead of '5 * * * *' (UTC)"
    assert said in changed.out

    # Those that are due as before keep the name, though the other comes first.
    configure(kit, "odoo", "accounts", DAILY)
    kit.landing("k8s", "--output", "base")
    two = {"landing-odoo": ["order_lines", "orders"], "landing-odoo-accounts": ["accounts"]}
    assert streams_by_name(Path("base")) == two

    for stream in ("order_lines", "orders"):
        configure(kit, "odoo", stream, HOURLY)
    configure(kit, "odoo", "accounts", "0 4 * * *")
    kit.landing("k8s", "--output", "base")
    assert streams_by_name(Path("base")) == two

    configure(kit, "odoo", "orders", "0 4 * * *")
    configure(kit, "odoo", "order_lines", DAILY)
    kit.landing("k8s", "--output", "base")
    assert streams_by_name(Path("base")) == {
        "landing-odoo": ["order_lines"],
        "landing-odoo-accounts": ["accounts", "orders"],
    }
    again = kit.landing("k8s", "--output", "base", "--json")
    assert json.loads(again.out)["changes"] == []


def test_names_of_an_earlier_version_stay_and_new_ones_are_distinct(kit: Kit) -> None:
    configure(kit, "odoo", "orders", HOURLY)
    configure(kit, "odoo", "partners", HOURLY)
    kit.landing("k8s", "--output", "base")
    earlier = (
        Path("base/landing-odoo.yaml").read_text().replace("landing-odoo", "landing-odoo-1a2b")
    )
    Path("base/landing-odoo.yaml").unlink()
    Path("base/landing-odoo-1a2b.yaml").write_text(
        re.sub(r"^ *annotations:\n.*\n", "", earlier, flags=re.MULTILINE)
    )
    configure(kit, "odoo", "orders", DAILY)
    done = kit.landing("k8s", "--output", "base")
    assert streams_by_name(Path("base")) == {
        "landing-odoo-1a2b": ["partners"],
        "landing-odoo-orders": ["orders"],
    }
    assert "changed landing-odoo-1a2b: no longer runs orders" in done.out

    # The name of a first stream may belong to a job that it is no longer in.
    configure(kit, "odoo", "users", DAILY)
    kit.landing("k8s", "--output", "base")
    configure(kit, "odoo", "orders", "@weekly")
    kit.landing("k8s", "--output", "base")
    names = streams_by_name(Path("base"))
    assert names.pop("landing-odoo-orders") == ["users"]
    (name,) = [name for name, streams in names.items() if streams == ["orders"]]
    assert re.fullmatch("landing-odoo-orders-[0-9a-f]{8}", name)


def test_what_was_added_changed_and_removed_is_shown(kit: Kit) -> None:
    configure(kit, "odoo", "orders", HOURLY)
    configure(kit, "datasette", "flights", HOURLY)
    first = kit.landing("k8s", "--output", "base", "--json")
    assert json.loads(first.out)["changes"] == [
        {"change": "added", "name": "landing-datasette", "details": []},
        {"change": "added", "name": "landing-odoo", "details": []},
    ]
    configure(kit, "odoo", "partners", HOURLY)
    configure(kit, "odoo", "users", DAILY)
    configure(kit, "datasette", "flights", None)
    checked = kit.landing("k8s", "--output", "base", "--check", "--json")
    expected = [
        {"change": "removed", "name": "landing-datasette", "details": []},
        {"change": "changed", "name": "landing-odoo", "details": ["also runs partners"]},
        {"change": "added", "name": "landing-odoo-users", "details": []},
    ]
    assert json.loads(checked.out)["changes"] == expected
    done = kit.landing("k8s", "--output", "base")
    lines = done.out.splitlines()
    assert "removed landing-datasette" in lines
    assert "changed landing-odoo: also runs partners" in lines
    assert "added landing-odoo-users" in lines
    assert "`kubectl apply --prune` removes that from the cluster, too" in done.out

    # The last stream's job is removed, too.
    for stream in ("orders", "partners", "users"):
        configure(kit, "odoo", stream, None)
    last = kit.landing("k8s", "--output", "base")
    assert last.code == 0, last.text
    assert cron_jobs(Path("base")) == {}


def test_an_annotation_lists_the_streams(kit: Kit) -> None:
    configure(kit, "odoo", "orders", HOURLY)
    configure(kit, "odoo", "order_lines", HOURLY)
    kit.landing("k8s", "--output", "base")
    (job,) = cron_jobs(Path("base")).values()
    for metadata in (job["metadata"], job["spec"]["jobTemplate"]["metadata"]):
        assert metadata["annotations"] == {"dlt-landing/streams": "order_lines, orders"}


def test_pods_may_have_a_service_account_and_no_keys_of_the_bucket(kit: Kit) -> None:
    configure(kit, "odoo", "orders", HOURLY)
    kit.landing("k8s", "--output", "base", "--service-account", "landing")
    (job,) = cron_jobs(Path("base")).values()
    assert pod_of(job)["serviceAccountName"] == "landing"
    assert pod_of(job)["automountServiceAccountToken"] is False, "AWS's token has its own volume"
    _, bucket, source = container(job)["envFrom"]
    assert bucket == {"secretRef": {"name": "landing-bucket", "optional": True}}
    assert source == {"secretRef": {"name": "landing-source-odoo"}}
    wrong = kit.landing("k8s", "--output", "base", "--service-account", "Landing!")
    assert wrong.code == 2
    assert "--service-account: 'Landing!' can't be a service account's name" in wrong.err


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not here")
def test_the_documented_command_leaves_no_old_job_in_the_cluster(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`kubectl` itself, against as much of an API server as it talks to."""
    monkeypatch.chdir(kit.repository)
    configure(kit, "odoo", "orders", HOURLY)
    configure(kit, "odoo", "partners", HOURLY)
    configure(kit, "datasette", "flights", DAILY)
    assert kit.landing("init", "--add", "deploy").code == 0
    assert sorted(cron_jobs(BASE)) == ["landing-datasette", "landing-odoo"]
    with (OVERLAY / "kustomization.yaml").open("a") as file:
        file.write(_PATCH)
    with cluster() as server:
        apply(server, tmp_path)
        server.objects["landing", "cronjobs", "of-others"] = {
            "metadata": {"name": "of-others", "namespace": "landing"}
        }
        assert deadline(server, "landing-odoo") == 43200

        configure(kit, "odoo", "partners", DAILY)
        configure(kit, "datasette", "flights", None)
        assert kit.landing("k8s").code == 0
        assert "landing-datasette pruned" in apply(server, tmp_path)
        found = server.names("cronjobs")
        assert found == ["landing-odoo", "landing-odoo-partners", "of-others"]
        assert server.names("configmaps") == ["landing-settings"]
        assert deadline(server, "landing-odoo") == 43200
        assert deadline(server, "landing-odoo-partners") == 21600


_PATCH = """\
patches:
  - target:
      kind: CronJob
      name: landing-odoo
    patch: |-
      - op: replace
        path: /spec/jobTemplate/spec/activeDeadlineSeconds
        value: 43200
"""


def deadline(server: Cluster, name: str) -> int:
    job: dict[str, Any] = server.objects["landing", "cronjobs", name]
    found: int = job["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"]
    return found


def apply(server: Cluster, folder: Path) -> str:
    """By the command of docs/deployment.md; the server can't tell kubectl what is valid."""
    commands = [
        line
        for block in blocks(REPOSITORY / "docs" / "deployment.md")
        for line in block.lines()
        if "--prune" in line
    ]
    (command,) = commands
    done = subprocess.run(
        [*shlex.split(command, comments=True), "--validate=false"],
        env={
            **os.environ,
            "KUBECONFIG": str(server.kubeconfig(folder)),
            "HOME": str(folder),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_workspace_can_be_given_what_it_is_deployed_with(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(kit.repository)
    nowhere = kit.landing("init", "/", "--add", "deploy")
    assert nowhere.code == 2
    assert "no workspace at /" in nowhere.err
    configure(kit, "odoo", "orders", HOURLY)
    Path("requirements.txt").write_text("# ours\nrequests>=2\n")
    Path(".dockerignore").write_text("*\n")
    added = kit.landing("init", "--add", "deploy", "--add", "dagster")
    assert added.code == 0, added.text
    assert ".dockerignore stays as it was" in added.out
    assert "requirements.txt stays as it was" in added.out
    lacking = "requirements.txt does not require dlt-landing: add the line dlt-landing["
    assert lacking in added.err + added.out
    assert Path(".dockerignore").read_text() == "*\n"
    assert Path("orchestration/definitions.py").is_file()
    assert Path("deploy/Dockerfile").is_file()
    assert not Path("Makefile").exists(), "which is of no part"
    assert list(cron_jobs(BASE)) == ["landing-odoo"]
    assert kit.landing("k8s", "--check").code == 0

    Path("requirements.txt").write_text("dlt-landing[auth, tables]==0.1  # ours\n")
    Path("deploy/Dockerfile").write_text("FROM scratch\n")
    again = kit.landing("init", "--add", "deploy", "--json")
    document = json.loads(again.out)
    assert document["files"] == []
    assert {"deploy/Dockerfile", "deploy/kubernetes/base"} <= set(document["kept"])
    assert Path("deploy/Dockerfile").read_text() == "FROM scratch\n"
    assert "without the extras lineage, otel, prometheus: add them there" in again.err
    Path("requirements.txt").write_text("dlt-landing @ file:///home/me/kit\n")
    assert "has a path of one machine" in kit.landing("init", "--add", "deploy").text


def test_a_new_workspace_has_a_base_that_kustomize_takes(kit: Kit, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    made = kit.landing("init", str(lake), "--no-source", "--deploy")
    assert made.code == 0, made.text
    assert "set the image, the namespace and the bucket in deploy/kubernetes/overlay/" in made.out
    assert cron_jobs(lake / BASE) == {}
    overlay = yaml.safe_load((lake / OVERLAY / "kustomization.yaml").read_text())
    assert "patches" not in overlay, "which would be about sources that are not here"
    if shutil.which("kubectl"):
        built = subprocess.run(
            ["kubectl", "kustomize", str(lake / OVERLAY)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert [one["kind"] for one in yaml.safe_load_all(built.stdout)] == ["ConfigMap"]
