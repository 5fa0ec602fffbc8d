"""The image, as far as it can be seen without an engine."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from landing.kubernetes.manifests import USER
from tests.kit import REPOSITORY, Kit, Zone
from tests.servers.api import Api
from tools.image import DOCKERFILE, exec_form, instructions


@pytest.fixture(params=["this repository", "a workspace"])
def context(request: pytest.FixtureRequest, kit: Kit, tmp_path: Path) -> Path:
    """The folder that is sent to a builder."""
    if request.param == "this repository":
        return REPOSITORY
    made = kit.landing("init", str(tmp_path / "lake"), "--no-source", "--deploy", "--dagster")
    assert made.code == 0, made.text
    return tmp_path / "lake"


def test_a_linter_finds_nothing_in_the_dockerfile(context: Path) -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run(
        [str(hadolint), "--failure-threshold", "info", str(context / DOCKERFILE)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_as_the_user_whom_the_manifests_name_and_starts_landing(
    context: Path,
) -> None:
    steps = list(instructions(context / DOCKERFILE))
    assert [words.partition(" AS ")[0] for name, words in steps if name == "FROM"][-2:] == [
        "workspace",
        "workspace",
    ]
    said = dict(steps)
    assert said["USER"] == f"{USER}:{USER}"
    assert exec_form(said["ENTRYPOINT"]) == ["landing"]
    assert said["WORKDIR"] == "/app"
    assert "HOME=/tmp" in said["ENV"]


def test_every_install_keeps_to_the_versions_that_the_tests_passed_with(context: Path) -> None:
    installs = installs_of(context)
    assert installs
    for step in installs:
        assert "--constraint constraints.txt" in step


def test_the_image_of_a_workspace_has_the_published_engine_of_the_running_version(
    kit: Kit, tmp_path: Path
) -> None:
    assert kit.landing("init", str(tmp_path / "lake"), "--no-source", "--deploy").code == 0
    requirements = (tmp_path / "lake" / "requirements.txt").read_text().splitlines()
    (engine,) = [Requirement(line) for line in requirements if not line.startswith("#")]
    assert (engine.name, str(engine.specifier), engine.url) == (
        "dlt-landing",
        f"=={metadata.version('dlt-landing')}",
        None,
    )
    assert engine.extras == {"auth", "lineage", "otel", "prometheus", "tables"}
    for step in installs_of(tmp_path / "lake"):
        assert "--requirement requirements.txt" in step


def test_the_image_of_this_repository_has_what_its_own_runs_need() -> None:
    installs = installs_of(REPOSITORY)
    extras = [found[1].split(",") for step in installs if (found := re.search(r"\[(.+)\]", step))]
    assert extras == [["auth", "lineage", "otel", "prometheus"], ["dagster-k8s"]]


def test_the_target_for_dagster_starts_what_the_helm_chart_would(context: Path) -> None:
    steps = list(instructions(context / DOCKERFILE))
    begun = steps.index(("FROM", "workspace AS dagster"))
    own = dict(itertools.takewhile(lambda step: step[0] != "FROM", steps[begun + 1 :]))
    assert "ENTRYPOINT" not in own
    assert exec_form(own["CMD"])[:3] == ["dagster", "api", "grpc"]
    location = Path(exec_form(own["CMD"])[-1])
    assert (context / location.relative_to("/app")).is_file()


def test_what_is_copied_is_there_and_nothing_else_is_sent_to_a_builder(context: Path) -> None:
    copied = {
        source.removeprefix("./").rstrip("/")
        for name, words in instructions(context / DOCKERFILE)
        if name == "COPY" and "--from" not in words
        for source in words.split()[:-1]
    }
    rules = (context / ".dockerignore").read_text().splitlines()
    assert copied == {line[1:] for line in rules if line.startswith("!")}
    assert all((context / source).exists() for source in copied)
    assert next(line for line in rules if line[:1] != "#") == "*"
    assert "**/.env*" in rules


def test_ci_of_a_workspace_builds_the_image_and_the_manifests(kit: Kit, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    assert kit.landing("init", str(lake), "--no-source", "--deploy").code == 0
    workflow = yaml.safe_load((lake / ".github" / "workflows" / "image.yml").read_text())
    steps = [step["run"] for step in workflow["jobs"]["image"]["steps"] if "run" in step]
    assert [step.split()[:2] for step in steps] == [
        ["docker", "build"],
        ["docker", "run"],
        ["kubectl", "kustomize"],
    ]
    assert (lake / steps[0].partition("--file ")[2].split()[0]).is_file()
    assert (lake / steps[2].split()[-1]).is_dir()
    if shutil.which("kubectl"):
        subprocess.run(steps[2], shell=True, cwd=lake, check=True, capture_output=True)


def installs_of(context: Path) -> list[str]:
    return [
        step
        for name, words in instructions(context / DOCKERFILE)
        if name == "RUN"
        for step in words.split("&&")
        if " install " in step
    ]


_OVERLAY = """\
set -eu
mount -t tmpfs none "$W"
mkdir "$W/upper" "$W/work" "$W/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$W/upper,workdir=$W/work" "$W/root"
"""


def _has_overlays() -> bool:
    """Whether this process may have a root of its own: as root, on Linux, outside a sandbox."""
    if sys.platform != "linux" or os.getuid() != 0 or shutil.which("unshare") is None:
        return False
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", _OVERLAY],
        env={**os.environ, "W": "/mnt"},
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


@pytest.mark.skipif(not _has_overlays(), reason="needs root, unshare and overlays")
def test_a_run_as_any_user_writes_nothing_outside_tmp(kit: Kit, api: Api, zone: Zone) -> None:
    """With a read-only file system, all rights dropped, and the repository's own environment."""
    kit.add_founding_source()
    fields = {"id": {"type": "integer"}, "updated_at": {"type": "string", "format": "date-time"}}
    kit.configure("my_source", "orders", fields=fields, cursor_field=["updated_at"])
    python = Path(sys.executable)
    script = _OVERLAY + (
        'cp -a "$WORKSPACE" "$W/root/app"\n'
        'mount --rbind /dev "$W/root/dev"\n'
        'chmod o+x "$W/root/root"\n'  # an interpreter of root's own is everyone's in an image
        'mount -t tmpfs none "$W/root/tmp"\n'
        'chmod 1777 "$W/root/tmp"\n'
        # The checkout may be in /tmp itself.
        'mkdir -p "$W/root$REPOSITORY"\n'
        'mount --rbind "$REPOSITORY" "$W/root$REPOSITORY"\n'
        'mount -o remount,ro "$W/root"\n'
        f'exec chroot "$W/root" setpriv --reuid={USER} --regid={USER} --clear-groups '
        "--no-new-privs --inh-caps=-all --bounding-set=-all -- sh -c "
        f"'cd /app/orchestration && ! touch /app/x 2>/dev/null && "
        f'exec "{python.parent}/landing" run my_source orders\'\n'
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        env={
            **os.environ,
            **api.env(),
            "HOME": "/tmp",
            "TMPDIR": "/tmp",
            "W": "/mnt",
            "WORKSPACE": str(kit.repository),
            "REPOSITORY": str(REPOSITORY),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert zone.count("my_source", "orders") == len(api.rows())
