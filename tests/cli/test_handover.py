"""What is handed to somebody else's machinery: the files are whole, and every command in them is one of ours."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2.nativetypes
import pytest
import typer
import yaml

from edgewright.cli.app import app
from edgewright.pipeline.fleet.config import read_fleet
from edgewright.pipeline.fleet.inventory import read_inventory


def _accepted(words: Sequence[str]) -> str:
    """The verb that the command line finds in `words`, its options and arguments checked; nothing is done."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("edgewright", list(words))
    for at, word in enumerate(words):
        command = command.get_command(context, word)
        assert command is not None, words
        if not hasattr(command, "commands"):
            command.make_context(word, list(words[at + 1 :]), parent=context)
            return " ".join(words[: at + 1])
    raise AssertionError(words)


def _said(node: Any) -> Iterator[str]:
    """Every line of a document's texts that begins with `edgewright`."""
    if isinstance(node, str):
        yield from (line for line in node.splitlines() if line.startswith("edgewright "))
    else:
        for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            yield from _said(each)


@pytest.mark.parametrize("name", ["github-actions.yml", "gitlab-ci.yml"])
def test_a_job_of_ci_says_what_the_command_line_takes(root: Path, name: str) -> None:
    whole = yaml.safe_load((root / "examples/ci" / name).read_text())
    verbs = [_accepted(shlex.split(line.partition(" > ")[0])[1:]) for line in _said(whole)]
    assert verbs and set(verbs) == {"deploy"}
    text = (root / "examples/ci" / name).read_text()
    assert "EDGEWRIGHT_HOME" in text and re.search(r"concurrency:|resource_group:", text), "one hub, with a memory"


@pytest.fixture(scope="module")
def kinds(root: Path) -> dict[str, Any]:
    text = (root / "examples/kubernetes/rollout-job.yaml").read_text()
    return {document["kind"]: document for document in yaml.safe_load_all(text)}


def test_the_job_of_kubernetes_says_what_the_command_line_takes(kinds: dict[str, Any]) -> None:
    pod = kinds["Job"]["spec"]["template"]["spec"]
    found = [container["command"] for container in (*pod["initContainers"], *pod["containers"])]
    assert [words[0] for words in found] == ["edgewright"] * 2
    assert [_accepted(words[1:]) for words in found] == ["bundle pull", "deploy"]


def test_the_job_of_kubernetes_is_one_hub_that_goes_on_and_may_nothing_else(kinds: dict[str, Any]) -> None:
    job = kinds["Job"]["spec"]
    pod = job["template"]["spec"]
    assert (job["parallelism"], job["completions"], pod["restartPolicy"]) == (1, 1, "OnFailure")
    assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["state"]["persistentVolumeClaim"]["claimName"] == kinds["PersistentVolumeClaim"]["metadata"]["name"]
    assert volumes["fleet"]["configMap"]["name"] == kinds["ConfigMap"]["metadata"]["name"]
    assert volumes["ssh"]["secret"]["defaultMode"] == 0o440
    for container in (*pod["initContainers"], *pod["containers"]):
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert set(mounts) == set(volumes)
        home = next(entry["value"] for entry in container["env"] if entry["name"] == "EDGEWRIGHT_HOME")
        assert Path(home).is_relative_to(mounts["state"])
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]


def test_the_fleet_in_the_job_of_kubernetes_is_one(kinds: dict[str, Any], tmp_path: Path) -> None:
    for name, text in kinds["ConfigMap"]["data"].items():
        (tmp_path / name).write_text(text)
    assert read_fleet(tmp_path / "fleet.yaml").rollout.waves[0].name == "canary"
    devices = read_inventory(tmp_path / "inventory.yaml")
    assert [device.name for device in devices] == ["gate-1", "gate-2"]
    assert all("identity=/ssh/identity" in device.address for device in devices)


@pytest.mark.parametrize(("select", "resume"), [("", False), ("group=canary", True)])
def test_the_role_of_ansible_says_what_the_command_line_takes(root: Path, select: str, resume: bool) -> None:
    role = root / "examples/ansible/roles/edgewright_rollout"
    (task,) = yaml.safe_load((role / "tasks/main.yml").read_text())
    values = yaml.safe_load((role / "defaults/main.yml").read_text())
    values |= {"edgewright_select": select, "edgewright_resume": resume}
    environment = jinja2.nativetypes.NativeEnvironment()
    environment.filters["bool"] = bool
    argv = environment.from_string(task["ansible.builtin.command"]["argv"]).render(**values)
    assert argv[:4] == ["edgewright", "deploy", "fleet.yaml", "--yes"] and ("--resume" in argv) == resume
    assert _accepted(argv[1:]) == "deploy"
