//! Starlings among themselves. `testkit interop` runs these and all that need other programs.

use starling_testkit::interop::{flock, invalid, sync};

#[test]
fn four_nodes_that_know_one_bootnode_agree() {
    flock::run().unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_node_that_is_told_its_head_takes_the_chain_from_a_peer() {
    sync::run_told().unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn before_the_merge_the_heaviest_chain_is_followed() {
    sync::run_pre_merge().unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn what_a_sync_found_invalid_is_invalid_to_the_consensus_client() {
    invalid::run().unwrap_or_else(|error| panic!("{error}"));
}
