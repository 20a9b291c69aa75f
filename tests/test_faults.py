"""Which test covers which fault: one row for each fault that udplab must survive, and the tests of all programs alike.

A row names the fault, what udplab does, tests that leave nothing to chance (scripted sockets, clocks and lots, or pure
rules), and tests on real sockets, programs or networks. Names are those of the functions, in the file of that name.
"""

import ast
import collections
import contextlib
import functools
import importlib
import inspect
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lessons import LESSONS
from nbval.kernel import start_new_kernel

from udplab.broadcast import __main__ as broadcast
from udplab.broadcast import discovery
from udplab.broadcast.listing import MESSAGE
from udplab.kit import terminal
from udplab.kit.server import Record, Server
from udplab.kit.sockets import answer_from, connect, udp_socket
from udplab.loopback import __main__ as loopback
from udplab.loopback import experiments as loopback_experiments
from udplab.loopback import listing as loopback_listing
from udplab.mtu import probing
from udplab.retry import __main__ as retry
from udplab.retry import listing as retry_listing
from udplab.retry.request import request

HERE = Path(__file__).parent

Row = collections.namedtuple("Row", "fault udplab scripted real")

FAULTS = {
    1: Row(
        "a request that is not ASCII",
        "answers by length, or counts it as bad; shows its repr",
        "retry.test_respond_counts_the_message_and_echoes_the_id "
        "server.test_no_answer_bad_request_and_error_are_told_apart_and_survived "
        "server.test_shown_is_printable_and_bounded broadcast.test_a_line_of_the_log_is_safe_and_says_what_was_cut "
        "retry.test_strange_bytes_are_shown_in_one_short_line retry.test_the_server_says_what_it_did "
        "faults.test_a_reason_cannot_paint_the_terminal",
        "loopback.test_bad_datagrams_are_shown_in_one_line_and_survived loads.test_a_flood_of_100_000_random_datagrams",
    ),
    2: Row(
        "an answer that is not ASCII",
        "shows its repr, or waits on for the right one",
        "retry.test_empty_and_strange_answers_are_answers retry.test_strange_bytes_are_shown_in_one_short_line "
        "mtu.test_trial_is_not_fooled "
        "broadcast.test_find_believes_answers_with_its_token_only",
        "loopback.test_an_answer_that_is_not_text_is_shown_safely",
    ),
    3: Row(
        "an empty datagram",
        "answers it",
        "server.test_answers_each_sender_and_notes_it loopback.test_respond_counts_bytes",
        "loopback.test_bad_datagrams_are_shown_in_one_line_and_survived",
    ),
    4: Row(
        "65507 bytes, and one more",
        "sends the first, names the limit for the second",
        "mtu.test_only_emsgsize_is_too_big mtu.test_one_byte_over_the_limit_is_told_so_whatever_the_mtu",
        "loopback.test_the_largest_payload_and_one_more mtu.test_listing_on_loopback",
    ),
    5: Row(
        "output that nobody reads",
        "answers all the same",
        "server.test_follow_tells_all_and_what_was_missed "
        "faults.test_a_program_says_what_it_could_not_show_and_stops_its_server",
        "loopback.test_answers_although_nobody_reads_the_output "
        "faults.test_a_reader_who_leaves_ends_the_program_quietly",
    ),
    6: Row(
        "source port 0",
        "drops and counts it",
        "server.test_port_0_and_itself_get_no_answer",
        "broadcast_lan.test_sources_that_cannot_be_answered_are_counted_and_survived "
        "flood.test_each_random_or_forged_frame_is_accounted_for",
    ),
    7: Row(
        "a source that cannot be answered",
        "counts the error and goes on",
        "server.test_a_peer_that_cannot_be_answered_is_counted server.test_the_log_adds_up_for_any_fates "
        "retry_network.test_a_late_answer_that_cannot_be_sent_keeps_no_other",
        "broadcast_lan.test_sources_that_cannot_be_answered_are_counted_and_survived "
        "broadcast_lan.test_a_server_never_answers_a_broadcast_source "
        "flood.test_each_random_or_forged_frame_is_accounted_for",
    ),
    8: Row(
        "a datagram from itself; two servers that answer each other",
        "never answers itself, nor what looks like an answer",
        "server.test_port_0_and_itself_get_no_answer retry.test_an_answer_gets_no_answer "
        "server.test_a_server_on_every_address_knows_itself_by_any_loopback_address "
        "broadcast.test_a_server_answers_only_its_own_question "
        "retry_network.test_no_two_servers_answer_each_other_for_ever",
        "retry_network.test_the_loop_and_its_end retry_network.test_a_datagram_from_itself_gets_no_answer "
        "retry_network.test_servers_of_different_lessons_do_not_loop",
    ),
    9: Row(
        "no server for the client of 2-1",
        "a deadline, and one line that says so",
        "loopback.test_the_deadline_is_absolute_under_a_flood_of_junk "
        "loopback.test_a_refused_port_on_windows_is_waited_for",
        "loopback.test_a_client_without_a_server_says_so_in_one_line",
    ),
    10: Row(
        "no server for the client of 2-2, or one that starts late",
        "keeps to its schedule, counts the refusals, finds the late server",
        "retry.test_refusals_do_not_shorten_the_schedule retry.test_server_that_starts_late_is_found "
        "retry.test_in_short_counts_in_words",
        "retry.test_dead_port_is_refused_and_a_late_server_is_found",
    ),
    11: Row(
        "a send that was refused, and so not sent",
        "sends again",
        "retry.test_refused_send_is_sent_again mtu.test_trial_sends_again_what_old_news_has_stopped",
        "retry.test_a_pending_refusal_costs_no_send",
    ),
    12: Row(
        "a silent server",
        "sends at 0, 0.1, 0.3, 0.7 and 1.5 s, gives up at 3.1 s",
        "retry.test_silent_server_keeps_the_schedule retry.test_a_round_trip_begins_before_its_send",
        "retry.test_client_uses_the_parsed_host_and_says_what_it_saw",
    ),
    13: Row(
        "a live server behind a network that loses half",
        "says that there was no reply in 5 tries, not that the server is down",
        "retry_network.test_live_server_that_loses_half_is_found_by_nearly_all",
        "retry.test_client_uses_the_parsed_host_and_says_what_it_saw "
        "loads.test_1000_requests_through_each_of_8_bad_networks",
    ),
    14: Row(
        "late and doubled answers on a socket that is used again",
        "takes none for the next question's",
        "retry.test_whatever_arrives_the_answer_is_the_right_one_and_the_end_is_on_time "
        "retry.test_only_the_right_token_counts",
        "retry_network.test_1000_questions_on_a_reused_socket_with_and_without_ids "
        "retry_network.test_bad_networks_give_no_wrong_answer "
        "loads.test_1000_requests_through_each_of_8_bad_networks",
    ),
    15: Row(
        "a forged answer from another port",
        "ignores it",
        "loopback.test_the_answer_of_the_server_counts_and_strangers_do_not",
        "loopback.test_a_stranger_with_another_port_is_not_heard retry.test_strangers_are_filtered",
    ),
    16: Row(
        "a forged answer from the right port",
        "wants the right token, which nobody can guess",
        "retry.test_only_the_right_token_counts retry.test_tokens_are_ids_and_differ "
        "broadcast.test_find_believes_answers_with_its_token_only "
        "broadcast.test_each_question_has_a_token_of_its_own",
        "retry.test_forged_source_needs_the_token",
    ),
    17: Row(
        "junk that arrives faster than the timeout",
        "ends on time",
        "retry.test_junk_moves_no_deadline loopback.test_the_deadline_is_absolute_under_a_flood_of_junk "
        "mtu.test_the_deadline_comes_under_junk broadcast.test_find_keeps_its_deadline_while_junk_arrives "
        "faults.test_every_deadline_is_on_a_clock_that_never_goes_back",
        "retry.test_junk_on_a_real_socket_moves_no_deadline",
    ),
    18: Row(
        'a server at "" that answers from another address than it was asked at',
        "the client waits for the address that it asked; the default server has one address",
        "loopback.test_the_answer_of_the_server_counts_and_strangers_do_not "
        "faults.test_only_the_server_of_lesson_2_1_decides_where_it_listens",
        "retry.test_second_address_of_the_server broadcast_lan.test_a_router_answers_from_its_near_address",
    ),
    19: Row(
        "a port that is none",
        "a line of usage, exit status 2",
        "project.test_what_is_not_a_port loopback.test_wrong_arguments_are_explained",
        "retry.test_bad_arguments mtu.test_command_line_refuses broadcast.test_expected_failures_of_the_program",
    ),
    20: Row(
        "options before the host",
        "uses the parsed host",
        "faults.test_the_host_is_the_parsed_one",
        "retry.test_client_uses_the_parsed_host_and_says_what_it_saw mtu.test_command_line_sends "
        "broadcast.test_the_program_from_end_to_end",
    ),
    21: Row(
        "an unknown host, an address that is not ours, an empty host",
        "one line, exit status 1",
        "project.test_why_a_server_cannot_listen broadcast.test_fault_27_every_failure_is_one_line "
        "faults.test_a_strange_host_is_one_printable_line faults.test_a_client_of_nobody_is_told_so",
        "retry.test_expected_failures_are_one_line mtu.test_command_line_refuses "
        "broadcast.test_expected_failures_of_the_program",
    ),
    22: Row(
        "a port in use",
        "one line that names it",
        "project.test_why_a_server_cannot_listen server.test_a_busy_port_is_an_error_and_nothing_stays_open",
        "faults.test_a_port_in_use_is_one_line loopback.test_a_port_in_use_is_one_line",
    ),
    23: Row(
        "Ctrl-C",
        "a quiet end with status 130, and nothing left open",
        "faults.test_what_an_interrupt_becomes "
        "faults.test_a_program_says_what_it_could_not_show_and_stops_its_server "
        "server.test_an_interrupt_at_any_line_of_start_leaves_nothing "
        "server.test_an_interrupt_at_any_line_of_stop_is_mended_by_the_next_stop "
        "server.test_an_interrupt_at_any_line_of_follow_leaves_a_server_that_answers_and_stops",
        "faults.test_ctrl_c_ends_every_program_quietly loads.test_1000_interrupts_of_servers_under_fire "
        "loads.test_100_interrupts_of_programs_at_random_moments",
    ),
    24: Row(
        "a platform without MTU options",
        "one line that names it; probing by size works",
        "mtu.test_unknown_platform_is_named_and_nothing_is_set mtu.test_probing_works_on_every_platform",
        "mtu.test_command_line_on_an_unknown_platform mtu.test_probe_without_a_dont_fragment_option_says_so",
    ),
    25: Row(
        "the first link's MTU on a narrower path",
        "calls it what the kernel believes, apart from what was confirmed",
        "mtu.test_listing_says_what_is_believed mtu.test_verdicts",
        "mtu_lan.test_listing_believes_its_first_link",
    ),
    26: Row(
        "a black hole: no ICMP messages",
        "finds the path MTU by probing, and says so",
        "mtu.test_probing_works_on_every_platform mtu.test_verdicts "
        "mtu.test_narrow_finds_any_limit_whatever_is_claimed_meanwhile mtu.test_trial_tries_three_times "
        "mtu.test_a_predicted_search_ends_at_the_narrowest_link",
        "mtu_lan.test_black_hole_is_found_and_named mtu_lan.test_black_hole_behind_a_router_that_speaks "
        "mtu_lan.test_probing_is_exact",
    ),
    27: Row(
        "broadcast without permission or route",
        "one line for each",
        "broadcast.test_fault_27_every_failure_is_one_line",
        "broadcast_lan.test_fault_27_no_route_is_one_line broadcast_lan.test_fault_27_no_permission_is_one_line "
        "broadcast.test_fault_27_no_permission_on_a_real_socket",
    ),
    28: Row(
        "a second receiver on the port",
        "is refused: no SO_REUSEADDR",
        "server.test_no_option_lets_a_second_server_have_the_port",
        "broadcast.test_fault_28_our_servers_refuse_a_second_one "
        "server.test_a_busy_port_is_an_error_and_nothing_stays_open",
    ),
    29: Row(
        "a burst over the receive queue",
        "sent = kept + dropped, by the kernel's own count",
        "broadcast.test_a_predicted_queue_loses_only_what_has_no_room "
        "loopback.test_kept_draws_what_was_measured_and_what_you_said "
        "loopback.test_where_the_kernel_does_not_count_a_burst_goes_on_without",
        "loopback.test_a_burst_is_accounted_for loads.test_a_flood_of_100_000_random_datagrams",
    ),
    30: Row(
        "a cell run twice; an interrupt in any cell; a restarted kernel",
        "works again, and nothing is left",
        "server.test_hold_stops_the_old_server_of_that_name "
        "server.test_an_interrupt_at_any_line_of_a_cell_is_mended_by_stop_all "
        "exercise.test_an_interrupt_at_any_line_of_a_check_leaves_no_thread "
        "exercise.test_an_interrupt_while_the_thread_of_a_check_begins_leaves_no_thread "
        "exercise.test_ctrl_c_ends_the_function_too",
        "faults.test_a_kernel_is_interrupted_and_restarted "
        "broadcast_lan.test_an_interrupt_while_sockets_are_closed_leaves_none_open "
        "lan.test_a_network_that_closes_takes_sockets_along_that_an_interrupt_kept_from_everybody "
        "lan.test_an_interrupt_just_when_a_socket_arrives_waits_until_it_has_an_owner "
        "again.test_a_notebook_run_twice_in_one_kernel_prints_the_same "
        "again.test_each_cell_interrupted_at_a_random_moment_runs_when_it_is_run_again",
    ),
    31: Row(
        "stop() in a flood, stop() twice, 1,000 times start and stop on one port",
        "stops within 0.25 s; files and threads as before",
        "server.test_start_twice_is_an_error_and_stop_twice_is_not "
        "server.test_an_interrupt_at_any_line_of_stop_is_mended_by_the_next_stop",
        "server.test_stops_quickly_under_a_flood server.test_start_and_stop_a_thousand_times_on_one_port "
        "faults.test_a_server_that_nobody_stopped_does_not_keep_its_program_alive "
        "loads.test_a_flood_of_100_000_random_datagrams",
    ),
    32: Row(
        "an error in the server's own function",
        "is logged with its traceback and counted; the server goes on",
        "server.test_no_answer_bad_request_and_error_are_told_apart_and_survived "
        "server.test_an_answer_that_is_not_bytes_is_our_error server.test_the_log_adds_up_for_any_fates",
        "server.test_a_broken_function_does_not_end_a_real_server",
    ),
    33: Row(
        "the LAN's helper killed; the kernel killed; two notebooks with a LAN each",
        "a clear error; no process or interface left; no interference",
        "lan.test_a_helper_that_has_gone_is_told",
        "lan.test_killed_helper_is_told_and_replaced lan.test_helper_ends_with_a_killed_parent_though_a_fork_lives "
        "programs.test_nobody_is_left_whoever_is_killed_first programs.test_a_killed_guard_is_replaced "
        "lan.test_a_network_that_closes_ends_the_servers_in_it lan.test_fork "
        "server.test_a_forked_child_lets_go_of_its_parents_server "
        "lan.test_two_processes_do_not_disturb_each_other loads.test_40_kernels_at_once",
    ),
    34: Row(
        "a LAN that is available and refuses a later step",
        "predictions with the reason; unavailable() tries the smallest network",
        "broadcast.test_a_network_that_is_there_and_then_refuses_leaves_the_prediction "
        "mtu.test_a_lan_that_is_refused_a_later_step_is_no_traceback",
        "kit.test_what_cannot_be_measured_has_the_reason_and_a_mistake_is_raised lan.test_forbidden_namespaces",
    ),
    35: Row(
        "a limit of the system: no descriptor, no port, no thread, a sysctl at its maximum",
        "one line that names what ran out",
        "project.test_why_a_server_cannot_listen lan.test_what_fails_later_is_said "
        "server.test_a_thread_that_cannot_be_started_is_an_error_and_nothing_stays_open",
        "lan.test_a_process_without_a_free_descriptor_is_told_so_and_the_network_stays "
        "lan.test_a_limit_that_a_network_meets_is_named",
    ),
    36: Row(
        "namespaces forbidden by AppArmor, seccomp or a sysctl",
        "the cause as far as the errno shows it, and the remedy",
        "lan.test_reasons",
        "lan.test_forbidden_namespaces lan.test_a_lesson_without_a_lan",
    ),
    37: Row(
        "an option that this system lacks",
        "goes on without, and says so",
        "mtu.test_a_system_that_refuses_the_options_goes_on_without mtu.test_belief_only_where_it_can_be_read",
        "loopback.test_where_the_kernel_does_not_count_a_burst_goes_on_without",
    ),
    38: Row(
        "any error of one send or receive in the middle of a schedule",
        "noted in the attempt, the schedule goes on, words at the end",
        "retry.test_an_error_of_one_try_is_noted_and_the_schedule_goes_on "
        "retry.test_an_error_at_every_call_ends_on_time_and_fills_no_memory "
        "mtu.test_any_other_error_is_noted_and_the_search_goes_on "
        "broadcast.test_find_notes_an_error_and_goes_on",
        "loopback.test_any_error_of_a_send_is_a_lost_round_trip "
        "flood.test_each_random_or_forged_frame_is_accounted_for",
    ),
    39: Row(
        "an errno whose cause is not known",
        "a cause is checked before it is named",
        "broadcast.test_an_address_that_a_rule_forbids_is_not_called_a_broadcast_address "
        "project.test_why_a_server_cannot_listen server.test_stop_says_when_respond_does_not_return",
        "broadcast.test_a_broadcast_address_is_named_as_the_cause_only_where_it_is_one",
    ),
    40: Row(
        "socket.setdefaulttimeout of any value",
        "the server's socket has no timeout",
        "server.test_follow_ends_when_its_patience_does",
        "server.test_a_default_timeout_of_the_process_does_not_reach_the_server",
    ),
    41: Row(
        "lo down or filtered while a server runs",
        "stops at once, without a datagram",
        "server.test_elsewhere_a_server_is_woken_by_a_datagram",
        "server.test_stop_needs_no_network_on_linux",
    ),
    42: Row(
        "respond raises what is no Exception, an error without text, or returns odd bytes",
        "counted as errors, and the server goes on",
        "server.test_odd_bytes_are_answered_and_a_clock_that_fails_is_an_error",
        "server.test_whatever_respond_raises_is_counted_and_the_server_goes_on",
    ),
    43: Row(
        "a fork, or a slow link, while an answer is on its way",
        "counts and log return within a moment",
        "server.test_counts_and_log_come_back_while_an_answer_waits_for_a_slow_link",
        "server.test_a_forked_child_lets_go_of_its_parents_server",
    ),
    44: Row(
        "a dollar sign in a datagram, a name, an error: in any plot",
        "drawn as it is",
        "kit.test_what_strangers_sent_is_drawn_as_it_is stage.test_names_with_dollars_are_drawn_as_they_are",
        "kit.test_show_displays_a_picture_with_words_and_prints_them",
    ),
    45: Row(
        "an answer of 10 MB, a hostile repr, an exception that is no Exception, in check()",
        "one sentence, under 1,000 characters",
        "exercise.test_an_error_of_any_kind_becomes_one_sentence exercise.test_any_value_gets_a_verdict",
        "exercise.test_ten_megabytes_become_one_sentence",
    ),
    46: Row(
        "60,000 forged servers in a discovery",
        "bounded, and the others are counted",
        "broadcast.test_find_remembers_so_many_servers_and_counts_the_others",
        "broadcast.test_find_believes_answers_with_its_token_only",
    ),
    47: Row(
        "a helper that is stopped",
        "30 s at the most, in one line",
        "lan.test_a_helper_that_has_gone_is_told",
        "lan.test_a_helper_that_is_stopped_costs_the_patience_once",
    ),
    48: Row(
        "all datagrams of 1,000 round trips lost",
        "gives up after some in a row, and says so",
        "loopback.test_round_trips_that_cannot_be_are_told_before_anything_is_sent",
        "loopback.test_round_trips_that_are_all_lost_end_soon_and_say_so",
    ),
    49: Row(
        "the echo of one's own question",
        "ignored",
        "retry.test_the_echo_of_a_question_is_not_its_answer",
        "loopback.test_the_echo_of_ones_own_question_is_no_answer",
    ),
    50: Row(
        "waits of inf, None, nan or below 0; sizes and counts out of range",
        "ValueError in words, before anything is sent",
        "retry.test_a_wait_that_is_none_is_refused_before_anything_is_sent "
        "loopback.test_a_timeout_that_is_none_is_told_before_anything_is_asked",
        "loopback.test_a_burst_that_cannot_be_is_told",
    ),
    51: Row(
        "Ctrl-C while a program starts",
        "quiet, as soon as any code of ours runs",
        "faults.test_an_interrupt_as_soon_as_there_may_be_one launcher.test_ctrl_c_while_it_starts",
        "loads.test_ctrl_c_from_the_first_moment_on",
    ),
    52: Row(
        'an argument "" that a shell drops',
        "HOST may be left out for a server",
        "faults.test_a_server_may_do_without_its_host",
        "faults.test_a_server_may_do_without_its_host",
    ),
    53: Row(
        "the learner's own socket.py or random.py beside the lessons",
        "the lesson names the trap; the programs run with -P",
        "project.test_the_lessons_name_the_trap_of_a_file_called_socket",
        "faults.test_a_file_called_socket_is_kept_out_by_python_P",
    ),
    54: Row(
        "-OO, a patched time, no more threads",
        "words, or as without",
        "server.test_a_thread_that_cannot_be_started_is_an_error_and_nothing_stays_open",
        "faults.test_programs_do_without_docstrings",
    ),
    55: Row(
        "a kernelspec of the user's own; no home; a read-only project; a moved folder",
        "the right kernel; one line",
        "launcher.test_ours_comes_before_what_the_user_has "
        "copies.test_a_moved_folder_keeps_what_is_known_of_its_copies copies.test_a_read_only_folder",
        "launcher.test_its_kernel_is_this_python_and_talks_by_unix_sockets "
        "launcher.test_it_starts_for_a_user_without_a_home",
    ),
    56: Row(
        "a page whose kernel has gone",
        "the panel said so beforehand",
        "playground.test_the_panel_says_what_to_do_when_nothing_moves",
        "browser.test_the_playground_follows_its_control",
    ),
    57: Row(
        "cells run in any order, after a restart from any section",
        "as in order",
        "again.test_cells_can_be_run_again_in_any_order",
        "again.test_cells_can_be_run_again_in_any_order",
    ),
    58: Row(
        "lo with another MTU, another queue size, other numbers of this machine",
        "validates",
        "project.test_what_is_sanitized_is_written_in_ascii",
        "loads.test_the_notebooks_with_another_loopback",
    ),
    59: Row(
        "a string where a tuple is wanted",
        "one line",
        "lan.test_names_are_lists lan.test_plans_that_cannot_be",
        "lan.test_plans_that_cannot_be",
    ),
    60: Row(
        "10,000 networks in a row",
        "the helper's memory levels off",
        "netlink.test_attributes_are_read_as_they_were_made",
        "lan.test_the_helpers_memory_levels_off",
    ),
    61: Row(
        "an exercise on a machine that is busy with other things",
        "a right answer is right; the time in which it was kept waiting does not count (on Linux)",
        "exercise.test_the_time_in_which_a_function_was_kept_waiting_does_not_count",
        "exercise.test_a_busy_machine_does_not_make_a_function_endless",
    ),
}


@functools.cache
def functions_in(name):
    """Return the names of the test functions in all test_`name`.py."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in HERE.rglob(f"test_{name}.py")]
    return {node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_fault_has_a_scripted_and_a_real_test_and_each_exists():
    assert list(FAULTS) == list(range(1, 62))
    for number, row in FAULTS.items():
        assert row.scripted and row.real, number
        for each in (row.scripted + " " + row.real).split():
            name, _, function = each.partition(".")
            assert function in functions_in(name), f"row {number}: there is no {each}"


# --- Row 22 and 23: all programs ---

PROGRAMS = {name: importlib.import_module(f"udplab.{name}.__main__") for name in LESSONS}
SERVERS, CLIENTS = (
    {name: (PROGRAMS[name], lesson.PROGRAMS[role]) for name, lesson in LESSONS.items() if role in lesson.PROGRAMS}
    for role in ("server", "client")
)


def program(module, arguments, port):
    """Start a listing as a program that takes every warning for an error."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-m", module.__package__, *arguments, "-p", str(port)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@contextlib.contextmanager
def silent_server():
    """A socket that hears the question of a client and never answers."""
    with udp_socket(30) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


@pytest.mark.parametrize("name", SERVERS)
def test_a_port_in_use_is_one_line(name, capsys):
    module, arguments = SERVERS[name]
    with silent_server() as sock:
        port = sock.getsockname()[1]
        with pytest.raises(SystemExit) as end:
            module.main([*arguments, "-p", str(port)])
    advice = "another program has it. Stop that one, or choose another port with -p."
    assert end.value.code == f"Port {port} is in use: {advice}"
    assert capsys.readouterr().out == ""


def test_what_an_interrupt_becomes():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as end:
        terminal.run(interrupted)
    assert end.value.code == 130


def test_an_interrupt_as_soon_as_there_may_be_one(monkeypatch):
    """Row 51."""

    def interrupted(number, handler):
        raise KeyboardInterrupt

    monkeypatch.setattr(terminal, "getsignal", lambda number: signal.SIG_DFL)
    monkeypatch.setattr(terminal, "signal", interrupted)
    with pytest.raises(SystemExit) as end:
        terminal.run(pytest.fail, "it has begun")
    assert end.value.code == 130


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send SIGINT to one process")
@pytest.mark.parametrize(
    ("role", "name"), [("server", name) for name in SERVERS] + [("client", name) for name in CLIENTS]
)
def test_ctrl_c_ends_every_program_quietly(role, name):
    with silent_server() as sock:
        if role == "server":
            process = program(*SERVERS[name], 0)
            assert process.stdout.readline().startswith("Listening at")
        else:
            process = program(*CLIENTS[name], sock.getsockname()[1])
            sock.recv(100)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "")


STRANGE_NAMES = "caf\udce9", "a\nb", "\x1b[31m", "a" * 70, "a..b", "::1", "nul\0", "two words", "\u4e2d\u6587.invalid"
WITH_HOST = [(name, words) for name, lesson in LESSONS.items() for words in lesson.PROGRAMS.get("hosts", [])]


@pytest.mark.parametrize("host", STRANGE_NAMES)
@pytest.mark.parametrize(("name", "words"), WITH_HOST)
def test_a_strange_host_is_one_printable_line(name, words, host, capsys):
    """Row 21. Some come from a shell whose bytes are no text, some could paint the terminal."""
    with pytest.raises(SystemExit) as end:
        PROGRAMS[name].main([*words, host])
    assert end.value.code.isprintable() and "nown " in end.value.code, end.value.code
    assert capsys.readouterr() == ("", "")


CLOCKS = [request, answer_from, loopback_experiments.ask, discovery.find, probing.search, probing.trial, Server]


@pytest.mark.parametrize("function", CLOCKS)
def test_every_deadline_is_on_a_clock_that_never_goes_back(function):
    """Row 17."""
    clock = inspect.signature(function).parameters["clock"].default
    assert clock in (time.perf_counter, time.monotonic)


def test_only_the_server_of_lesson_2_1_decides_where_it_listens(monkeypatch):
    """Row 18."""
    servers = []
    monkeypatch.setattr(terminal, "show", lambda server, line: servers.append(server))
    loopback.server(0)
    assert [(server.host, server.port) for server in servers] == [("127.0.0.1", 0)]


@pytest.mark.parametrize("module", [retry, broadcast])
def test_the_host_is_the_parsed_one(module, monkeypatch):
    """Row 20."""
    calls = []
    monkeypatch.setattr(module, "client", lambda *arguments: calls.append(arguments))
    module.main(["-p", "5005", "client", "127.0.0.1"])
    assert calls == [("127.0.0.1", 5005)]


def test_a_client_of_nobody_is_told_so():
    """Row 21: for Python, an empty host is this machine."""
    for client in (retry.client, connect, broadcast.client):
        with pytest.raises(OSError, match="empty"):
            client("", 5005)


class Followed:
    """A server whose log has left the reader behind, and whose reader then presses Ctrl-C."""

    def __init__(self):
        self.address, self.calls = ("127.0.0.1", 1060), []

    def start(self):
        self.calls.append("start")

    def stop(self):
        self.calls.append("stop")

    def follow(self):
        yield 0, ["one"]
        yield 7, ["nine", "ten"]
        raise KeyboardInterrupt


def test_a_program_says_what_it_could_not_show_and_stops_its_server(capsys):
    """Rows 5 and 23."""
    server = Followed()
    with pytest.raises(KeyboardInterrupt):
        terminal.show(server, str.upper)
    told = ["Listening at ('127.0.0.1', 1060)", "ONE", "(7 more datagrams came too fast to be shown)", "NINE", "TEN"]
    assert capsys.readouterr().out.splitlines() == told
    assert server.calls == ["start", "stop"]


@pytest.mark.parametrize("why", ["ValueError: \x1b[31mforged", "a\nb\x07", " "])
def test_a_reason_cannot_paint_the_terminal(why):
    """Row 1: an error may quote the datagram."""
    record = Record(1, 0.0, ("10.0.0.1", 5), b"x", 1, "bad", None, None, why)
    assert loopback_listing.in_words(record).isprintable() and retry_listing.in_words(record).isprintable()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_a_reader_who_leaves_ends_the_program_quietly():
    """As with `| head -1`."""
    process = program(loopback, ["server"], 0)
    address = ast.literal_eval(process.stdout.readline().removeprefix("Listening at "))
    process.stdout.close()
    with udp_socket() as sock:
        loopback_experiments.ask(sock, address, b"to be shown", timeout=60)
    assert (process.wait(60), process.stderr.read()) == (1, "")
    process.stderr.close()


def test_a_server_that_nobody_stopped_does_not_keep_its_program_alive():
    """Row 31."""
    code = "from udplab.loopback import listing; from udplab.kit.server import Server; Server(listing.respond).start()"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
def test_a_full_disk_is_not_blamed_on_the_network():
    with silent_server() as sock, Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "udplab.broadcast", "client", "127.0.0.1", "-p", str(sock.getsockname()[1])]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
        assert sock.recv(100) == MESSAGE
    assert done.returncode == 1 and "No space left" in done.stderr and "Cannot send" not in done.stderr


@pytest.mark.parametrize("module", PROGRAMS.values(), ids=PROGRAMS)
def test_the_usage_names_the_command(module, capsys):
    with pytest.raises(SystemExit):
        module.main(["--help"])
    assert f"usage: python -m {module.__package__} [-h]" in capsys.readouterr().out


# --- Rows 52 to 54: what a shell, a file and a Python option do ---


@pytest.mark.parametrize("name", [name for name, lesson in LESSONS.items() if lesson.PROGRAMS.get("hosts")])
def test_a_server_may_do_without_its_host(name, monkeypatch):
    """Then this machine alone is served: what a shell has dropped, nobody guesses."""
    served = []
    monkeypatch.setattr(terminal, "show", lambda server, line, *more: served.append(server.host))
    arguments = [word for word in LESSONS[name].PROGRAMS["server"] if word != "127.0.0.1"]
    with contextlib.suppress(SystemExit):
        PROGRAMS[name].main(arguments)
    assert served == ["127.0.0.1"]


def test_a_file_called_socket_is_kept_out_by_python_P(tmp_path):
    (tmp_path / "socket.py").write_text("raise SystemExit('mine')")
    command = ["-m", "udplab.loopback", "--help"]
    run = {"cwd": tmp_path, "capture_output": True, "text": True}
    assert "mine" in subprocess.run([sys.executable, *command], **run).stderr
    assert subprocess.run([sys.executable, "-P", *command], **run).returncode == 0


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_do_without_docstrings(name):
    done = subprocess.run([sys.executable, "-OO", "-m", f"udplab.{name}", "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and f"usage: python -m udplab.{name}" in done.stdout


# --- Row 30: a real kernel ---

CELL = """
from udplab.kit.server import Server, hold
from udplab.kit.sockets import udp_socket
from udplab.loopback import experiments, listing
server = hold("server", Server(listing.respond, port={port}))
print("ready")
{rest}
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the port may stay in use for a while")
def test_a_kernel_is_interrupted_and_restarted(lasting_port):
    """A cell waits for ever and is interrupted, run again, and again after a restart: on one port, which is free."""
    waits = CELL.format(port=lasting_port, rest="list(server.follow())")
    asks = CELL.format(
        port=lasting_port, rest="sock = udp_socket(); print(experiments.ask(sock, server.address, b'hi').answer)"
    )
    manager, client = start_new_kernel(120, "python3")
    try:

        def interrupt(message):
            if message["content"].get("text") == "ready\n":
                manager.interrupt_kernel()

        def run(code, hook):
            return client.execute_interactive(code, timeout=120, output_hook=hook)["content"]

        for _ in range(2):
            assert run(waits, interrupt)["ename"] == "KeyboardInterrupt"
            said = []
            assert run(asks, lambda message: said.append(message["content"].get("text", "")))["status"] == "ok"  # noqa: B023
            assert "".join(said) == "ready\nb'Your data was 2 bytes long'\n"
            run(waits, interrupt)  # a server is running when the kernel goes
            manager.restart_kernel()
            client.wait_for_ready(120)
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
    with Server(loopback_listing.respond, port=lasting_port) as server:
        assert server.address[1] == lasting_port
