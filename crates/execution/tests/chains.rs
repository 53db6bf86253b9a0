//! Real chains, every block executed and every header field compared; state roots from scratch.

mod common;

use alloy_rlp::Decodable;
use common::HashedState;
use starling_chainspec::ChainSpec;
use starling_execution::execute_unchecked;
use starling_primitives::{Block, StateDiff};
use starling_testkit::fixtures;
use starling_validation::PreparedBlock;

/// Executes a chain of a folder; the state root is computed every `interval` blocks and at the head.
fn check(folder: &str, interval: u64, blocks: usize) {
    let (Some(genesis), Some(chain)) =
        (fixtures::read(&format!("{folder}/genesis.json")), fixtures::read_bytes(&format!("{folder}/chain.rlp")))
    else {
        return;
    };
    let spec = ChainSpec::from_genesis_json("test", &genesis).unwrap();
    let mut state = HashedState::new(&spec.genesis_state);
    assert_eq!(state.root(), spec.genesis_header.state_root, "genesis");
    state.block_hashes.insert(0, spec.genesis_hash());

    let mut rest = chain.as_slice();
    let mut count = 0;
    while !rest.is_empty() {
        let block = Block::decode(&mut rest).unwrap();
        if block.header.number == 0 {
            continue;
        }
        count += 1;
        let prepared = PreparedBlock::from_block(&spec, &block).unwrap();
        let header = &prepared.block.header;
        let mut root = |diff: &mut StateDiff| Ok(state.root_after(diff));
        let computed = execute_unchecked(&spec, header, &prepared.block.body, &prepared.senders, &state, &mut root)
            .unwrap_or_else(|error| panic!("{folder}: block {}: {error}", header.number));
        computed.agrees_with(header).unwrap_or_else(|error| panic!("{folder}: block {}: {error}", header.number));
        state.apply(&computed.diff);
        state.block_hashes.insert(header.number, prepared.hash);
        if header.number.is_multiple_of(interval) || rest.is_empty() {
            assert_eq!(state.root(), header.state_root, "{folder}: state root of block {}", header.number);
        }
    }
    assert_eq!(count, blocks, "{folder}: blocks");
}

#[test]
fn every_fork_block_by_block() {
    check("rpc-compat", 1, 54);
}

#[test]
fn chain_of_the_wire_tests() {
    check("devp2p-chain/geth-ethtest", 50, 600);
}

#[test]
fn chain_of_the_sync_tests() {
    check("devp2p-chain/hive-sync", 500, 3000);
}
