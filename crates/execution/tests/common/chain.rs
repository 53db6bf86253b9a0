//! Executing a chain of blocks from a file.
#![allow(dead_code)]

use super::HashedState;
use alloy_rlp::Decodable;
use starling_chainspec::ChainSpec;
use starling_execution::execute_unchecked;
use starling_primitives::{Block, Header, StateDiff};
use starling_testkit::fixtures;
use starling_validation::PreparedBlock;

/// A chain as far as it was executed.
pub(crate) struct Chain {
    pub(crate) spec: ChainSpec,
    pub(crate) state: HashedState,
    pub(crate) head: Header,
}

/// Executes the chain of a fixture folder; what each block gives must agree with its header, and the state root
/// every `interval` blocks and at the head. None if the fixture is not there.
pub(crate) fn execute_chain(folder: &str, interval: u64) -> Option<Chain> {
    let genesis = fixtures::read(&format!("{folder}/genesis.json"))?;
    let blocks = fixtures::read_bytes(&format!("{folder}/chain.rlp"))?;
    let spec = ChainSpec::from_genesis_json("test", &genesis).unwrap();
    let mut chain = Chain { state: HashedState::new(&spec.genesis_state), head: spec.genesis_header.clone(), spec };
    assert_eq!(chain.state.root(), chain.head.state_root, "genesis");
    chain.state.block_hashes.insert(0, chain.spec.genesis_hash());

    let mut rest = blocks.as_slice();
    while !rest.is_empty() {
        let block = Block::decode(&mut rest).unwrap();
        if block.header.number > 0 {
            chain.execute(&block, interval, rest.is_empty());
        }
    }
    Some(chain)
}

impl Chain {
    fn execute(&mut self, block: &Block, interval: u64, last: bool) {
        let Self { spec, state, head } = self;
        let prepared = PreparedBlock::from_block(spec, block).unwrap();
        let header = &block.header;
        let fail = |error| -> ! { panic!("block {}: {error}", header.number) };
        let mut root = |diff: &mut StateDiff| Ok(state.root_after(diff));
        let senders = prepared.senders.all(&block.body.transactions).unwrap();
        let computed = execute_unchecked(spec, header, &block.body, &senders, state, &mut root)
            .unwrap_or_else(|error| fail(error));
        computed.agrees_with(header).unwrap_or_else(|error| fail(error));
        state.apply(&computed.diff);
        state.block_hashes.insert(header.number, prepared.hash);
        if last || header.number.is_multiple_of(interval) {
            assert_eq!(state.root(), header.state_root, "state root of block {}", header.number);
        }
        *head = header.clone();
    }
}
