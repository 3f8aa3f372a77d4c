"""What the service counts is what happened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.core.verdict import Reading
from edgewright.device import board, signals
from edgewright.device.meter import Meter, exposition, quantile


def test_a_window_sums_up_its_inferences() -> None:
    meter = Meter({"score": [0.25, 0.5, 0.75]})
    times = [0.001 * n for n in range(1, 101)]
    for n, seconds in enumerate(times):
        meter.observe(seconds, {"score": n / 100, "other": 1, "none": None})
    meter.failed()
    reading = Reading.from_json({**meter.close_window(), "seq": 1})
    assert (reading.count, reading.errors) == (100, 1)
    assert abs(reading.p95 - np.percentile(times, 95) * 1000) < 1e-9
    assert abs(reading.p50 - np.percentile(times, 50) * 1000) < 1e-9 and reading.max == 100
    assert reading.histograms == {"score": (26, 25, 25, 24)}
    assert list(reading.histograms["score"]) == signals.histogram([n / 100 for n in range(100)], [0.25, 0.5, 0.75])
    assert reading.memory_bytes > 1 << 20
    after = meter.close_window()
    assert after["count"] == after["errors"] == 0 and after["histograms"] == {}


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.floats(0, 1))
def test_quantiles_are_numpy_s(values: list[float], share: float) -> None:
    ordered = sorted(values)
    assert np.isclose(quantile(ordered, share), np.quantile(ordered, share), rtol=1e-9, atol=1e-9)


def test_label_values_are_escaped() -> None:
    assert 'name="a\\"b\\\\c\\nd"' in exposition(Meter(), {"name": 'a"b\\c\nd'})


def test_board_readings_come_from_the_tree_they_are_given(tmp_path: Path) -> None:
    zones = tmp_path / "sys/class/thermal"
    for name, text in {"thermal_zone0": "45250\n", "thermal_zone1": "61000\n", "thermal_zone2": "0\n",
                       "thermal_zone3": "broken", "cooling_device0": "99000"}.items():  # fmt: skip
        (zones / name).mkdir(parents=True)
        (zones / name / "temp").write_text(text)
    (zones / "thermal_zone4").mkdir()
    assert board.temperature_c(str(tmp_path)) == 61.0
    assert board.temperature_c(str(tmp_path / "nothing")) is None
    status = tmp_path / "proc/7/status"
    status.parent.mkdir(parents=True)
    status.write_text("Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n")
    assert board.memory_bytes(7, str(tmp_path)) == {"bytes": 1 << 20, "peak_bytes": 2 << 20}
    assert board.memory_bytes(8, str(tmp_path)) == {}
