"""`landing init`: a workspace elsewhere, in which the engine is an ordinary dependency."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from packaging.requirements import Requirement

from landing.scaffold.engine import engine, packages_of
from landing.scaffold.workspace import SUFFIX, TEMPLATE
from tests.kit import REPOSITORY, Kit, Outcome, Zone
from tests.servers.api import Api
from tools import template

SHOP = [
    *("--source", "shop", "--auth=bearer", "--paging=offset", "--streams", "orders"),
    *("--records=data", "--cursor=updated_at", "--since=since"),
]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as pip unpacks it; what it depends on is this environment's."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheel = ["wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, *wheel, "--wheel-dir", folder, REPOSITORY], check=True)
    (built,) = folder.glob("*.whl")
    subprocess.run(
        [*pip, "install", "--no-deps", "--no-index", "--target", folder / "site", built], check=True
    )
    return folder


def process(folder: Path, *command: str, expected: int = 0) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout


def landing(folder: Path, *words: str) -> str:
    code = "import sys; from landing.cli import main; sys.exit(main())"
    return process(folder, sys.executable, "-c", code, *words)


def make(folder: Path, *words: str) -> str:
    """With this environment in place of the one that `make setup` would install."""
    made = folder / ".venv"
    if not made.exists():
        made.mkdir()
        (made / "setup").touch()
        for part in ("bin", "lib", "pyvenv.cfg"):
            (made / part).symlink_to(Path(sys.prefix) / part)
    return process(folder, "make", *words)


def init(kit: Kit, *words: str) -> Outcome:
    return kit.landing("init", *words)


def test_a_new_workspace_does_all_that_this_one_does(
    installed: Path, tmp_path: Path, api: Api, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the wheel, in an empty folder, against a real API and a real bucket; and its folder
    orchestration/dlt is not taken for the library, even where it is on Python's path."""
    lake = tmp_path / "lake"
    on_path = os.pathsep.join((str(lake / "orchestration"), str(installed / "site")))
    monkeypatch.setenv("PYTHONPATH", on_path)
    parts = ("--dagster", "--deploy")
    told = landing(tmp_path, "init", "lake", f"--base-url={api.url}", *parts, *SHOP)
    assert f"file://{installed}/dlt_landing-" in told
    assert "requirements-dev.txt names a path that exists only on this machine" in told
    settings = {"SHOP_URL": api.url, "SHOP_TOKEN": api.token}
    (lake / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    assert "SHOP_URL=" in (lake / ".env.example").read_text()

    assert (installed / "site/landing/docs/paging.md").is_file(), "for `landing mcp`"

    scripts = lake / "orchestration" / "dlt"
    found = process(scripts, sys.executable, "discover-source.py", "shop")
    assert "orchestration/dag/sources/shop/orders.json: 10 fields, new" in found
    dag = lake / "orchestration" / "dag"
    config = json.loads((dag / "sources" / "shop" / "orders.json").read_text())
    (dag / "streams" / "shop").mkdir()
    config = {**config, "selected": True, "schedule": "5 * * * *"}
    (dag / "streams" / "shop" / "orders.json").write_text(json.dumps(config))
    run = process(scripts, sys.executable, "pipeline.py", "shop", "--all")
    assert "shop/orders: 2,350 rows" in run
    assert zone.count("shop", "orders") == 2_350
    assert "nothing new" in make(lake, "run")
    assert "added landing-shop" in landing(lake, "k8s")
    job = yaml.safe_load((lake / "deploy/kubernetes/base/landing-shop.yaml").read_text())
    kubernetes_validate.validate(job, "1.31", strict=True)


def test_what_ci_runs_passes_without_secrets(
    kit: Kit, installed: Path, tmp_path: Path, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = tmp_path / "lake"
    parts = ("--dagster", "--feeder", "--deploy")
    assert init(kit, str(lake), f"--base-url={api.url}", *parts, *SHOP).code == 0
    monkeypatch.chdir(lake)
    with monkeypatch.context() as known:
        known.setenv("SHOP_URL", api.url)
        known.setenv("SHOP_TOKEN", api.token)
        assert kit.landing("check", "shop", "--record", "--max-rows=50").code == 0
    monkeypatch.setenv("PYTHONPATH", str(installed / "site"))
    assert "All checks passed!" in make(lake, "check")
    assert re.search(r"\d+ passed(, \d+ skipped)? in ", make(lake, "test"))


def test_files_that_are_there_are_listed_and_left(kit: Kit, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    lake.mkdir()
    for name in ("Makefile", "README.md"):
        (lake / name).write_text("ours\n")
    refused = init(kit, str(lake), "--no-source")
    assert refused.code == 2
    assert "has some of the files already: Makefile, README.md" in refused.err
    assert sorted(path.name for path in lake.iterdir()) == ["Makefile", "README.md"]
    kept = init(kit, str(lake), "--no-source", "--keep")
    assert kept.code == 0, kept.text
    assert "Makefile stays as it was" in kept.out
    assert (lake / "Makefile").read_text() == "ours\n"
    assert (lake / "orchestration" / "dlt" / "pipeline.py").is_file()


def test_a_workspace_is_made_once(kit: Kit, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    assert init(kit, str(lake), "--no-source").code == 0
    for folder in (lake, lake / "orchestration" / "dlt"):
        again = init(kit, str(folder), "--no-source", "--keep")
        assert again.code == 2
        assert f"{lake} is a workspace already: `landing new SOURCE` adds" in again.err
    file = lake / "README.md"
    assert "is a file: name a folder" in init(kit, str(file), "--no-source").err


def test_a_mistake_in_the_first_source_leaves_nothing(kit: Kit, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    for words in (
        [*SHOP, "--base-url=ftp://x"],
        [*SHOP[:1], "1 shop", *SHOP[2:], "--base-url=http://x"],
        ["--source", "shop"],
        ["--base-url=http://x"],
        ["--no-source", "--engine", "dlt"],
        ["--no-source", "--engine", "dlt landing"],
    ):
        done = init(kit, str(lake), *words)
        assert done.code == 2, words
        assert done.err.startswith("error: "), words
        assert not lake.exists(), words


def test_a_folder_that_cannot_be_written_leaves_nothing(kit: Kit, tmp_path: Path) -> None:
    (tmp_path / "lake").symlink_to("/proc/self")
    done = init(kit, str(tmp_path / "lake" / "task"), "--no-source")
    assert done.code == 2
    assert "can't be written" in done.err


def test_the_first_source_is_asked_for_at_a_terminal(tmp_path: Path) -> None:
    """One name and nothing else, as `landing new` asks for the rest."""
    answers = ["shop", "http://127.0.0.1:9/api", "none", "none", "orders", "", "", ""]
    main, side = pty.openpty()
    command = [str(Path(sys.executable).with_name("landing")), "init", "lake"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdin=side, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as running:
        os.write(main, ("\n".join(answers) + "\n").encode())
        assert running.stdout is not None
        told = running.stdout.read().decode()
    os.close(main)
    os.close(side)
    assert running.returncode == 0, told
    assert "Name of the first source" in told
    assert (tmp_path / "lake/orchestration/dlt/sources/shop/streams.py").is_file()


def test_only_what_is_asked_for_is_there(kit: Kit, tmp_path: Path) -> None:
    def files(*words: str) -> set[str]:
        folder = tmp_path / "-".join(("lake", *words)).replace("--", "")
        done = init(kit, str(folder), "--no-source", "--json", *words)
        document: dict[str, Any] = json.loads(done.out)
        extras = Requirement(document["requirement"]).extras
        assert ("dagster" in extras, "feeder" in extras) == (
            "--dagster" in words,
            "--feeder" in words,
        )
        return set(document["files"])

    plain = files()
    assert files("--dagster") - plain == {"orchestration/definitions.py", "workspace.yaml"}
    assert files("--feeder") - plain == {"orchestration/feeder.py"}
    assert {Path(name).parts[0] for name in files("--deploy") - plain} == {
        ".dockerignore",
        ".github",
        ".sops.yaml",
        "constraints.txt",
        "deploy",
    }
    check = yaml.safe_load((tmp_path / "lake" / ".github/workflows/check.yml").read_text())
    assert check["jobs"]["check"]["steps"][-1] == {"run": "make setup check test"}


class Installed:
    """A distribution, as an installer may have left it."""

    version = "1.2"

    def __init__(self, origin: dict[str, Any] | None) -> None:
        self._origin = origin

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self._origin is None else json.dumps(self._origin)


@pytest.mark.parametrize(
    ("origin", "expected", "is_of_this_machine"),
    [
        (None, "dlt-landing[auth]==1.2", False),
        (
            {
                "url": "https://robot:secret@git.example.com/kit.git",
                "vcs_info": {"vcs": "git", "commit_id": "0a1b", "requested_revision": "main"},
                "subdirectory": "python",
            },
            "dlt-landing[auth]@ git+https://git.example.com/kit.git@0a1b#subdirectory=python",
            False,
        ),
        (
            {
                "url": "https://t0ken@git.example.com/kit.git",
                "vcs_info": {"vcs": "git", "commit_id": "0a1b"},
            },
            "dlt-landing[auth]@ git+https://git.example.com/kit.git@0a1b",
            False,
        ),
        (
            {
                "url": "ssh://git@git.example.com/kit.git",
                "vcs_info": {"vcs": "git", "commit_id": "0a1b"},
            },
            "dlt-landing[auth]@ git+ssh://git@git.example.com/kit.git@0a1b",
            False,
        ),
        (
            {
                "url": "https://files.example.com/dlt_landing-1.2-py3-none-any.whl",
                "archive_info": {"hashes": {"sha256": "ab"}},
            },
            "dlt-landing[auth]@ https://files.example.com/dlt_landing-1.2-py3-none-any.whl"
            "#sha256=ab",
            False,
        ),
        (
            {"url": "file:///home/me/kit", "dir_info": {"editable": True}},
            "dlt-landing[auth]@ file:///home/me/kit",
            True,
        ),
    ],
)
def test_the_engine_is_installed_as_this_one_was(
    origin: dict[str, Any] | None,
    expected: str,
    is_of_this_machine: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metadata, "distribution", lambda name: Installed(origin))
    found = engine(["auth"])
    assert Requirement(found.requirement) == Requirement(expected)
    assert found.is_of_this_machine is is_of_this_machine
    published = "dlt-landing[auth]==1.2" if is_of_this_machine else expected
    assert Requirement(found.published) == Requirement(published)


def test_the_engine_may_be_given(kit: Kit, tmp_path: Path) -> None:
    said = "dlt-landing @ git+https://git.example.com/kit.git@v1"
    done = init(kit, str(tmp_path / "lake"), "--no-source", "--engine", said)
    assert "path of this machine" not in done.out
    (line,) = [
        line
        for line in (tmp_path / "lake" / "requirements.txt").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert Requirement(line) == Requirement(said.replace(" @", "[auth,tables] @"))
    assert any(one.startswith("pytest") for one in packages_of(["dev"]))


def test_the_template_is_what_this_repository_has() -> None:
    for name, text in template.texts():
        assert (TEMPLATE / f"{name}{SUFFIX}").read_text() == text, name
    settings = dict(template.texts())[template.SETTINGS]
    assert "DLT_BUCKET_URL" in settings
    assert "ODOO" not in settings


def test_the_wheel_has_the_whole_template(installed: Path) -> None:
    (built,) = installed.glob("*.whl")
    inside = {name for name in zipfile.ZipFile(built).namelist() if name.endswith(SUFFIX)}
    sources = REPOSITORY / "src"
    expected = {str(f.relative_to(sources)) for f in (sources / "landing").rglob(f"*{SUFFIX}")}
    assert inside == expected
    assert shutil.which("make"), "the tests above use it"
