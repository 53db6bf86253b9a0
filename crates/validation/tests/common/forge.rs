//! Valid blocks to spoil: children of any header, by the rules of its chain, with no state behind them.

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, SignableTransaction};
use alloy_primitives::Signature;
use starling_chainspec::{ChainSpec, Fork};
use starling_primitives::{B256, Block, BlockBody, EMPTY_ROOT_HASH, Header, Transaction, U256, keccak256};
use starling_validation::{DifficultyInput, difficulty, next_base_fee, next_excess_blob_gas};

/// Seconds between forged blocks.
const BLOCK_SECONDS: u64 = 13;

/// A chain of one fork with a genesis that blocks can stand on.
pub(crate) fn spec(fork: Fork) -> ChainSpec {
    let mut spec = ChainSpec::up_to(fork);
    spec.genesis_header.gas_limit = 30_000_000;
    spec.genesis_header.timestamp = 1_000;
    if fork < Fork::Paris {
        spec.genesis_header.difficulty = U256::from(200_000);
    }
    let fork = spec.fork_of(&spec.genesis_header);
    set_fields(fork, &mut spec.genesis_header);
    spec
}

/// An empty block on a parent, valid but for what running it would tell.
pub(crate) fn child(spec: &ChainSpec, parent: &Header) -> Block {
    let mut header = Header {
        parent_hash: parent.hash_slow(),
        number: parent.number + 1,
        timestamp: parent.timestamp + BLOCK_SECONDS,
        gas_limit: parent.gas_limit,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        difficulty: U256::ONE,
        ..Default::default()
    };
    if spec.consensus.terminal_total_difficulty().is_some() {
        header.difficulty = U256::ZERO;
    }
    let fork = spec.fork_of(&header);
    if fork < Fork::Paris {
        header.difficulty = difficulty(
            fork,
            DifficultyInput {
                number: header.number,
                timestamp: header.timestamp,
                parent_timestamp: parent.timestamp,
                parent_difficulty: parent.difficulty,
                parent_has_ommers: parent.ommers_hash != EMPTY_OMMER_ROOT_HASH,
            },
        );
    }
    set_fields(fork, &mut header);
    header.base_fee_per_gas = header.base_fee_per_gas.map(|_| next_base_fee(parent));
    if let Some(schedule) = spec.blob_schedule_of(fork) {
        header.excess_blob_gas = Some(next_excess_blob_gas(fork, schedule, parent));
    }
    let withdrawals = (fork >= Fork::Shanghai).then(Default::default);
    Block { header, body: BlockBody { withdrawals, ..Default::default() } }
}

/// Makes the header's roots those of the body.
pub(crate) fn seal_body(block: &mut Block) {
    let body = &block.body;
    block.header.transactions_root = alloy_consensus::proofs::calculate_transaction_root(&body.transactions);
    block.header.ommers_hash = body.calculate_ommers_root();
    block.header.withdrawals_root = body.calculate_withdrawals_root();
}

/// A transaction under a signature that leads to some sender.
pub(crate) fn sign<T: SignableTransaction<Signature>>(tx: T) -> Transaction
where
    Transaction: From<alloy_consensus::Signed<T>>,
{
    tx.into_signed(Signature::new(U256::ONE, U256::ONE, false)).into()
}

/// The fields that forks brought, with the values of a first block.
fn set_fields(fork: Fork, header: &mut Header) {
    let from = |since| (fork >= since).then_some(());
    header.base_fee_per_gas = from(Fork::London).map(|()| 1_000_000_000);
    header.withdrawals_root = from(Fork::Shanghai).map(|()| EMPTY_ROOT_HASH);
    header.blob_gas_used = from(Fork::Cancun).map(|()| 0);
    header.excess_blob_gas = from(Fork::Cancun).map(|()| 0);
    header.parent_beacon_block_root = from(Fork::Cancun).map(|()| B256::ZERO);
    header.requests_hash = from(Fork::Prague).map(|()| B256::ZERO);
    header.block_access_list_hash = from(Fork::Amsterdam).map(|()| keccak256([0xc0]));
    header.slot_number = from(Fork::Amsterdam).map(|()| header.number);
}
