//! Real chains, every block executed and every header field compared; state roots from scratch.

mod common;

use common::chain::execute_chain;

fn check(folder: &str, interval: u64, head: u64) {
    if let Some(chain) = execute_chain(folder, interval) {
        assert_eq!(chain.head.number, head, "{folder}: head");
    }
}

#[test]
fn every_fork_block_by_block() {
    check("rpc-compat", 1, 54);
}

#[test]
fn chain_of_the_wire_tests() {
    check("devp2p-chain/geth-ethtest", 10, 600);
}

#[test]
fn chain_of_the_sync_tests() {
    check("devp2p-chain/hive-sync", 100, 3000);
}
