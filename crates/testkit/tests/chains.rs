//! Real chains go in and come out the same. `testkit chains` runs all of them, these tests what is quick.

use starling_testkit::chains;

#[test]
fn every_fork_from_homestead_to_bpo2() {
    chains::run_rlp("rpc-compat").unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn six_hundred_blocks_from_shanghai_to_prague() {
    chains::run_rlp("devp2p-chain/geth-ethtest").unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn three_thousand_blocks_of_cancun() {
    chains::run_rlp("devp2p-chain/hive-sync").unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn era_files() {
    chains::run_era().unwrap_or_else(|error| panic!("{error}"));
}
