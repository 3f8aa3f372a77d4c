"""Roles instead of names, batches, and paths that stay inside."""

from __future__ import annotations

import numpy as np
import pytest

from edgewright.device.service import RoleEngine, Service, ServiceError, inside


class Engine:
    """Gives back twice its only input, and counts what it was asked."""

    inputs = [{"name": "in:0", "dtype": "int64", "shape": [None, 2]}]  # noqa: RUF012
    outputs = [{"name": "out:0", "dtype": "int64", "shape": [None, 2]}]  # noqa: RUF012

    def run(self, feeds):
        return {"out:0": feeds["in:0"] * 2}


PORTS = {
    "inputs": [{"role": "ids", "name": "in:0", "dtype": "int64", "shape": [None, 2]}],
    "outputs": [{"role": "twice", "name": "out:0", "dtype": "int64", "shape": [None, 2]}],
}


def test_an_engine_is_spoken_to_by_roles_and_given_its_own_types():
    engine = RoleEngine(Engine(), PORTS)
    out = engine.run({"ids": np.array([[1, 2]], np.int32), "spare": np.zeros(1)})
    assert out["twice"].dtype == np.int64 and out["twice"].tolist() == [[2, 4]]
    assert engine.batch is None


def test_without_ports_every_name_is_its_own_role():
    assert RoleEngine(Engine(), {}).run({"in:0": np.array([[1, 2]])})["out:0"].tolist() == [[2, 4]]


def test_a_missing_input_is_named():
    with pytest.raises(ServiceError, match="no input 'ids'"):
        RoleEngine(Engine(), PORTS).run({"id": np.zeros((1, 2))})


def test_batched_outputs_are_split_and_lone_ones_are_refused():
    parts = Service.split({"a": np.arange(8).reshape(4, 2)}, 3)
    assert [part["a"].tolist() for part in parts] == [[[0, 1]], [[2, 3]], [[4, 5]]]
    with pytest.raises(ServiceError, match="no batch axis"):
        Service.split({"a": np.zeros(())}, 2)


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "", "."])
def test_paths_of_a_bundle_may_not_leave_it(tmp_path, path):
    with pytest.raises(ServiceError, match="outside"):
        inside(str(tmp_path), path)
    assert inside(str(tmp_path), "model/../model/m.onnx").startswith(str(tmp_path))
