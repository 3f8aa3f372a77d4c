from __future__ import annotations

import pytest
from workshop import Workshop, needs, opencv, openvino_options


@pytest.fixture(scope="session")
def cpu(tmp_path_factory):
    """Programs over OpenVINO."""
    needs("cmake", "make", "c++")
    # Many small builds: without optimisation and OpenCV they are the quickest.
    options = [*openvino_options(), "-DWITH_OPENCV=OFF", "-DCMAKE_BUILD_TYPE=None"]
    return Workshop(tmp_path_factory.mktemp("cpu"), options)


@pytest.fixture(scope="session")
def ascend(toolkit, tmp_path_factory):
    """Programs over AscendCL of the 8.x layout."""
    options = ["-DWARNINGS_AS_ERRORS=ON", opencv()]
    return Workshop(tmp_path_factory.mktemp("ascend"), options, toolkit.environment(8))
