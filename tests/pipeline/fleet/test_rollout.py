"""The rollout as a pure plan: whatever devices and operators do, and wherever the hub is killed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.pipeline.fleet.config import WaveConfig
from edgewright.pipeline.fleet.inventory import Device
from edgewright.pipeline.fleet.rollout import (
    ASKED,
    FAILED,
    LIVE,
    OFFLINE,
    SENDING,
    WAITING,
    Ask,
    Bake,
    Finish,
    Member,
    Pass,
    Pause,
    Settle,
    Start,
    Wait,
    Wave,
    next_step,
    waves_of,
)

GOOD, BAD, DEAD, LATER_BAD = "good", "bad", "dead", "later bad"


@dataclass
class World:
    """Devices with their nature, and a hub's memory of them; `installed` counts real changes of a device."""

    waves: list[Wave]
    members: dict[str, Member]
    nature: dict[str, str]
    concurrency: int
    now: float = 1000.0
    serving: set[str] = field(default_factory=set)
    installed: dict[str, int] = field(default_factory=dict)
    begun_in_wave: list[tuple[int, str]] = field(default_factory=list)
    paused: Pause | None = None
    finished: Finish | None = None

    def step(self) -> None:
        step = next_step(self.waves, self.members.values(), self.concurrency, self.now)
        flying = [m for m in self.members.values() if m.state in (SENDING, ASKED)]
        if isinstance(step, Start):
            self._check_start(step, len(flying))
            self._move(step.devices, SENDING)
        elif isinstance(step, Ask):
            asked = [self.members[name] for name in step.devices]
            assert all(m.state == LIVE for m in asked)
            assert all(self.now - m.since >= self.waves[m.wave].bake_s for m in asked), (
                "each has baked before it is asked"
            )
            self._move(step.devices, ASKED)
        elif isinstance(step, Settle):
            self.waves[step.wave] = replace(self.waves[step.wave], settled=self.now)
        elif isinstance(step, Bake):
            assert step.until > self.now
            self.now = step.until
        elif isinstance(step, Pass):
            self.waves[step.wave] = replace(self.waves[step.wave], passed=True)
        elif isinstance(step, Wait):
            assert flying, "it waits for nobody"
        elif isinstance(step, Pause):
            assert not flying, "devices at work are left alone"
            self.paused = step
        else:
            assert not flying
            self.finished = step

    def _check_start(self, step: Start, flying: int) -> None:
        current = next((i for i, wave in enumerate(self.waves) if not wave.passed), len(self.waves))
        assert 0 < len(step.devices) <= self.concurrency - flying
        for name in step.devices:
            member = self.members[name]
            assert member.state == WAITING, "no device is begun twice"
            assert member.wave <= current, "a wave begins when the one before has passed"
            failed = sum(m.state == FAILED for m in self.members.values() if m.wave == member.wave)
            assert failed <= self.waves[member.wave].errors_max, "beyond the threshold nothing is begun"
            self.begun_in_wave.append((member.wave, name))

    def answer(self, name: str, *, lost: bool = False) -> None:
        """A device that is at work comes to its end; `lost`: it did, and the hub did not hear of it."""
        member, nature = self.members[name], self.nature[name]
        if member.state == SENDING:
            state = {DEAD: OFFLINE, BAD: FAILED}.get(nature, LIVE)
            if state == LIVE and name not in self.serving:
                self.serving.add(name)
                self.installed[name] = self.installed.get(name, 0) + 1
            if not lost:
                self.members[name] = replace(member, state=state, kept=False, since=self.now)
        elif not lost:
            kept = nature != LATER_BAD
            self.members[name] = replace(member, state=LIVE if kept else FAILED, kept=kept, since=self.now)

    def kill(self) -> None:
        """The hub dies and another one opens the ledger (Ledger.reopen)."""
        for name, member in self.members.items():
            if member.state in (SENDING, OFFLINE):
                self.members[name] = replace(member, state=WAITING, since=self.now)
            elif member.state == ASKED:
                self.members[name] = replace(member, state=LIVE)

    def resume(self) -> None:
        self.kill()
        assert self.paused is not None
        self.waves[self.paused.wave] = replace(self.waves[self.paused.wave], accepted=True)
        for name, member in self.members.items():
            if member.state == FAILED:
                self.members[name] = replace(member, state=WAITING)
        self.paused = None

    def _move(self, names: tuple[str, ...], state: str) -> None:
        assert len(set(names)) == len(names)
        for name in names:
            self.members[name] = replace(self.members[name], state=state, since=self.now)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    waves = [
        Wave(
            f"w{index}",
            success_percent=draw(st.sampled_from([0.0, 50.0, 100.0])),
            errors_max=draw(st.integers(0, 3)),
            bake_s=draw(st.sampled_from([0.0, 60.0])),
        )
        for index in range(draw(st.integers(1, 4)))
    ]
    names = [f"d{index}" for index in range(draw(st.integers(0, 12)))]
    nature = {name: draw(st.sampled_from([GOOD, GOOD, GOOD, BAD, DEAD, LATER_BAD])) for name in names}
    members = {name: Member(name, draw(st.integers(0, len(waves) - 1))) for name in names}
    return World(waves, members, nature, draw(st.integers(1, 5)))


@given(world=worlds(), data=st.data())
@settings(max_examples=300, deadline=None)
def test_no_device_twice_and_none_forgotten_whatever_happens(world: World, data: st.DataObject) -> None:
    for _ in range(60):
        if world.finished or world.paused:
            break
        flying = [name for name, m in world.members.items() if m.state in (SENDING, ASKED)]
        what = data.draw(st.sampled_from(["step", "step", "answer", "answer", "lost", "kill"]))
        if what == "kill":
            world.kill()
        elif what in ("answer", "lost") and flying:
            world.answer(data.draw(st.sampled_from(flying)), lost=what == "lost")
            if what == "lost":
                world.kill()
        else:
            world.step()
    _run_out(world)
    assert all(count == 1 for count in world.installed.values())
    if world.finished is not None:
        assert all(wave.passed for wave in world.waves)
        assert all(m.state in (LIVE, FAILED, OFFLINE) for m in world.members.values()), "none is forgotten"
        assert world.finished.complete == all(m.state == LIVE for m in world.members.values())
        assert {name for name, kind in world.nature.items() if kind in (GOOD, LATER_BAD)} == world.serving
        live = [m for m in world.members.values() if m.state == LIVE and world.waves[m.wave].bake_s]
        assert all(m.kept for m in live), "a late one is asked after its bake time, too"
    else:
        assert world.paused is not None
        assert all(m.state in (WAITING, LIVE, FAILED, OFFLINE) for m in world.members.values())


@given(world=worlds())
@settings(max_examples=100, deadline=None)
def test_a_fleet_that_heals_is_finished_by_resuming(world: World) -> None:
    _run_out(world)
    for name in world.nature:
        world.nature[name] = GOOD
    for _ in range(len(world.waves) + 2):
        if world.paused is not None:
            world.resume()
            world.finished = None
            _run_out(world)
    if world.finished is not None and not world.finished.complete:
        world.kill()  # the next run, which catches up with those that were out of reach
        for name, member in world.members.items():
            if member.state == FAILED:
                world.members[name] = replace(member, state=WAITING)
        world.finished = None
        _run_out(world)
    assert world.finished is not None and world.finished.complete
    assert world.serving == set(world.members)
    assert all(count == 1 for count in world.installed.values())


def _run_out(world: World) -> None:
    """On without incident until it is finished or paused; it must come to an end."""
    for _ in range(2000):
        if world.finished or world.paused:
            return
        world.step()
        for name, member in list(world.members.items()):
            if member.state in (SENDING, ASKED):
                world.answer(name)
    raise AssertionError("the rollout does not come to an end")


def test_an_error_too_many_stops_the_wave_while_the_rest_ends() -> None:
    members = [Member("a", 0, FAILED), Member("b", 0, SENDING), Member("c", 0, WAITING)]
    assert isinstance(next_step([Wave("w")], members, 4, 0), Wait)
    members[1] = replace(members[1], state=LIVE)
    step = next_step([Wave("w")], members, 4, 0)
    assert isinstance(step, Pause) and "1 failed (a); at most 0 may" in step.reason
    assert isinstance(next_step([Wave("w", errors_max=1)], members, 4, 0), Start)


def test_a_wave_that_nobody_answered_in_has_proven_nothing() -> None:
    step = next_step([Wave("w", success_percent=0)], [Member("a", 0, OFFLINE)], 4, 0)
    assert isinstance(step, Pause) and "could be reached" in step.reason


def test_an_offline_device_does_not_hold_the_others_up() -> None:
    members = [Member("a", 0, OFFLINE), Member("b", 0, LIVE), Member("c", 1, WAITING)]
    assert next_step([Wave("w"), Wave("x")], members, 4, 0) == Pass(0)


def test_devices_slower_than_predicted_pause_the_wave() -> None:
    members = [Member("a", 0, LIVE, times=1.1), Member("b", 0, LIVE, times=2.4), Member("c", 0, LIVE, times=2.2)]
    step = next_step([Wave("w", p95_times=2)], members, 4, 0)
    assert isinstance(step, Pause) and "2.20 times the predicted one" in step.reason
    assert next_step([Wave("w", p95_times=2, accepted=True)], members, 4, 0) == Pass(0)


def test_a_late_device_of_a_passed_wave_is_caught_up_at_once() -> None:
    waves = [Wave("w", passed=True), Wave("x")]
    members = [Member("late", 0), Member("b", 1, SENDING), Member("c", 1, WAITING)]
    assert next_step(waves, members, 3, 0) == Start(("late", "c"))


def test_a_late_device_bakes_for_itself_and_holds_no_wave_up() -> None:
    waves = [Wave("w", bake_s=60, settled=10, passed=True), Wave("x")]
    late, other = Member("late", 0, LIVE, since=100), Member("b", 1, SENDING)
    assert next_step(waves, [late, other], 3, 130) == Wait()
    assert next_step(waves, [late, other], 3, 160) == Ask(("late",))
    assert next_step(waves, [late, replace(other, state=LIVE)], 3, 130) == Pass(1)
    waves[1] = replace(waves[1], passed=True)
    assert next_step(waves, [late, replace(other, state=LIVE)], 3, 130) == Bake(0, 160)
    fell_back = next_step(waves, [replace(late, state=FAILED), replace(other, state=LIVE)], 3, 161)
    assert isinstance(fell_back, Pause) and fell_back.wave == 0


def test_a_wave_bakes_and_every_device_is_asked_again() -> None:
    wave, members = Wave("w", bake_s=60), [Member("a", 0, LIVE)]
    assert next_step([wave], members, 4, 100) == Settle(0)
    wave = replace(wave, settled=100)
    assert next_step([wave], members, 4, 130) == Bake(0, 160)
    assert next_step([wave], members, 4, 160) == Ask(("a",))
    assert next_step([wave], [replace(members[0], kept=True)], 4, 161) == Pass(0)


def test_a_device_that_comes_back_into_a_settled_wave_bakes_before_the_wave_passes() -> None:
    """It failed and `--resume` tried it again, or it was offline, new, emptied or sent again after a kill."""
    wave = Wave("w", bake_s=600, settled=1000, accepted=True)
    kept, back = Member("a", 0, LIVE, kept=True, since=1600), Member("b", 0, LIVE, since=5000)
    assert next_step([wave], [kept, back], 4, 5000.5) == Bake(0, 5600)
    assert next_step([wave], [kept, back], 4, 5600) == Ask(("b",))
    assert next_step([wave], [kept, replace(back, kept=True)], 4, 5601) == Pass(0)


def test_a_clock_that_was_set_back_does_not_bake_for_ten_years() -> None:
    wave = Wave("w", bake_s=60, settled=1e9)
    assert isinstance(next_step([wave], [Member("a", 0, LIVE)], 4, 100), Ask)
    assert next_step([wave], [Member("a", 0, LIVE, since=90)], 4, 100) == Bake(0, 150), "nor for no time at all"


DEVICES = [Device(f"d{n}", "local", groups=("canary",) if n < 2 else ()) for n in range(10)]


def test_waves_take_what_they_select_and_the_rest_makes_the_last() -> None:
    configs = [
        WaveConfig.model_validate({"name": "canary", "select": "group=canary"}),
        WaveConfig.model_validate({"name": "some", "percent": 30}),
        WaveConfig.model_validate({"name": "two", "size": 2, "errors": {"max": 3}}),
    ]
    found = waves_of(DEVICES, configs)
    assert [(wave.name, names) for wave, names in found] == [
        ("canary", ("d0", "d1")),
        ("some", ("d2", "d3", "d4")),
        ("two", ("d5", "d6")),
        ("rest", ("d7", "d8", "d9")),
    ]
    assert found[-1][0].errors_max == 3, "the last wave holds what the one before it held"


@given(
    st.lists(
        st.fixed_dictionaries({"select": st.sampled_from(["", "group=canary", "name=d3", "site=x"])})
        | st.fixed_dictionaries({"size": st.integers(1, 12)})
        | st.fixed_dictionaries({"percent": st.floats(0.1, 100)}),
        max_size=5,
    )
)
def test_every_device_is_in_exactly_one_wave(configs: list[dict[str, object]]) -> None:
    found = waves_of(DEVICES, [WaveConfig.model_validate({"name": f"w{i}", **c}) for i, c in enumerate(configs)])
    names = [name for _, names in found for name in names]
    assert sorted(names) == sorted(device.name for device in DEVICES)


@pytest.mark.parametrize("taken", [("rest",), ("rest", "rest-0")])
def test_the_last_wave_has_a_name_of_its_own(taken: tuple[str, ...]) -> None:
    configs = [WaveConfig.model_validate({"name": name, "size": 1}) for name in taken]
    names = [wave.name for wave, _ in waves_of(DEVICES, configs)]
    assert len(set(names)) == len(names)
