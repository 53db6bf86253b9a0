//! Blocks made to order: empty children of any kept block, right in every field.

use alloy_eips::eip1559::BaseFeeParams;
use alloy_primitives::{Address, B256, U256};
use starling_chain::ChainCore;
use starling_chainspec::{ChainSpec, Fork};
use starling_primitives::{Block, BlockBody, BlockRef, EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, Header, ReadError};
use starling_state::StateView;
use starling_storage::{Database, GenesisRecord, StorageConfig};
use starling_validation::{DifficultyInput, PreparedBlock, difficulty};
use std::sync::Arc;

/// A chain at its genesis under the rules of `fork` from the start.
pub(crate) fn open_at(fork: Fork, storage: StorageConfig) -> ChainCore {
    let mut spec = ChainSpec::up_to(fork);
    let genesis = &mut spec.genesis_header;
    genesis.gas_limit = 30_000_000;
    genesis.base_fee_per_gas = Some(1_000_000_000);
    genesis.difficulty = U256::from(if fork < Fork::Paris { 131_072 } else { 0 });
    genesis.withdrawals_root = (fork >= Fork::Shanghai).then_some(EMPTY_ROOT_HASH);
    let spec = Arc::new(spec);
    let block = starling_state::genesis_record(&spec).expect("its state");
    let db = Database::create(storage, GenesisRecord { block, config: Default::default() }).expect("a database");
    ChainCore::open(spec, db, Default::default()).expect("a chain")
}

/// An empty child of `parent`, paid to `beneficiary`, `seconds` later: what tells siblings apart.
pub(crate) fn child(chain: &ChainCore, parent: BlockRef, beneficiary: Address, seconds: u64) -> Arc<PreparedBlock> {
    let spec = chain.spec();
    let view = chain.database().view(parent.hash).expect("a kept parent");
    let parent_header = view.header(parent).expect("readable").expect("there");
    let mut header = Header {
        parent_hash: parent.hash,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        number: parent.number + 1,
        gas_limit: parent_header.gas_limit,
        timestamp: parent_header.timestamp + seconds,
        base_fee_per_gas: parent_header.next_block_base_fee(BaseFeeParams::ethereum()),
        ..Header::default()
    };
    let fork = spec.fork_of(&header);
    if !spec.is_proof_of_stake(&header) {
        header.difficulty = difficulty(
            fork,
            DifficultyInput {
                number: header.number,
                timestamp: header.timestamp,
                parent_timestamp: parent_header.timestamp,
                parent_difficulty: parent_header.difficulty,
                parent_has_ommers: false,
            },
        );
    }
    let withdrawals = (fork >= Fork::Shanghai).then(Default::default);
    header.withdrawals_root = withdrawals.is_some().then_some(EMPTY_ROOT_HASH);
    let body = BlockBody { withdrawals, ..BlockBody::default() };

    let state = StateView::new(view);
    let mut no_root = |_: &mut _| -> Result<B256, ReadError> { Ok(B256::ZERO) };
    let mut computed =
        starling_execution::execute_unchecked(spec, &header, &body, &[], &state, &mut no_root).expect("an empty block");
    header.state_root = starling_trie::update(&state, &mut computed.diff).expect("a whole trie").root;
    Arc::new(PreparedBlock::from_block(spec, &Block { header, body }).expect("a block"))
}

/// The difficulty of a block's chain.
pub(crate) fn total_difficulty(chain: &ChainCore, at: BlockRef) -> U256 {
    chain.database().view(at.hash).expect("kept").total_difficulty(at).expect("readable").expect("proof of work")
}
