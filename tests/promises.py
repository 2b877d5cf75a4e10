"""What nokosu promises its users, and the tests that hold it to that.

Each promise names its tests; a test that belongs to one may say so with `@promise("id")`. `tests/test_promises.py` fails
for a promise without a test, for a test that is named and does not exist, and for a mark that no promise knows of.
"""

from __future__ import annotations

from typing import Final

import pytest
from msgspec import Struct


class Promise(Struct, frozen=True):
    """A sentence of the README or the design, and its tests, as `file::test` below this folder."""

    words: str
    tests: tuple[str, ...]


PROMISES: Final[dict[str, Promise]] = {
    "saved-is-saved": Promise(
        "When a save returns, the memory survives a crash, a kill and a power cut of this machine.",
        (
            "faults/test_power_cut.py::test_no_acknowledged_memory_is_lost_to_a_power_cut",
            "faults/test_power_cut.py::test_this_harness_sees_what_a_commit_that_does_not_wait_for_the_disk_loses",
            "faults/test_kill.py::test_no_acknowledged_memory_is_lost_when_its_process_is_killed",
            "faults/test_many_processes.py::test_processes_that_save_at_once_lose_nothing",
        ),
    ),
    "same-memories": Promise(
        "Devices that hold the same records show the same memories, in whatever order the records came.",
        (
            "store/test_log.py::test_stores_that_hold_the_same_logs_agree_in_vector_and_memories",
            "test_fold.py::test_any_order_repetition_and_partition_over_hosts_gives_the_same_state_byte_for_byte",
        ),
    ),
    "machines-agree": Promise(
        "Paired machines come to hold the same memories, whatever happens between them; nothing acknowledged is lost.",
        (
            "mesh/test_two_machines.py::test_two_devices_are_paired_by_one_line_and_share_everything_from_then_on",
            "system/test_mesh.py::test_a_link_that_is_down_for_half_a_minute_loses_nothing",
            "system/test_mesh.py::test_a_link_that_works_one_way_only_loses_nothing",
            "system/test_mesh.py::test_a_node_that_is_frozen_for_half_a_minute_loses_nothing",
            "system/test_mesh.py::test_a_node_that_is_killed_again_and_again_under_load_loses_nothing",
            "system/test_mesh.py::test_a_device_that_was_away_for_months_catches_up_with_forty_logs",
            "system/test_mesh.py::test_an_empty_device_joins_fifty_thousand_memories",
            "system/test_mesh.py::test_two_devices_that_both_moved_find_each_other_through_the_third",
            "system/test_mesh.py::test_two_devices_that_both_moved_meet_again_when_told_where",
            "system/test_mesh.py::test_two_personal_spaces_become_one_with_each_memory_as_it_was",
        ),
    ),
    "hubs-lose-nothing": Promise(
        "Devices that are never awake together share everything through a hub, which need not be able to read any of it.",
        (
            "system/test_engine_mesh.py::test_two_laptops_that_are_never_awake_together_share_all_through_a_blind_hub_that_sees_nothing",
            "system/test_engine_mesh.py::test_a_hub_whose_disk_was_wiped_or_put_back_is_filled_again",
            "system/test_engine_mesh.py::test_two_hubs_that_are_restarted_in_turn_under_load_lose_nothing",
            "system/test_engine_mesh.py::test_a_router_that_is_killed_again_and_again_under_load_loses_nothing",
            "system/test_engine_mesh.py::test_a_partition_with_saves_and_forgets_on_both_sides_loses_nothing",
            "system/test_engine_mesh.py::test_a_stale_laptop_and_a_stale_hub_come_back_after_many_forgets_and_bring_nothing_back",
            "system/test_engine_mesh.py::test_a_spoke_that_changes_its_engine_and_back_loses_nothing_and_is_not_paired_again",
            "system/test_engine_mesh.py::test_rogue_clients_get_nothing_out_of_a_hub_and_do_it_no_harm",
        ),
    ),
    "never-waits-for-a-network": Promise(
        "Saving and searching use no network, whatever becomes of the other machines.",
        (
            "mesh/test_saving_needs_no_network.py::test_saving_searching_and_forgetting_use_no_network_and_load_no_mesh",
            "mesh/test_saving_needs_no_network.py::test_an_agents_server_uses_no_network_and_loads_no_mesh",
        ),
    ),
    "strangers-stay-out": Promise(
        "Only a device that was paired gets in; a revoked one is out, and a space shares nothing but itself.",
        (
            "mesh/test_rogue.py::test_only_a_certificate_of_the_spaces_secret_that_is_valid_today_is_let_in",
            "mesh/test_rogue.py::test_one_wrong_guess_ends_an_invitation_and_a_used_one_lets_nobody_in",
            "mesh/test_rogue.py::test_a_thousand_connections_on_which_nothing_is_said_stop_neither_the_node_nor_an_invitation",
            "mesh/test_two_machines.py::test_a_third_device_is_invited_by_the_second_and_a_revoked_one_counts_no_more",
            "mesh/test_two_machines.py::test_a_space_is_shared_with_another_person_and_nothing_else_is",
            "system/test_mesh.py::test_a_revoked_device_is_out_when_the_news_comes_before_its_late_records",
            "system/test_mesh.py::test_a_revoked_device_is_out_when_its_late_records_come_before_the_news",
        ),
    ),
    "wrong-clocks": Promise(
        "A wrong clock never loses a memory and never turns cause and effect around.",
        (
            "store/test_log.py::test_a_record_from_the_far_future_moves_our_clock_by_the_drift_bound_at_most",
            "store/test_log.py::test_what_we_write_after_reading_is_later_than_what_we_read",
            "test_clock.py::test_what_arrives_moves_our_clock_no_further_than_the_drift_bound",
            "test_fold.py::test_an_edit_follows_what_it_saw_whatever_the_clocks_say",
            "system/test_mesh.py::test_a_clock_that_runs_ahead_and_then_a_day_behind_loses_nothing",
            "system/test_engine_mesh.py::test_a_spoke_whose_clock_runs_ahead_and_then_a_day_behind_loses_nothing",
        ),
    ),
    "conflicts-kept": Promise(
        "Versions written at the same time on two devices are both kept; the next edit settles them.",
        (
            "test_fold.py::test_concurrent_versions_are_all_kept_and_the_latest_is_shown",
            "test_nokosu.py::test_a_conflict_shows_all_versions_and_the_next_edit_settles_it",
        ),
    ),
    "branches-kept": Promise(
        "A restored backup or a cloned disk loses nothing and mixes nothing up.",
        (
            "doctor/test_doctor.py::test_a_log_that_was_continued_twice_is_told",
            "store/test_log.py::test_a_log_that_was_continued_twice_keeps_both_ends",
            "store/test_log.py::test_the_owner_of_a_branched_log_begins_a_fresh_one_at_its_next_save",
            "system/test_mesh.py::test_a_database_that_is_restored_from_yesterday_and_goes_on_loses_nothing",
            "system/test_mesh.py::test_a_cloned_device_and_its_original_both_go_on_and_nothing_is_lost",
        ),
    ),
    "newer-kept": Promise(
        "An older version of nokosu keeps and carries on what a newer one wrote.",
        (
            "store/test_log.py::test_kinds_and_bodies_of_a_later_version_are_kept_and_counted",
            "test_nokosu.py::test_an_edit_carries_on_the_fields_of_a_later_version",
            "test_records.py::test_a_vector_is_read_as_it_was_meant",
            "test_records.py::test_fields_of_a_later_version_are_carried_on_byte_for_byte",
            "system/test_mesh.py::test_what_a_device_of_the_next_version_wrote_is_carried_on_untouched",
        ),
    ),
    "forged-refused": Promise(
        "Nothing enters the log that an admitted device has not signed.",
        (
            "store/test_log.py::test_a_record_of_an_unknown_device_or_space_is_refused",
            "store/test_log.py::test_a_record_that_its_device_did_not_sign_is_refused",
            "store/test_log.py::test_a_record_in_the_log_of_another_device_or_space_is_refused",
            "store/test_log.py::test_a_device_that_names_anothers_log_first_does_not_keep_its_owner_out",
            "mesh/test_rogue.py::test_an_admitted_device_that_sends_anything_at_all_harms_nobody",
            "mesh/test_rogue.py::test_who_is_let_in_without_the_spaces_key_can_send_nothing_that_counts",
        ),
    ),
    "forgotten-stays": Promise(
        "What is forgotten stays forgotten, and can be restored for 30 days.",
        (
            "test_fold.py::test_a_forget_wins_over_a_concurrent_edit",
            "test_fold.py::test_a_purge_is_final",
            "test_nokosu.py::test_a_forgotten_memory_is_hidden_and_can_be_restored",
            "test_nokosu.py::test_thirty_days_after_forgetting_the_next_save_purges",
            "system/test_mesh.py::test_a_link_that_is_down_for_half_a_minute_loses_nothing",
        ),
    ),
    "purge-leaves-nothing": Promise(
        "A purged text is gone from the disk: from the log, the index, free pages and the WAL.",
        (
            "store/test_log.py::test_a_purge_that_arrives_before_its_save_scrubs_it_when_it_comes",
            "store/test_log.py::test_a_body_that_comes_back_after_its_purge_is_scrubbed_again",
            "test_nokosu.py::test_a_purge_leaves_no_byte_of_the_text_on_the_disk",
        ),
    ),
    "only-authors-purge": Promise(
        "In a space shared with others, nobody's words are erased at once by anybody else's purge.",
        (
            "test_fold.py::test_nobody_erases_at_once_what_another_device_wrote",
            "test_nokosu.py::test_a_purge_by_another_device_of_a_shared_space_only_hides",
            "test_nokosu.py::test_what_a_purge_with_invented_times_takes_is_kept_for_thirty_days_and_comes_back_when_its_device_is_revoked",
        ),
    ),
    "search-is-the-log": Promise(
        "A search finds what the log says, and a rebuilt index answers the same.",
        (
            "store/test_index.py::test_the_index_follows_any_stream_of_records_and_a_rebuild_makes_the_same",
            "test_filing.py::test_a_rebuild_knows_the_same_projects",
            "test_nokosu.py::test_what_is_saved_is_found_and_shown_with_every_field",
            "test_nokosu.py::test_the_index_says_what_the_log_says_after_a_thousand_random_operations",
        ),
    ),
    "damage-is-named": Promise(
        "Damaged bytes are named and never served.",
        (
            "faults/test_damage.py::test_damage_is_never_served_and_verify_names_it",
            "store/test_log.py::test_a_good_copy_mends_a_damaged_record",
            "store/test_verify.py::test_damage_in_the_log_is_named",
            "store/test_verify.py::test_an_index_that_is_not_as_the_log_says_is_named_and_mended_by_a_rebuild",
            "store/test_verify.py::test_words_that_are_not_the_logs_are_noticed_and_mended_by_a_rebuild",
            "test_nokosu.py::test_a_damaged_memory_is_named_and_never_shown",
            "transfer/test_exporting.py::test_a_damaged_memory_is_left_out_of_the_export_and_named",
        ),
    ),
    "saving-again-is-safe": Promise(
        "Saving the same text again in the same project changes nothing and says so.",
        ("test_nokosu.py::test_the_same_text_in_the_same_project_is_saved_once",),
    ),
    "secrets-are-masked": Promise(
        "Well-known keys and tokens are masked before they are saved, and you are told.",
        (
            "security/test_redaction.py::test_a_secret_is_masked_in_every_context_and_all_around_it_stays",
            "test_nokosu.py::test_a_secret_is_masked_wherever_it_stands_and_the_answer_says_so",
            "test_nokosu.py::test_an_edit_masks_secrets_too",
            "test_nokosu.py::test_saving_a_secret_again_tells_again_what_was_masked",
        ),
    ),
    "projects-follow": Promise(
        "A project is recognised across clones, worktrees, subfolders and renames.",
        (
            "test_filing.py::test_subfolders_clones_renames_and_worktrees_are_one_project",
            "test_filing.py::test_a_clone_is_known_by_the_first_commit_once_that_was_found",
            "test_filing.py::test_the_environment_may_name_the_project",
        ),
    ),
    "project-first": Promise(
        "A search shows the project you work in first, and at most 3 of 10 places go elsewhere, labelled.",
        ("search/test_engine.py::test_the_current_project_comes_first_and_three_of_ten_places_go_elsewhere",),
    ),
    "kept-apart": Promise(
        "A project that is to be kept apart is, in both directions.",
        (
            "search/test_engine.py::test_a_search_that_may_not_look_elsewhere_stays_inside",
            "search/test_engine.py::test_a_project_kept_apart_neither_shows_others_nor_is_shown_to_them",
            "search/test_engine.py::test_what_supersedes_a_memory_from_elsewhere_stays_elsewhere",
        ),
    ),
    "any-query-is-text": Promise(
        "Whatever you type is searched for as text; no query is an error of syntax.",
        (
            "search/test_engine.py::test_five_thousand_queries_of_fts_metacharacters_raise_nothing",
            "search/test_engine.py::test_a_query_of_the_corpus_is_literal_text",
        ),
    ),
    "relevance-first": Promise(
        "Relevance comes before importance and recency.",
        ("search/test_engine.py::test_twenty_chatty_important_notes_do_not_bury_the_exact_one",),
    ),
    "few-rather-than-noise": Promise(
        "A question that nothing answers brings a few hits, marked as weak, rather than ten; each hit says by which words it came.",
        (
            "search/test_engine.py::test_a_question_without_an_answer_brings_few_hits_and_says_so",
            "search/test_engine.py::test_each_hit_says_by_which_words_it_came",
            "search/test_engine.py::test_weak_hits_from_elsewhere_are_left_out_beside_an_answer",
        ),
    ),
    "a-question-may-name-a-time": Promise(
        "A question may name a time, in English or Japanese, and is answered from the memories of that time as they stood then.",
        (
            "search/test_engine.py::test_a_question_about_a_month_finds_what_was_written_then",
            "search/test_engine.py::test_what_was_superseded_later_stood_at_the_time",
            "search/test_period.py::test_a_time_said_outright_narrows_and_is_no_word",
        ),
    ),
    "newer-above-older": Promise(
        "A memory that was superseded never stands above the one that superseded it, whatever the words say.",
        (
            "search/test_engine.py::test_a_superseded_memory_that_is_shown_has_its_successor_above_it_whatever_the_words",
            "search/test_ranking.py::test_a_newer_memory_stands_above_what_it_superseded",
        ),
    ),
    "brief-keeps-its-budget": Promise(
        "A brief is never longer than its budget of tokens, and says what it left out.",
        (
            "test_brief.py::test_a_brief_keeps_its_budget_and_counts_what_it_leaves_out",
            "test_gathering.py::test_what_the_caller_puts_around_a_brief_is_part_of_its_budget",
            "mcp_server/test_tools.py::test_the_fence_around_a_brief_is_part_of_its_budget",
        ),
    ),
    "brief-is-repeatable": Promise(
        "The same store gives the same brief, however often it is asked for.",
        ("test_gathering.py::test_the_same_store_gives_the_same_text_however_often_it_is_asked",),
    ),
    "reads-write-nothing": Promise(
        "Searching and reading write nothing.",
        (
            "faults/test_read_only.py::test_a_store_that_nobody_has_open_can_be_searched",
            "test_nokosu.py::test_a_home_that_does_not_exist_reads_as_empty_and_stays_so",
            "test_nokosu.py::test_reading_leaves_every_byte_of_the_store_as_it_is",
        ),
    ),
    "answers-tell-the-truth": Promise(
        "Every answer says how many of how many it shows, and what it withheld and why.",
        (
            "search/test_engine.py::test_the_total_counts_what_the_filters_let_through",
            "search/test_engine.py::test_the_total_leaves_out_what_is_withheld",
            "search/test_engine.py::test_the_total_of_a_search_from_a_project_counts_all_projects",
        ),
    ),
    "doctor-names-the-fault": Promise(
        "doctor is green on a healthy install, and names each fault with the next command to type.",
        (
            "doctor/test_doctor.py::test_a_healthy_install_is_green",
            "doctor/test_doctor.py::test_a_home_that_is_still_to_be_made_is_green_and_stays_unmade",
            "doctor/test_doctor.py::test_a_file_that_is_no_store_is_named",
            "doctor/test_doctor.py::test_a_damaged_page_is_named",
            "doctor/test_doctor.py::test_memories_that_no_word_leads_to_are_named",
            "doctor/test_doctor.py::test_what_others_may_read_is_named",
            "doctor/test_doctor.py::test_a_read_only_folder_is_named",
            "doctor/test_doctor.py::test_a_full_disk_is_named",
            "doctor/test_doctor.py::test_a_network_file_system_is_named",
            "doctor/test_doctor.py::test_an_old_sqlite_is_named",
            "doctor/test_mesh.py::test_a_healthy_mesh_is_green",
            "doctor/test_mesh.py::test_a_node_that_does_not_run_is_told_with_the_reason",
            "doctor/test_mesh.py::test_a_node_that_is_silent_or_old_is_named",
            "doctor/test_mesh.py::test_a_new_key_that_a_device_has_not_heard_of_is_told",
            "doctor/test_mesh.py::test_a_revoked_device_that_still_calls_is_named",
            "doctor/test_mesh.py::test_a_device_that_was_revoked_itself_is_told",
            "doctor/test_mesh.py::test_a_move_that_was_not_finished_is_told",
            "doctor/test_mesh.py::test_a_wrong_clock_is_named",
            "doctor/test_mesh.py::test_another_version_is_named",
            "doctor/test_mesh.py::test_vectors_that_differ_though_connected_are_told",
            "doctor/test_mesh.py::test_records_behind_a_gap_are_told_with_their_device",
            "doctor/test_mesh.py::test_what_a_member_sent_and_was_refused_is_named_for_a_week",
            "doctor/test_mesh.py::test_a_purge_that_a_device_has_not_carried_out_is_told",
            "doctor/test_mesh.py::test_a_device_that_answers_nowhere_is_named",
            "doctor/test_mesh.py::test_a_port_that_the_internet_may_reach_is_told",
            "doctor/test_mesh.py::test_a_port_at_which_the_node_does_not_answer_is_told",
            "doctor/test_engine.py::test_a_healthy_engine_is_green",
            "doctor/test_engine.py::test_an_engine_that_is_missing_or_does_not_fit_is_named",
            "doctor/test_engine.py::test_a_zenohd_that_does_not_run_or_serve_is_named",
            "doctor/test_engine.py::test_a_port_that_zenohd_should_not_have_is_named",
            "doctor/test_engine.py::test_a_rocksdb_that_has_complained_is_named",
            "doctor/test_engine.py::test_storages_that_do_not_replicate_with_one_another_are_named",
            "doctor/test_engine.py::test_records_that_a_storage_lacks_are_told",
        ),
    ),
    "a-blind-hub-cannot-read": Promise(
        "A blind hub is given no secret, no memory, and no name of a device, a space or a project.",
        ("mesh/test_hub_pairing.py::test_a_blind_hub_is_told_no_secret_and_no_name",),
    ),
    "delivery-is-true": Promise(
        "On how many devices a memory is, or is forgotten or erased, is said only as they have announced it themselves.",
        (
            "test_delivery.py::test_a_forget_has_taken_effect_where_its_record_is",
            "test_delivery.py::test_a_memory_is_on_the_devices_whose_vectors_cover_its_records",
            "test_delivery.py::test_a_purge_has_taken_effect_where_nothing_of_it_is_pending_any_more",
            "test_delivery.py::test_that_a_memory_is_forgotten_elsewhere_is_said_only_where_the_chain_shows_it",
            "test_delivery.py::test_what_is_saved_after_an_announcement_is_counted_until_the_next_one",
        ),
    ),
    "export-is-complete": Promise(
        "An export holds every memory that is not purged.",
        (
            "transfer/test_exporting.py::test_every_memory_is_written_oldest_first_with_the_fields_of_memory",
            "transfer/test_exporting.py::test_forgotten_memories_are_written_and_purged_ones_are_not",
        ),
    ),
    "words-without-meaning": Promise(
        "Without recall by meaning, or while it starts, or when it fails, searches go by words and say so.",
        (
            "semantic/test_client.py::test_an_embedder_that_misbehaves_leaves_the_words",
            "semantic/test_client.py::test_one_that_says_nothing_is_not_waited_for",
            "semantic/test_client.py::test_a_socket_that_a_killed_one_left_is_no_embedder",
            "system/test_semantic.py::test_a_killed_embedder_costs_a_search_its_meaning_and_nothing_else",
            "system/test_semantic.py::test_a_frozen_embedder_delays_a_search_by_150_ms_and_is_named",
        ),
    ),
    "meaning-goes-with-the-text": Promise(
        "Vectors never travel, and a purge, a forget or an edit removes them with the text.",
        (
            "store/test_embeddings.py::test_a_purge_removes_the_vector_from_the_file",
            "store/test_embeddings.py::test_a_forget_and_an_edit_take_it_out_and_a_restore_asks_for_it_again",
            "store/test_embeddings.py::test_a_process_of_the_version_before_takes_vectors_out_as_well",
        ),
    ),
}


def promise(id: str) -> pytest.MarkDecorator:
    """Mark a test that one of `PROMISES` names."""
    if id not in PROMISES:
        raise KeyError(f"no promise {id!r} in tests/promises.py")
    return pytest.mark.promise(id)
