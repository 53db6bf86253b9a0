//! Blocks out of transactions: executed on the naive state, right in every field.

use super::{
    dice::Dice,
    naive::NaiveState,
    transactions::transactions,
    world::{GAS_LIMIT, World},
};
use alloy_consensus::proofs::{calculate_ommers_root, calculate_transaction_root, calculate_withdrawals_root};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::Address;
use starling_chainspec::Fork;
use starling_execution::{BlockError, Computed, execute_unchecked};
use starling_primitives::{Block, BlockBody, EMPTY_OMMER_ROOT_HASH, Header, StateDiff, Transaction};
use starling_validation::{DifficultyInput, PreparedBlock, difficulty, next_base_fee, next_excess_blob_gas};

/// A block with the state after it.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) block: PreparedBlock,
    pub(super) state: NaiveState,
    pub(super) computed: Computed,
    /// All transactions that were offered for it.
    pub(super) offered: Vec<Transaction>,
    /// Which of those were refused.
    pub(super) refused: Vec<usize>,
}

/// What a block is made on: its parent, and for ommers the parent's parent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) parent: &'a Header,
    pub(super) grandparent: Option<&'a Header>,
    pub(super) state: &'a NaiveState,
}

/// Makes a random block.
pub(super) fn make(dice: &mut Dice, world: &World, ground: Ground<'_>) -> Result<Made, String> {
    let mut header = child(dice, world, ground.parent);
    let ommers = ommers(dice, world, ground);
    header.ommers_hash = if ommers.is_empty() { EMPTY_OMMER_ROOT_HASH } else { calculate_ommers_root(&ommers) };
    let withdrawals = (world.fork >= Fork::Shanghai).then(|| withdrawals(dice, world).into());
    let offered = transactions(dice, world, ground.state, header.base_fee_per_gas.unwrap_or_default());
    let body = BlockBody { transactions: offered.clone(), ommers, withdrawals };
    let (body, computed, refused) = execute(world, &header, body, ground.state)?;
    finish(world, ground.state, Parts { header, body, computed }, offered, refused)
}

struct Parts {
    header: Header,
    body: BlockBody,
    computed: Computed,
}

fn finish(
    world: &World,
    before: &NaiveState,
    parts: Parts,
    offered: Vec<Transaction>,
    refused: Vec<usize>,
) -> Result<Made, String> {
    let Parts { mut header, body, computed } = parts;
    let mut state = before.clone();
    state.apply(&computed.diff)?;
    header.state_root = state.root();
    header.transactions_root = calculate_transaction_root(&body.transactions);
    header.receipts_root = computed.receipts_root;
    header.logs_bloom = computed.logs_bloom;
    header.gas_used = computed.gas_used;
    header.blob_gas_used = computed.blob_gas_used;
    header.requests_hash = computed.requests_hash;
    header.block_access_list_hash = computed.access_list_hash;
    header.withdrawals_root = body.withdrawals.as_ref().map(|list| calculate_withdrawals_root(list));
    let number = header.number;
    let block = PreparedBlock::from_block(&world.spec, &Block { header, body })
        .map_err(|error| format!("a block that was just made does not read: {error}"))?;
    state.block_hashes.insert(number, block.hash);
    Ok(Made { block, state, computed, offered, refused })
}

/// Runs the block without the transactions that are refused, and says which.
fn execute(
    world: &World,
    header: &Header,
    mut body: BlockBody,
    state: &NaiveState,
) -> Result<(BlockBody, Computed, Vec<usize>), String> {
    let low_s = world.fork >= Fork::Homestead;
    let senders = starling_primitives::recover_senders(&body.transactions, low_s)
        .map_err(|error| format!("a transaction that was just signed has no sender: {error}"))?;
    let offered = body.transactions.len();
    let mut left: Vec<usize> = (0..offered).collect();
    let mut root = |diff: &mut StateDiff| {
        let mut after = state.clone();
        after.apply(diff).map_err(starling_primitives::ReadError::Damaged)?;
        Ok(after.root())
    };
    loop {
        let senders: Vec<Address> = left.iter().map(|index| senders[*index]).collect();
        match execute_unchecked(&world.spec, header, &body, &senders, state, &mut root) {
            Ok(computed) => {
                let refused = (0..offered).filter(|index| !left.contains(index)).collect();
                return Ok((body, computed, refused));
            }
            Err(BlockError::Transaction { index, .. }) => {
                body.transactions.remove(index);
                left.remove(index);
            }
            Err(error) => return Err(format!("a block cannot be executed: {error}")),
        }
    }
}

/// A child of a header, as far as it is known before its body.
fn child(dice: &mut Dice, world: &World, parent: &Header) -> Header {
    let fork = world.fork;
    let mut header = Header {
        parent_hash: parent.hash_slow(),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: beneficiary(dice, world),
        number: parent.number + 1,
        gas_limit: GAS_LIMIT,
        timestamp: parent.timestamp + dice.between(1, 30),
        base_fee_per_gas: (fork >= Fork::London).then(|| next_base_fee(parent)),
        ..Header::default()
    };
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
        return header;
    }
    header.mix_hash = dice.hash();
    if let Some(schedule) = world.spec.blob_schedule_of(fork) {
        header.excess_blob_gas = Some(next_excess_blob_gas(fork, schedule, parent));
        header.parent_beacon_block_root = Some(dice.hash());
    }
    header.slot_number = (fork >= Fork::Amsterdam).then_some(header.number);
    header
}

/// Who gets the fees: anyone, also one who is not there yet, and a precompile.
fn beneficiary(dice: &mut Dice, world: &World) -> Address {
    match dice.below(4) {
        0 => Address::with_last_byte(dice.below(20) as u8),
        1 => Address::from_word(dice.hash()),
        _ => *dice.pick(&world.addresses),
    }
}

/// At most one: a sibling of the parent.
fn ommers(dice: &mut Dice, world: &World, ground: Ground<'_>) -> Vec<Header> {
    let Some(grandparent) = ground.grandparent.filter(|_| world.fork < Fork::Paris && dice.chance(30)) else {
        return Vec::new();
    };
    vec![child(dice, world, grandparent)]
}

fn withdrawals(dice: &mut Dice, world: &World) -> Vec<Withdrawal> {
    let count = dice.below(5);
    (0..count)
        .map(|index| Withdrawal {
            index,
            validator_index: dice.below(1000),
            address: beneficiary(dice, world),
            amount: dice.below(4) * dice.below(1_000_000),
        })
        .collect()
}
