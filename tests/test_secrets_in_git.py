"""From a skeleton to an encrypted file in git, a Secret, and a run's environment: the real sops."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pyrage
import pytest
import yaml

from landing.scaffold.workspace import SUFFIX, TEMPLATE
from tests.kit import REPOSITORY, Kit, Zone
from tests.servers.api import Api

RULES = REPOSITORY / ".sops.yaml"
EXAMPLE = (
    REPOSITORY / "deploy" / "kubernetes" / "example" / "overlay" / "landing-source-odoo.enc.yaml"
)


def test_a_secret_goes_from_its_skeleton_through_git_into_a_run(
    kit: Kit,
    api: Api,
    folder_zone: Zone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kit.add_founding_source()
    fields = {"id": {"type": "integer"}, "updated_at": {"type": "string", "format": "date-time"}}
    kit.configure("my_source", "orders", fields=fields, cursor_field=["updated_at"])
    ours, others = key_of(kit), pyrage.x25519.Identity.generate()

    file = kit.repository / "landing-source-my-source.enc.yaml"
    secret = yaml.safe_load(kit.landing("env", "my_source", "--secret").out)
    secret["stringData"] = {"MY_API_URL": api.url, "MY_API_KEY": api.token}
    file.write_text(yaml.safe_dump(secret))
    sops(kit, "encrypt", "--in-place", file.name)
    assert api.token not in file.read_text()
    assert "MY_API_KEY: ENC[" in file.read_text(), "names can be read in a review"

    refused = sops(kit, "decrypt", file.name, key=str(others), check=False)
    assert refused.returncode != 0
    assert api.token not in refused.stdout + refused.stderr
    opened = yaml.safe_load(sops(kit, "decrypt", file.name, key=str(ours)).stdout)
    assert opened == secret
    kubernetes_validate.validate(opened, kubernetes_validate.latest_version(), strict=True)

    for name, value in opened["stringData"].items():  # as `envFrom` of a pod does
        monkeypatch.setenv(name, value)
    assert "all required ones are set" in kit.landing("env", "my_source").out
    assert kit.run("my_source", "orders").code == 0
    assert folder_zone.count("my_source", "orders") == len(api.rows())


def test_without_a_cluster_sops_starts_a_run_with_the_lines_of_an_env_file(
    kit: Kit, api: Api, folder_zone: Zone
) -> None:
    kit.add_founding_source()
    ours = key_of(kit)
    file = kit.repository / "secrets.enc.env"
    file.write_text(
        kit.landing("env", "my_source", "--dotenv")
        .out.replace("MY_API_URL=", f"MY_API_URL={api.url}")
        .replace("MY_API_KEY=", f"MY_API_KEY={api.token}")
    )
    sops(kit, "encrypt", "--in-place", file.name)
    assert api.token not in file.read_text()
    assert "MY_API_KEY=ENC[" in file.read_text()
    landing = f"{Path(sys.executable).parent}/landing"
    told = sops(kit, "exec-env", file.name, f"{landing} env my_source", key=str(ours)).stdout
    assert "all required ones are set" in told


def test_a_changed_file_is_noticed(kit: Kit) -> None:
    ours = key_of(kit)
    file = kit.repository / "a.enc.yaml"
    file.write_text("kind: Secret\nstringData:\n  A: one\n  B: two\n")
    sops(kit, "encrypt", "--in-place", file.name)
    swapped = file.read_text().replace("A: ENC", "C: ENC")
    file.write_text(swapped)
    assert sops(kit, "decrypt", file.name, key=str(ours), check=False).returncode != 0


def test_the_committed_example_is_encrypted_for_the_committed_recipient() -> None:
    rule, of_env_files = yaml.safe_load(RULES.read_text())["creation_rules"]
    assert rule["age"] == of_env_files["age"]
    example = yaml.safe_load(EXAMPLE.read_text())
    assert re.search(rule["path_regex"], EXAMPLE.name)
    assert [recipient["recipient"] for recipient in example["sops"]["age"]] == [rule["age"]]
    assert example["sops"]["encrypted_regex"] == rule["encrypted_regex"]
    assert all(value.startswith("ENC[") for value in example["stringData"].values())
    assert "ODOO_API_KEY" in example["stringData"]
    base = EXAMPLE.parent.parent / "base" / "landing-odoo.yaml"
    assert f"name: {example['metadata']['name']}\n" in base.read_text()


def test_no_private_key_and_no_secret_in_the_clear_is_in_the_repository() -> None:
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    texts = {name: (REPOSITORY / name) for name in files if name.startswith(("deploy/", ".sops"))}
    assert texts
    for name, file in texts.items():
        text = file.read_text()
        assert "AGE-SECRET-KEY-" not in text, name
        for document in yaml.safe_load_all(text) if name.endswith(".yaml") else ():
            if document.get("kind") == "Secret":
                assert "sops" in document, f"{name} is not encrypted"


def test_the_placeholder_of_a_new_workspace_encrypts_nothing(kit: Kit) -> None:
    rules = (TEMPLATE / f".sops.yaml{SUFFIX}").read_text()
    (kit.repository / ".sops.yaml").write_text(rules)
    (kit.repository / "a.enc.yaml").write_text("data: {A: b}\n")
    refused = sops(kit, "encrypt", "--in-place", "a.enc.yaml", check=False)
    assert refused.returncode != 0
    assert "PUT-YOUR-age1-KEY-HERE" in refused.stderr


def key_of(kit: Kit) -> pyrage.x25519.Identity:
    """A new key, for which the repository's rules then encrypt."""
    made = pyrage.x25519.Identity.generate()
    rules = re.sub(r"age1\w+", str(made.to_public()), RULES.read_text())
    (kit.repository / ".sops.yaml").write_text(rules)
    return made


def sops(
    kit: Kit, *words: str, key: str = "", check: bool = True
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "sops"), *words],
        cwd=kit.repository,
        env={"PATH": "/usr/bin:/bin", "SOPS_AGE_KEY": key, "HOME": str(kit.repository)},
        capture_output=True,
        text=True,
        timeout=60,
        check=check,
    )
