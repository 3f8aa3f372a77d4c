"""Inventories of ours and of Ansible's, selections, and what hostile files get."""

from __future__ import annotations

import json
import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgewright.core.errors import ConfigError
from edgewright.pipeline.fleet.inventory import identity, read_inventory
from edgewright.pipeline.fleet.selection import parse, select

OWN = """
groups:
  canary: {labels: {site: a}, vars: {camera: 0, port: 8080}}
  indoor: {labels: {site: b}, target: atlas}
devices:
  dev-1: {address: "ssh://pi@10.0.0.1?identity=keys/one", target: cpu, groups: [canary], vars: {camera: "1"}}
  dev-2: {address: "ssh://10.0.0.2:2222", groups: [canary, indoor], labels: {line: 3}, root: /data/ew}
  dev-3: {address: local}
"""

INI = """
# a factory
[line_a]
cam[01:03].example.org ansible_user=pi site=north
gate:2222 ansible_host=10.0.0.9 ansible_ssh_private_key_file="keys/my key"

[line_a:vars]
edgewright_target = cpu
shift=early

[boards]
atlas-[a:b] ansible_connection=local edgewright_target=atlas

[plant:children]
line_a
boards

[plant:vars]
shift=late
ansible_ssh_common_args='-o ProxyJump=jump@10.0.0.1 -o StrictHostKeyChecking=no'
"""

YAML = """
all:
  vars: {shift: late}
  hosts: {lone: }
  children:
    line_a:
      hosts:
        cam1: {ansible_host: 10.0.0.1, ansible_port: 2222, shift: early}
        "cam[2:3]":
      vars: {ansible_user: pi}
      children: {deep: {hosts: {cam1: , cam9: }}}
"""

LISTED = {
    "_meta": {"hostvars": {"cam1": {"ansible_host": "10.0.0.1", "site": "x"}, "cam2": {"ansible_user": "pi"}}},
    "all": {"children": ["ungrouped", "line_a"]},
    "line_a": {"hosts": ["cam1", "cam2"], "vars": {"shift": "late"}},
    "ungrouped": {"hosts": ["lone"]},
}

LAUGHS = "x0: &x0 [a]\n" + "".join(f"x{i + 1}: &x{i + 1} [{','.join([f'*x{i}'] * 9)}]\n" for i in range(9))


def _read(folder: Path, text: str, name: str = "inventory.yaml"):
    path = folder / name
    path.write_text(text)
    return {device.name: device for device in read_inventory(path)}


def test_a_device_has_what_its_groups_have_and_its_own_before_it(tmp_path: Path) -> None:
    found = _read(tmp_path, OWN)
    one, two, three = found.values()
    assert one.address == f"ssh://pi@10.0.0.1?identity={tmp_path}/keys/one"
    assert (one.target, one.labels, one.variables) == ("cpu", {"site": "a"}, {"camera": "1", "port": "8080"})
    assert (two.target, two.labels, two.root) == ("atlas", {"site": "b", "line": "3"}, "/data/ew")
    assert (three.address, three.target, three.groups) == ("local", "", ())


def test_the_ini_form_of_ansible_is_read(tmp_path: Path) -> None:
    found = _read(tmp_path, INI, "hosts")
    assert list(found) == ["cam01.example.org", "cam02.example.org", "cam03.example.org", "gate", "atlas-a", "atlas-b"]
    camera, gate = found["cam01.example.org"], found["gate"]
    assert camera.address == "ssh://pi@cam01.example.org?jump=jump@10.0.0.1"
    assert camera.groups == ("plant", "line_a") and camera.target == "cpu"
    assert camera.labels == {"site": "north", "shift": "early"}, "a group inside another counts more"
    assert gate.address == f"ssh://10.0.0.9:2222?identity={tmp_path}/keys/my%20key&jump=jump@10.0.0.1"
    assert found["atlas-b"].address == "local" and found["atlas-b"].target == "atlas"


def test_the_yaml_form_of_ansible_is_read(tmp_path: Path) -> None:
    found = _read(tmp_path, YAML, "hosts.yml")
    assert found["cam1"].address == "ssh://pi@10.0.0.1:2222" and found["cam1"].groups == ("line_a", "deep")
    assert found["cam1"].labels["shift"] == "early" and found["cam3"].labels["shift"] == "late"
    assert found["lone"].address == "ssh://lone" and set(found) == {"lone", "cam1", "cam2", "cam3", "cam9"}


def test_what_ansible_inventory_prints_is_read(tmp_path: Path) -> None:
    found = _read(tmp_path, json.dumps(LISTED), "printed.json")
    assert found["cam1"].address == "ssh://10.0.0.1" and found["cam1"].labels == {"site": "x", "shift": "late"}
    assert found["cam2"].address == "ssh://pi@cam2" and found["lone"].groups == ()


@pytest.mark.parametrize(("text", "name"), [(INI, "ini"), (YAML, "yaml")])
def test_an_inventory_is_read_as_ansible_itself_reads_it(tmp_path: Path, text: str, name: str) -> None:
    """`recorded/` has what ansible-inventory (ansible-core 2.19.14) `--list` printed of the same inventories."""
    printed = (Path(__file__).parent / "recorded" / f"{name}.json").read_text()
    assert _read(tmp_path, text, "hosts.yml" if name == "yaml" else "hosts") == _read(tmp_path, printed, "printed.json")


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("devices: {}", "i.yaml", "has no devices"),
        ("devices: {a: {address: local, adress: x}}", "i.yaml", "unknown key 'adress'"),
        ("devices: {a: {target: cpu}}", "i.yaml", "has no address"),
        ("devices: {'../a': {address: local}}", "i.yaml", "is no name"),
        ("devices: {a: {address: local}, a: {address: local}}", "i.yaml", "given twice"),
        ("devices: {a: {address: 'ssh://x'}, b: {address: 'ssh://x'}}", "i.yaml", "are the same device"),
        ("devices: {a: {address: 10.0.0.1}}", "i.yaml", "is no address"),
        ("devices: {a: {address: 'ftp://10.0.0.1'}}", "i.yaml", "no transport speaks 'ftp'"),
        ("devices: {a: {address: local, labels: {group: x}}}", "i.yaml", "cannot be a label"),
        ("devices: {a: {address: local, groups: canary}}", "i.yaml", "Give a list"),
        ("devices: [a, b]", "i.yaml", "mapping"),
        ("devices: {a: !!python/object/apply:os.system [id]}", "i.yaml", "not YAML"),
        ("a: &a [*a]", "i.yaml", "nested"),
        (LAUGHS, "i.yaml", "too many"),
        ("[" * 5000, "i.yaml", "i.yaml"),
        ('{"a": ' * 5000, "i.json", "i.json"),
        ("all: {hosts: {a: {ansible_host: '{{ secret }}'}}}", "i.yml", "template"),
        ("all: {hosts: {a: {ansible_connection: winrm}}}", "i.yml", "not SSH"),
        ("all: {children: {b: {children: {all: {}}}}}", "i.yml", "contains itself"),
        ("[a]\nhost[1:999999999]", "hosts", "range"),
        ("[a]\nhost[1:9", "hosts", "range"),
        ("[a]\nhost key", "hosts", "no variable"),
        ("[a]\nhost k='x", "hosts", "quotes"),
        ("\x00\x01", "i.yaml", "cannot be read"),
    ],
)  # fmt: skip
def test_a_wrong_inventory_is_told_where(tmp_path: Path, text: str, name: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _read(tmp_path, text, name)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ssh://pi@10.0.0.12", "ssh://pi@10.0.0.12:22", True),
        ("ssh://Board.Example.org", "ssh://board.example.org", True),
        ("ssh://b?identity=/k&bandwidth=1M", "ssh://b", True),
        ("ssh://b?jump=pi@gate-a:22", "ssh://b?jump=pi@Gate-A", True),
        ("ssh://10.0.0.12?jump=gate-a", "ssh://10.0.0.12?jump=gate-b", False),
        ("ssh://10.0.0.12?jump=gate-a", "ssh://10.0.0.12", False),
        ("ssh://b?config=/one", "ssh://b?config=/two", False),
        ("ssh://b:2222", "ssh://b", False),
        ("ssh://pi@b", "ssh://root@b", False),
        ("local", "ssh://local", False),
    ],
)
def test_one_way_to_a_device_is_one_device_however_it_is_written(
    tmp_path: Path, one: str, other: str, same: bool
) -> None:
    assert (identity(one) == identity(other)) == same
    text = json.dumps({"devices": {"a": {"address": one, "root": "/d"}, "b": {"address": other, "root": "/d"}}})
    if same:
        with pytest.raises(ConfigError, match="b and a are the same device"):
            _read(tmp_path, text)
    else:
        assert len(_read(tmp_path, text)) == 2


@given(
    text=st.text(max_size=400) | st.text(string.printable, max_size=400),
    name=st.sampled_from(["i.yaml", "i.json", "hosts"]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_is_read_or_refused(tmp_path: Path, text: str, name: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", errors="ignore")
    try:
        assert read_inventory(path)
    except ConfigError as error:
        assert error.message and error.remedy


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["devices", "groups", "all", "hosts", "children", "vars", "_meta", "hostvars", "address", "a"]),
        inner, max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip


@given(data=st.dictionaries(st.sampled_from(["devices", "groups", "all", "_meta", "a"]), JSON, max_size=3))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_is_read_or_refused(tmp_path: Path, data: object) -> None:
    path = tmp_path / "i.json"
    path.write_text(json.dumps(data))
    try:
        assert read_inventory(path)
    except ConfigError as error:
        assert error.message and error.remedy


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["dev-1", "dev-2", "dev-3"]),
        ("group=canary", ["dev-1", "dev-2"]),
        ("group=canary,site=a", ["dev-1"]),
        ("group!=canary", ["dev-3"]),
        ("line", ["dev-2"]),
        ("name=dev-*,target!=cpu", ["dev-2", "dev-3"]),
    ],
)
def test_devices_are_selected_by_their_labels(tmp_path: Path, text: str, names: list[str]) -> None:
    assert [device.name for device in select(_read(tmp_path, OWN).values(), text)] == names


@pytest.mark.parametrize("text", ["=a", "a b=c", "group=", "!", "a!", "-x=1", ",".join("abcdefgh" * 9)])
def test_what_selects_nothing_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text)
