"""`landing k8s`: manifests that a cluster takes, that policies pass, and that stay as they are."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from landing.kubernetes.jobs import LONGEST_NAME, dns_names
from tests.kit import REPOSITORY, Kit

EXAMPLE = REPOSITORY / "deploy" / "kubernetes" / "example"
CLUSTERS = ["1.31", "1.34", kubernetes_validate.latest_version()]
HOURLY, DAILY = "5 * * * *", {"cron": "0 3 * * *", "timezone": "Europe/Berlin"}


def test_streams_of_a_source_that_are_due_together_run_in_one_pod(kit: Kit) -> None:
    configure(kit, "odoo", "orders", HOURLY)
    configure(kit, "odoo", "order_lines", HOURLY)
    configure(kit, "datasette", "flights", DAILY)
    done = kit.landing("k8s")
    assert done.code == 0, done.text
    assert "landing-odoo: odoo order_lines orders, at '5 * * * *' (UTC)" in done.out
    jobs = cron_jobs(kit.repository / "deploy" / "kubernetes" / "base")
    assert sorted(jobs) == ["landing-datasette", "landing-odoo"]
    assert container(jobs["landing-odoo"])["args"] == ["run", "odoo", "order_lines", "orders"]
    assert jobs["landing-datasette"]["spec"]["schedule"] == "0 3 * * *"
    assert jobs["landing-datasette"]["spec"]["timeZone"] == "Europe/Berlin"


def test_streams_of_a_source_at_different_times_run_in_pods_of_their_own(kit: Kit) -> None:
    configure(kit, "odoo", "orders", HOURLY)
    configure(kit, "odoo", "order_lines", HOURLY)
    configure(kit, "odoo", "partners", DAILY)
    kit.landing("k8s", "--output", "base")
    assert sorted(container(job)["args"][2:] for job in cron_jobs(Path("base")).values()) == [
        ["order_lines", "orders"],
        ["partners"],
    ]
    kit.landing("k8s", "--output", "base", "--per", "stream")
    names = ["landing-odoo-order-lines", "landing-odoo-orders", "landing-odoo-partners"]
    assert sorted(cron_jobs(Path("base"))) == names, "and the others are gone"


def test_streams_without_a_schedule_are_named_and_left_out_or_take_the_default(kit: Kit) -> None:
    configure(kit, "odoo", "orders", HOURLY)
    configure(kit, "odoo", "partners", None)
    configure(kit, "odoo", "off", HOURLY, selected=False)
    configure(kit, "elsewhere", "things", HOURLY, connector="airbyte")
    done = kit.landing("k8s", "--output", "base")
    assert "odoo/partners: left out, as it has no schedule" in done.out
    assert sorted(cron_jobs(Path("base"))) == ["landing-odoo"]

    zone = ("--default-timezone", "Asia/Tokyo")
    kit.landing("k8s", "--output", "base", "--per", "stream", "--default-schedule", "@daily", *zone)
    jobs = cron_jobs(Path("base"))
    assert sorted(jobs) == ["landing-odoo-orders", "landing-odoo-partners"]
    assert jobs["landing-odoo-partners"]["spec"]["timeZone"] == "Asia/Tokyo"


def test_mistakes_are_reported_before_anything_is_written(kit: Kit) -> None:
    nothing = kit.landing("k8s")
    assert nothing.code == 2
    assert "no stream to run: in orchestration/dag/streams, set" in nothing.err

    file = configure(kit, "odoo", "orders", {"cron": HOURLY, "zone": "UTC"})
    wrong = kit.landing("k8s")
    assert wrong.code == 2
    shown = file.relative_to(kit.repository)
    assert f"{shown}: schedule: has no key 'zone'; did you mean 'timezone'?" in wrong.err

    configure(kit, "odoo", "orders", HOURLY)
    default = kit.landing("k8s", "--default-schedule", "daily")
    assert default.code == 2
    assert "--default-schedule: 'daily' is not a cron expression with five fields" in default.err

    Path("base").mkdir()
    Path("base/kustomization.yaml").write_text("# mine\n")
    refused = kit.landing("k8s", "--output", "base")
    assert refused.code == 2
    assert "base/kustomization.yaml: was not made by `landing k8s`" in refused.err
    assert [file.name for file in Path("base").iterdir()] == ["kustomization.yaml"]


def test_check_says_what_differs_and_writes_nothing(kit: Kit) -> None:
    configure(kit, "odoo", "orders", HOURLY)
    configure(kit, "odoo", "partners", HOURLY)
    words = ("k8s", "--output", "base", "--per", "stream")
    assert kit.landing(*words, "--check").code == 1
    assert not Path("base").exists()
    kit.landing(*words)
    before = {file: file.read_bytes() for file in Path("base").iterdir()}
    assert kit.landing(*words, "--check").code == 0
    kit.landing(*words)
    assert {file: file.read_bytes() for file in Path("base").iterdir()} == before

    configure(kit, "odoo", "orders", DAILY)
    configure(kit, "odoo", "partners", None)
    configure(kit, "odoo", "users", HOURLY)
    Path("base/own.yaml").write_text("kind: ConfigMap\n")
    checked = kit.landing(*words, "--check")
    assert checked.code == 1
    assert [line.partition(": ")[2] for line in checked.out.splitlines()[1:]] == [
        "kustomization.yaml differs from the stream configs",
        "landing-odoo-orders.yaml differs from the stream configs",
        "landing-odoo-users.yaml is missing",
        "landing-odoo-partners.yaml no longer has a stream",
    ]
    kit.landing(*words)
    assert kit.landing(*words, "--check").code == 0
    assert Path("base/own.yaml").exists()


def test_any_two_names_of_streams_make_two_names_of_a_cluster() -> None:
    wanted = [
        ("landing", "shop", "order_lines"),
        ("landing", "shop", "Order-Lines"),
        ("landing", "shop-order", "lines"),
        ("landing", "shop", "x" * 200),
        ("landing", "shop", "x" * 199 + "y"),
        ("landing", "shop", "orders"),
        ("landing", "shop", "orders."),
        ("landing", "9", "..."),
    ]
    names = dns_names(wanted, LONGEST_NAME)
    assert len(set(names.values())) == len(wanted)
    for name in names.values():
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name)
        assert len(name) <= LONGEST_NAME
    assert dns_names(wanted[5:6], LONGEST_NAME) == {wanted[5]: "landing-shop-orders"}


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_a_cluster_takes_the_manifests_every_key_of_them(cluster: str) -> None:
    for job in cron_jobs(EXAMPLE / "base").values():
        kubernetes_validate.validate(job, cluster, strict=True)
        misspelt = copy.deepcopy(job)
        container(misspelt)["securityContext"]["readonlyRootFilesystem"] = True
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(misspelt, cluster, strict=True)


def test_the_pods_have_no_right_that_they_do_not_need() -> None:
    for job in cron_jobs(EXAMPLE / "base").values():
        assert job["spec"]["concurrencyPolicy"] == "Forbid"
        pod = pod_of(job)
        assert pod["automountServiceAccountToken"] is False
        assert "serviceAccountName" not in pod
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        own = container(job)["securityContext"]
        assert own["readOnlyRootFilesystem"] is True
        assert own["allowPrivilegeEscalation"] is False
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert pod["volumes"] == [{"name": "tmp", "emptyDir": {"sizeLimit": "10Gi"}}]
        secrets = [entry["secretRef"]["name"] for entry in container(job)["envFrom"][1:]]
        assert secrets == ["landing-bucket", f"landing-source-{container(job)['args'][1]}"]


def test_a_run_that_can_t_help_is_not_tried_again_and_a_drained_node_does_not_count() -> None:
    for job in cron_jobs(EXAMPLE / "base").values():
        spec = job["spec"]["jobTemplate"]["spec"]
        drained, hopeless = spec["podFailurePolicy"]["rules"]
        assert drained["action"] == "Ignore"
        assert hopeless["action"] == "FailJob"
        assert hopeless["onExitCodes"]["values"] == [2, 3]
        assert hopeless["onExitCodes"]["containerName"] == container(job)["name"]
        assert pod_of(job)["restartPolicy"] == "Never", "which podFailurePolicy asks for"


# Of a job, which ends by itself and serves no traffic; and of the image, which an overlay names.
_NOT_OF_A_BASE = {"PG-CTR-001", "PG-CTR-002", "PG-IMG-002"}


def test_a_policy_scanner_finds_the_pods_restricted(tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(EXAMPLE / "base", base)
    found = scan(base)
    assert found["compliant_level"] == "restricted"
    assert {violation["rule_id"] for violation in found["violations"]} <= _NOT_OF_A_BASE


def _as_root(job: dict[str, Any]) -> None:
    pod_of(job)["securityContext"].update(runAsNonRoot=False, runAsUser=0)


def _without_limits(job: dict[str, Any]) -> None:
    del container(job)["resources"]


def _writable(job: dict[str, Any]) -> None:
    container(job)["securityContext"]["readOnlyRootFilesystem"] = False


def _with_capabilities(job: dict[str, Any]) -> None:
    del container(job)["securityContext"]["capabilities"]


@pytest.mark.parametrize("spoil", [_as_root, _without_limits, _writable, _with_capabilities])
def test_the_scanner_would_notice(tmp_path: Path, spoil: Callable[[dict[str, Any]], None]) -> None:
    job = cron_jobs(EXAMPLE / "base")["landing-odoo"]
    spoil(job)
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    assert {violation["rule_id"] for violation in scan(tmp_path)["violations"]} - _NOT_OF_A_BASE


def test_the_example_is_what_its_stream_configs_say() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "tools.deploy", "--check"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_example_s_overlay_names_what_the_base_has() -> None:
    overlay = document(EXAMPLE / "overlay" / "kustomization.yaml")
    base = cron_jobs(EXAMPLE / "base")
    assert (EXAMPLE / "overlay" / overlay["resources"][0]).resolve() == (EXAMPLE / "base").resolve()
    (image,) = overlay["images"]
    assert {container(job)["image"].partition(":")[0] for job in base.values()} == {image["name"]}
    (settings,) = overlay["configMapGenerator"]
    for job in base.values():
        assert container(job)["envFrom"][0]["configMapRef"]["name"] == settings["name"]
    for patch in overlay["patches"]:
        label, _, value = patch["target"]["labelSelector"].partition("=")
        chosen = [job for job in base.values() if job["metadata"]["labels"][label] == value]
        assert chosen
        for operation in yaml.safe_load(patch["patch"]):
            for at in chosen:
                for key in operation["path"].strip("/").split("/"):
                    at = at[key]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not here")
def test_kubectl_puts_the_overlay_on_the_base() -> None:
    built = subprocess.run(
        ["kubectl", "kustomize", str(EXAMPLE / "overlay")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    documents = list(yaml.safe_load_all(built.stdout))
    for made in documents:
        kubernetes_validate.validate(made, CLUSTERS[-1], strict=True)
        assert made["metadata"]["namespace"] == "landing"
    jobs = {made["metadata"]["name"]: made for made in documents if made["kind"] == "CronJob"}
    assert sorted(jobs) == ["landing-datasette", "landing-odoo"]
    for job in jobs.values():
        assert container(job)["image"] == "registry.example.com/data/landing:2026-11-27.1"
    assert jobs["landing-odoo"]["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 43200


def configure(kit: Kit, source: str, stream: str, schedule: Any, **keys: Any) -> Path:
    fields = {"id": {"type": "integer"}}
    said = {} if schedule is None else {"schedule": schedule}
    return kit.configure(source, stream, fields=fields, **said, **keys)


def cron_jobs(folder: Path) -> dict[str, dict[str, Any]]:
    """By name, those that the kustomization lists."""
    listed = document(folder / "kustomization.yaml")["resources"]
    assert listed == sorted(listed)
    jobs = [document(folder / name) for name in listed]
    return {job["metadata"]["name"]: job for job in jobs}


def document(file: Path) -> dict[str, Any]:
    (found,) = documents(file)
    return found


def documents(file: Path) -> Iterator[dict[str, Any]]:
    yield from yaml.safe_load_all(file.read_text())


def pod_of(job: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return pod


def container(job: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod_of(job)["containers"]
    found: dict[str, Any] = only
    return found


def scan(folder: Path) -> dict[str, Any]:
    report = folder.parent / "report.json"
    command = [str(Path(sys.executable).parent / "policy-guard"), "scan", str(folder)]
    subprocess.run(
        [*command, "--level", "restricted", "--format", "json", "--output", str(report)],
        capture_output=True,
        timeout=60,
        check=True,
    )
    found: dict[str, Any] = json.loads(report.read_text())
    return found
