"""Rows of the fault list that are tested where the part lives, how far each row looks, and those that are not tested,
with the reason.

Run as a program it prints the former, for `make test-faults`.
"""

from __future__ import annotations

FLEET, DEVICE = "tests/pipeline/fleet", "tests/device"
REGISTRY, TRANSPORTS = f"{DEVICE}/test_channel_in_registry.py", f"{DEVICE}/test_channel_transports.py"
PROGRAMS = f"{DEVICE}/test_channel_programs.py"

BORROWED = {
    f"{DEVICE}/test_lease.py::test_the_installer_keeps_the_second_operator_out_from_the_first_operation_to_the_last": (
        "F15 a second operator comes between the first one's operations",
        "kept out until the first has ended, and told who that is",
    ),
    f"{DEVICE}/test_boot_counter.py::test_starts_are_counted_over_boots_that_cut_the_power": (
        "F14 a release that takes the whole board down at every start",
        "starts are counted before they are made: the device goes back to the release before",
    ),
    f"{DEVICE}/test_boot_counter.py::test_a_release_that_does_not_start_after_a_boot_is_left_for_the_one_before": (
        "F14 a release that does not start any more after a boot",
        "the device goes back to the release before by itself, and tells who asks next",
    ),
    f"{DEVICE}/test_boot_counter.py::test_a_supervisor_that_is_killed_with_its_release_counts_and_a_reboot_does_not": (
        "F14 a release that had started well ends together with its supervisor, again and again",
        "the ends are counted: the device goes back to the release before; reboots do not count",
    ),
    f"{DEVICE}/test_channel_hung.py::test_an_installer_that_hangs_is_ended_and_the_next_poll_goes_on": (
        "F3 the installer hangs at a step on a device that polls",
        "it is ended with all that it waits for, the old release serves, and the next poll installs the new one",
    ),
    "tests/transports/test_ssh_programs.py::test_ten_links_at_once_get_past_a_server_that_lets_few_knock": (
        "F20 ten links at once to a server that lets two log in at a time (MaxStartups 2:100:2)",
        "some are turned away, and all get in by trying again",
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
    f"{DEVICE}/test_way_back.py::test_a_release_cut_just_before_its_commit_that_then_fails_leaves_the_predecessor": (
        "F14 an installation is killed just before its commit, and its release never starts again",
        "the device goes back by itself, and `previous` names what it named before",
    ),
    f"{DEVICE}/test_boot_counter.py::test_a_decision_is_dropped_when_the_release_lasts_after_all": (
        "F14 the device cannot carry out its way back, and then the release lasts after all",
        "it stays: nobody goes back from it later because of that",
    ),
    f"{DEVICE}/test_boot_counter.py::test_two_processes_that_count_at_once_lose_nothing": (
        "F15 the supervisor and an installer change boots.json at once",
        "they take turns, and neither loses what the other has written",
    ),
    f"{DEVICE}/test_channel_cut.py::test_a_poll_ends_what_was_cut_even_with_nothing_to_install_and_no_server": (
        "F1 an operator's installation is killed on a device that polls, and no host ever comes",
        "the next poll ends it, with nothing to install, and with the server gone",
    ),
    f"{DEVICE}/test_own_user.py::test_wherever_root_is_killed_while_it_switches_a_link_the_service_can_switch_back": (
        "F1 root is killed before every change it makes while it switches `current` of a service with its own user",
        "the service can switch it back, and nothing is left behind",
    ),
    f"{DEVICE}/test_handover.py::test_a_stop_that_is_asked_for_during_a_handing_over_is_kept": (
        "F15 the service is stopped while its supervisor is about to become that of another version",
        "it stops",
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
    f"{DEVICE}/test_meter.py::test_board_readings_come_from_the_tree_they_are_given": (
        "F22 a sensor that is missing, says 0, or cannot be read",
        "that reading is missing, never 0; the hottest of the others counts",
    ),
    "tests/store/test_telemetry.py::test_a_reading_that_comes_twice_is_kept_once": (
        "F21 readings are collected twice",
        "each is kept once",
    ),
    f"{FLEET}/test_hub.py::test_a_hub_that_is_killed_again_and_again_forgets_no_device_and_does_none_twice": (
        "F16 the hub is killed at every write of its ledger, before the commit and after",
        "resumed, it forgets no device and does none twice",
    ),
    f"{FLEET}/test_over_ssh.py::test_a_device_that_was_off_is_caught_up_by_the_next_run": (
        "F17 a device is off during the rollout",
        "the others are not held up; the next run catches it up",
    ),
    f"{FLEET}/test_over_ssh.py::test_a_hub_that_is_killed_while_devices_install_is_resumed": (
        "F16 the hub is killed while devices receive and install over SSH",
        "resumed; each device's own journal has one commit",
    ),
    f"{FLEET}/test_over_ssh.py::test_a_device_that_was_off_for_two_releases_gets_the_newest_alone": (
        "F17 a device comes back after its rollout was superseded",
        "it gets the newest release alone, once",
    ),
    f"{FLEET}/test_over_ssh.py::test_a_dead_and_a_slow_device_hold_nobody_up": (
        "F23 devices that are dead (a black hole) or slow in a wave",
        "the others are live at once, the wave ends in bounded time, the next run catches both up; a thousand with 5 % "
        "of each: `make bench-fleet`, which judges it",
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
    f"{DEVICE}/test_channel.py::test_a_server_that_fails_drips_or_never_ends_is_given_up_on": (
        "F7 a channel's server answers with 5xx, drips, falls silent or never ends",
        "a few tries with pauses, each bounded in bytes and time; the device stays as it is until the next poll",
    ),
    f"{DEVICE}/test_channel.py::test_a_cut_download_goes_on_where_it_was": (
        "F7 a channel's download is cut; the server knows ranges, ignores them, or has changed the file in between",
        "it goes on where it was, or begins anew; the file has the right digest in the end",
    ),
    f"{DEVICE}/test_channel.py::test_a_flipped_byte_is_not_kept": (
        "F7 a channel's server gives a blob with a byte flipped",
        "it is fetched again, and never kept",
    ),
    f"{DEVICE}/test_channel.py::test_an_older_timestamp_snapshot_or_targets_is_refused": (
        "F9 a channel's server replays an older timestamp, snapshot or targets",
        "refused: versions only go up",
    ),
    f"{DEVICE}/test_channel.py::test_a_channel_that_stands_still_is_refused_once_a_time_is_known": (
        "F9 a channel's server shows yesterday's metadata for ever",
        "refused once it has expired by the newest time that is known; noted before any is",
    ),
    f"{DEVICE}/test_channel.py::test_metadata_of_two_publications_is_not_mixed": (
        "F9 a channel's server mixes metadata of two publications",
        "refused",
    ),
    f"{DEVICE}/test_channel.py::test_a_new_root_counts_with_both_signatures_alone": (
        "F9 a new root of a channel without the signatures of the old one, or without its own",
        "refused; with both it is followed",
    ),
    f"{DEVICE}/test_channel.py::test_mutated_metadata_is_refused_or_means_the_same": (
        "F8 any bytes of a channel's metadata change",
        "refused, or it means the same",
    ),
    f"{DEVICE}/test_channel_transports.py::test_a_disk_that_fills_up_during_a_fetch_leaves_the_old_release_serving": (
        "F6 a disk fills up while a channel is fetched, in its metadata, its release or a blob (folder and registry)",
        "the old release serves on, and the poll says that no space is left; with space the next one installs",
    ),
    f"{DEVICE}/test_channel_in_registry.py::test_a_blob_with_a_byte_flipped_in_the_registry_is_not_kept": (
        "F8 a bit flips in a channel's registry, in the metadata or in a blob of the release",
        "it is fetched again and never kept; the old release serves on",
    ),
    f"{DEVICE}/test_channel_in_registry.py::test_an_old_timestamp_put_back_is_refused_and_the_device_serves_on": (
        "F9 a channel's registry has its old timestamp put back",
        "refused: versions only go up; what was installed serves on",
    ),
    f"{DEVICE}/test_channel_in_registry.py::test_a_registry_that_stands_still_is_refused_once_a_time_is_known": (
        "F9 a channel's registry stands still for ever",
        "refused once its metadata has expired by the newest time that is known; what was installed serves on",
    ),
    f"{DEVICE}/test_channel_in_registry.py::test_metadata_of_two_publications_is_not_mixed_in_a_registry": (
        "F9 a channel's registry has tags of two publications mixed",
        "refused; the old release serves on, and the new one is installed when the tags are right again",
    ),
    f"{PROGRAMS}::test_killed_at_any_step_the_next_poll_goes_on": (
        "F1 killed before every change of the device programs that a channel brings",
        "the programs that poll are whole and were tried; the next poll goes on as the new ones",
    ),
    f"{PROGRAMS}::test_an_archive_with_a_bit_flipped_is_not_kept": (
        "F8 a bit flips in the archive of the device programs of a channel",
        "it is fetched again and never kept; the programs before go on",
    ),
    f"{PROGRAMS}::test_programs_that_do_not_start_are_refused_and_those_before_go_on": (
        "F12 a channel brings device programs that do not start",
        "they are refused before they are used; those before go on, and install the release",
    ),
    f"{DEVICE}/test_channel_transports.py::test_of_two_polls_at_once_the_second_says_that_it_is_busy": (
        "F15 a second poll of a channel begins while the first one fetches",
        "it says that it is busy and touches nothing; the first one installs",
    ),
    f"{DEVICE}/test_channel_in_registry.py::test_whoever_reads_while_it_is_published_sees_the_release_before": (
        "F16 a publication to a registry is cut at any tag",
        "devices see the release before, whole; publishing again mends it",
    ),
    "tests/pipeline/test_learn.py::test_the_service_does_not_flap": (
        "F24 an incident within the cool-down of the redeployment before",
        "nothing is deployed until it is over",
    ),
    "tests/pipeline/test_lessons.py::test_an_incident_without_a_better_candidate_changes_nothing": (
        "F24 an incident for which there is no better candidate",
        "nothing is deployed",
    ),
}

ASKED = {
    f"{DEVICE}/test_channel_hung.py::test_an_installer_that_hangs_is_ended_and_the_next_poll_goes_on",
    f"{DEVICE}/test_boot_counter.py::test_starts_are_counted_over_boots_that_cut_the_power",
    f"{DEVICE}/test_boot_counter.py::test_a_release_that_does_not_start_after_a_boot_is_left_for_the_one_before",
    f"{DEVICE}/test_boot_counter.py::test_a_supervisor_that_is_killed_with_its_release_counts_and_a_reboot_does_not",
    f"{DEVICE}/test_boot_counter.py::test_a_revert_that_is_cut_is_finished_by_the_next_boot",
    f"{DEVICE}/test_way_back.py::test_a_release_cut_just_before_its_commit_that_then_fails_leaves_the_predecessor",
    f"{DEVICE}/test_channel_cut.py::test_a_poll_ends_what_was_cut_even_with_nothing_to_install_and_no_server",
    "tests/pipeline/test_rollback.py::test_a_rollback_killed_at_any_step_leaves_one_whole_release_serving",
    "tests/pipeline/test_rollback.py::test_a_rollback_that_fails_itself_changes_nothing",
    f"{TRANSPORTS}::test_a_disk_that_fills_up_during_a_fetch_leaves_the_old_release_serving",
    f"{TRANSPORTS}::test_of_two_polls_at_once_the_second_says_that_it_is_busy",
    f"{PROGRAMS}::test_killed_at_any_step_the_next_poll_goes_on",
    f"{PROGRAMS}::test_an_archive_with_a_bit_flipped_is_not_kept",
    f"{PROGRAMS}::test_programs_that_do_not_start_are_refused_and_those_before_go_on",
    f"{REGISTRY}::test_a_blob_with_a_byte_flipped_in_the_registry_is_not_kept",
    f"{REGISTRY}::test_an_old_timestamp_put_back_is_refused_and_the_device_serves_on",
    f"{REGISTRY}::test_a_registry_that_stands_still_is_refused_once_a_time_is_known",
    f"{REGISTRY}::test_metadata_of_two_publications_is_not_mixed_in_a_registry",
}
"""Of BORROWED, those after which the device is asked for an answer; the others look at the part alone. A test of the
list that does otherwise than is said here fails."""

ALONE = {"tests/faults/test_power_loss.py::test_power_goes_where_files_are_copied"}
"""Tests of this folder after which the device is not asked."""

UNCOVERED = {
    "F10 a driver whose version does not fit": "one that gives no access to its chip is refused before a byte is sent; "
    "which versions fit which CANN is not in `needs.json`, so only the golden replay on the device finds out",
    "F22 a power of 0.0 W": "the power of a device is not measured",
}

if __name__ == "__main__":
    print(*BORROWED)
