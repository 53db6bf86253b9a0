//! The rules of a header against its parent's: those that hold for a block and for an ommer alike.

use crate::{HeaderError, blobs, difficulty::DifficultyInput};
use alloy_consensus::EMPTY_OMMER_ROOT_HASH;
use starling_chainspec::{Activation, ChainSpec, Consensus, DevRecord, Fork};
use starling_primitives::Header;

/// Least gas limit of a block.
pub const GAS_LIMIT_MIN: u64 = 5_000;
/// Most, so that it fits a signed number (EIP-1985's reason, and geth's rule).
pub const GAS_LIMIT_MAX: u64 = i64::MAX as u64;
/// A gas limit stays within this part of its parent's.
const GAS_LIMIT_STEP_DIVISOR: u64 = 1_024;
/// Base fee of the first block of EIP-1559, in wei.
const INITIAL_BASE_FEE: u64 = 1_000_000_000;
/// Gas limit over gas target (EIP-1559).
const ELASTICITY: u64 = 2;
/// The base fee moves by at most this part of itself in a block (EIP-1559).
const BASE_FEE_STEP_DIVISOR: u128 = 8;
/// Most bytes of extra data.
const EXTRA_DATA_BYTES_MAX: usize = 32;
/// What the extra data says in the first blocks of the DAO fork (EIP-779).
pub(crate) const DAO_EXTRA_DATA: &[u8] = b"dao-hard-fork";
/// How many blocks from the DAO fork on say it.
const DAO_EXTRA_DATA_BLOCKS: u64 = 10;

/// Everything about a header but its place (parent hash, merge) and what the body decides.
pub(crate) fn check_header(spec: &ChainSpec, header: &Header, parent: &Header) -> Result<(), HeaderError> {
    let fork = spec.fork_of(header);
    let record = spec.dev_record(&header.extra_data)?.unwrap_or_default();
    check_number(header, parent)?;
    check_fields(fork, header)?;
    check_gas(header, parent, record.gas_limit)?;
    check_base_fee(header, record.base_fee.unwrap_or_else(|| next_base_fee(parent)))?;
    check_timestamp(header, parent, &record)?;
    match spec.consensus {
        _ if spec.is_proof_of_stake(header) => {
            check_extra_data(spec, header)?;
            check_proof_of_stake(header)?;
        }
        Consensus::Clique { .. } => crate::clique::check_fields(spec, header, parent)?,
        _ => {
            check_extra_data(spec, header)?;
            check_difficulty(fork, header, parent)?;
        }
    }
    blobs::check_excess(spec, fork, header, parent)
}

fn check_number(header: &Header, parent: &Header) -> Result<(), HeaderError> {
    let (got, expected) = (header.number, parent.number.saturating_add(1));
    if got == expected { Ok(()) } else { Err(HeaderError::Number { got, expected }) }
}

/// Each field that forks brought must be there from its fork on, and not before.
fn check_fields(fork: Fork, header: &Header) -> Result<(), HeaderError> {
    let fields = [
        ("baseFeePerGas", header.base_fee_per_gas.is_some(), Fork::London),
        ("withdrawalsRoot", header.withdrawals_root.is_some(), Fork::Shanghai),
        ("blobGasUsed", header.blob_gas_used.is_some(), Fork::Cancun),
        ("excessBlobGas", header.excess_blob_gas.is_some(), Fork::Cancun),
        ("parentBeaconBlockRoot", header.parent_beacon_block_root.is_some(), Fork::Cancun),
        ("requestsHash", header.requests_hash.is_some(), Fork::Prague),
        ("blockAccessListHash", header.block_access_list_hash.is_some(), Fork::Amsterdam),
        ("slotNumber", header.slot_number.is_some(), Fork::Amsterdam),
    ];
    for (field, present, since) in fields {
        match (present, fork >= since) {
            (false, true) => return Err(HeaderError::FieldMissing { field, fork }),
            (true, false) => return Err(HeaderError::FieldUnexpected { field, fork }),
            _ => {}
        }
    }
    Ok(())
}

/// `given`: by the record of a development chain, whose step may be any.
fn check_gas(header: &Header, parent: &Header, given: Option<u64>) -> Result<(), HeaderError> {
    let (used, got) = (header.gas_used, header.gas_limit);
    if used > got {
        return Err(HeaderError::GasUsedAboveLimit { used, limit: got });
    }
    if !(GAS_LIMIT_MIN..=GAS_LIMIT_MAX).contains(&got) {
        return Err(HeaderError::GasLimitBounds { got, min: GAS_LIMIT_MIN, max: GAS_LIMIT_MAX });
    }
    if given == Some(got) {
        return Ok(());
    }
    // what was the target before London is half the limit after, so the limit doubles there
    let first_of_london = header.base_fee_per_gas.is_some() && parent.base_fee_per_gas.is_none();
    let parent = parent.gas_limit.saturating_mul(if first_of_london { ELASTICITY } else { 1 });
    if got.abs_diff(parent) >= parent / GAS_LIMIT_STEP_DIVISOR {
        return Err(HeaderError::GasLimitStep { got, parent });
    }
    Ok(())
}

fn check_base_fee(header: &Header, expected: u64) -> Result<(), HeaderError> {
    let Some(got) = header.base_fee_per_gas else { return Ok(()) };
    if got == expected { Ok(()) } else { Err(HeaderError::BaseFee { got, expected }) }
}

/// The base fee of the block after `parent`, in wei, by [EIP-1559](https://eips.ethereum.org/EIPS/eip-1559).
/// Of the block after one without a base fee: the initial one.
pub fn next_base_fee(parent: &Header) -> u64 {
    let Some(base_fee) = parent.base_fee_per_gas else { return INITIAL_BASE_FEE };
    let target = parent.gas_limit / ELASTICITY;
    let off_target = u128::from(parent.gas_used.abs_diff(target));
    // a target of zero occurs in no block, but may in a genesis file
    let step = (u128::from(base_fee) * off_target).checked_div(u128::from(target)).unwrap_or(0) / BASE_FEE_STEP_DIVISOR;
    let step = u64::try_from(step).unwrap_or(u64::MAX);
    match parent.gas_used.cmp(&target) {
        std::cmp::Ordering::Equal => base_fee,
        std::cmp::Ordering::Greater => base_fee.saturating_add(step.max(1)),
        std::cmp::Ordering::Less => base_fee.saturating_sub(step),
    }
}

/// Time may stand still in a block of a development chain that changes the state by its record.
fn check_timestamp(header: &Header, parent: &Header, record: &DevRecord) -> Result<(), HeaderError> {
    let (got, parent) = (header.timestamp, parent.timestamp);
    if got > parent || (got == parent && !record.changes.is_empty()) {
        Ok(())
    } else {
        Err(HeaderError::Timestamp { got, parent })
    }
}

fn check_extra_data(spec: &ChainSpec, header: &Header) -> Result<(), HeaderError> {
    let bytes = header.extra_data.len();
    let limit = match spec.dev_record(&header.extra_data)? {
        Some(_) => DevRecord::EXTRA_DATA_BYTES_MAX,
        None => EXTRA_DATA_BYTES_MAX,
    };
    if bytes > limit {
        return Err(HeaderError::ExtraDataLength { bytes, limit });
    }
    let says_dao = header.extra_data.as_ref() == DAO_EXTRA_DATA;
    let near = |block: u64| header.number.checked_sub(block).is_some_and(|after| after < DAO_EXTRA_DATA_BLOCKS);
    let error = |supported| Err(HeaderError::DaoExtraData { got: header.extra_data.clone(), supported });
    match (spec.activation(Fork::Dao), spec.dao_fork_refused_block) {
        (Some(Activation::Block(block)), _) if near(block) && !says_dao => error(true),
        (None, Some(block)) if near(block) && says_dao => error(false),
        _ => Ok(()),
    }
}

/// EIP-3675: what proof of work filled stays empty. The difficulty is zero, or this would not be asked.
fn check_proof_of_stake(header: &Header) -> Result<(), HeaderError> {
    let nonce = u64::from(header.nonce);
    if nonce != 0 {
        return Err(HeaderError::NonceAfterMerge { got: nonce });
    }
    if header.ommers_hash != EMPTY_OMMER_ROOT_HASH {
        return Err(HeaderError::OmmersAfterMerge { got: header.ommers_hash });
    }
    Ok(())
}

fn check_difficulty(fork: Fork, header: &Header, parent: &Header) -> Result<(), HeaderError> {
    let input = DifficultyInput {
        number: header.number,
        timestamp: header.timestamp,
        parent_timestamp: parent.timestamp,
        parent_difficulty: parent.difficulty,
        parent_has_ommers: parent.ommers_hash != EMPTY_OMMER_ROOT_HASH,
    };
    let (got, expected) = (header.difficulty, crate::difficulty(fork, input));
    if got == expected { Ok(()) } else { Err(HeaderError::Difficulty { got, expected }) }
}
