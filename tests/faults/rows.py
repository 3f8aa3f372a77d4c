"""Rows of the fault list that are tested where the part lives, and those that are not tested, with the reason.

Run as a program it prints the former, for `make test-faults`.
"""

from __future__ import annotations

FLEET, DEVICE = "tests/pipeline/fleet", "tests/device"

BORROWED = {
    f"{DEVICE}/test_lease.py::test_the_installer_keeps_the_second_operator_out_from_the_first_operation_to_the_last": (
        "F15 a second operator comes between the first one's operations",
        "kept out until the first has ended, and told who that is",
    ),
    f"{DEVICE}/test_boot_counter.py::test_starts_are_counted_over_boots_that_cut_the_power": (
        "F14 a release that takes the whole board down at every start",
        "starts are counted before they are made: the device goes back to the release before",
    ),
    f"{DEVICE}/test_boot_counter.py::test_two_releases_that_fail_do_not_take_turns": (
        "F14 two releases that both fail",
        "they do not take turns; the state names both reasons",
    ),
    f"{DEVICE}/test_delta.py::test_a_delta_with_any_bit_flipped_gives_the_file_or_an_error": (
        "F8 any bit of a delta flips",
        "the file that was meant, or an error and the file is sent whole: never another file",
    ),
    "tests/pipeline/test_rollback.py::test_a_rollback_killed_at_any_step_leaves_one_whole_release_serving": (
        "F13 a rollback is killed before or after any step of its journal",
        "one whole release serves; the next operation ends what was begun",
    ),
    "tests/pipeline/test_rollback.py::test_a_rollback_that_fails_itself_changes_nothing": (
        "F13 a rollback to a release that does not start any more",
        "refused, and nothing has changed",
    ),
    f"{DEVICE}/test_boot_counter.py::test_a_revert_that_is_cut_is_finished_by_the_next_boot": (
        "F13 the device's own way back is killed",
        "the next boot finishes it",
    ),
    f"{DEVICE}/test_boot_counter.py::test_an_installation_that_was_cut_goes_back_to_what_it_would_have_replaced": (
        "F14 an installation is cut, and what it left never starts",
        "the device goes back to the release that the installation would have replaced",
    ),
    f"{DEVICE}/test_spool.py::test_the_oldest_are_dropped_when_it_is_full": (
        "F21 the spool of readings is full",
        "the oldest readings are dropped; the service goes on",
    ),
    f"{DEVICE}/test_spool.py::test_two_agents_at_once_never_share_a_number": (
        "F21 two agents write readings at once",
        "no number is given twice",
    ),
    f"{DEVICE}/test_spool.py::test_a_cut_tail_costs_that_reading_alone": (
        "F21 a reading is cut by a kill",
        "that reading alone is lost",
    ),
    f"{FLEET}/test_hub.py::test_a_hub_that_is_killed_again_and_again_forgets_no_device_and_does_none_twice": (
        "F16 the hub is killed in the middle of a wave, again and again",
        "resumed, it forgets no device and does none twice",
    ),
    f"{FLEET}/test_over_ssh.py::test_a_device_that_was_off_is_caught_up_by_the_next_run": (
        "F17 a device is off during the rollout",
        "the others are not held up; the next run catches it up",
    ),
    f"{FLEET}/test_ledger.py::test_a_new_rollout_supersedes_one_that_was_not_finished": (
        "F17 a device comes back after its rollout was superseded",
        "the newer rollout is the one that it gets",
    ),
    f"{FLEET}/test_rollout.py::test_an_error_too_many_stops_the_wave_while_the_rest_ends": (
        "F18 a wave has an error too many",
        "no further device begins; those that have begun come to their end",
    ),
    f"{FLEET}/test_rollout.py::test_a_late_device_of_a_passed_wave_is_caught_up_at_once": (
        "F18 a device reports after its wave has passed",
        "it is caught up, and the wave is not begun again",
    ),
    f"{FLEET}/test_rollout.py::test_a_clock_that_was_set_back_does_not_bake_for_ten_years": (
        "F19 the hub's clock is set back by ten years while a wave bakes",
        "it bakes no longer than it was told to",
    ),
    "tests/pipeline/test_lessons.py::test_an_incident_without_a_better_candidate_changes_nothing": (
        "F24 an incident for which there is no better candidate",
        "nothing is deployed",
    ),
}

UNCOVERED = {
    "F7 a server that answers with 5xx, ignores Range, or changes its content between two ranges": (
        "devices are sent their files over SSH, which knows neither"
    ),
    "F22 a metric that is missing, or a power of 0.0 W": "the power of a device is not measured",
    "F23 1,000 devices of which 5 % are dead and 5 % slow": "a measurement: `make bench-fleet`",
}

if __name__ == "__main__":
    print(*BORROWED)
