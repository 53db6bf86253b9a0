//! Blob gas: [EIP-4844](https://eips.ethereum.org/EIPS/eip-4844), the schedules of EIP-7691 and EIP-7892,
//! the reserve price of [EIP-7918](https://eips.ethereum.org/EIPS/eip-7918).

use crate::{HeaderError, TransactionRule};
use alloy_eips::eip4844::fake_exponential;
use alloy_primitives::B256;
use starling_chainspec::{BlobSchedule, ChainSpec, Fork};
use starling_primitives::Header;

/// Blob gas of one blob.
const GAS_PER_BLOB: u64 = 131_072;
/// Execution gas that a blob is reckoned to cost its carrier (EIP-7918).
const BLOB_BASE_COST: u128 = 8_192;
/// First byte of the hash of a KZG commitment.
const VERSION_KZG: u8 = 1;
/// Most blobs in one transaction since Osaka (EIP-7594).
const TRANSACTION_BLOBS_MAX: usize = 6;

/// The header's excess blob gas against the parent's, and its blob gas against the block's limit.
pub(crate) fn check_excess(spec: &ChainSpec, fork: Fork, header: &Header, parent: &Header) -> Result<(), HeaderError> {
    let (Some(got), Some(used)) = (header.excess_blob_gas, header.blob_gas_used) else { return Ok(()) };
    let Some(schedule) = spec.blob_schedule_of(fork) else { return Ok(()) };
    let expected = next_excess_blob_gas(fork, schedule, parent);
    if got != expected {
        return Err(HeaderError::ExcessBlobGas { got, expected });
    }
    let limit = schedule.max.saturating_mul(GAS_PER_BLOB);
    if used > limit {
        return Err(HeaderError::BlobGasAboveLimit { used, limit });
    }
    Ok(())
}

/// The excess blob gas of a block after `parent`, by the rules and the schedule of the block's own fork.
pub fn next_excess_blob_gas(fork: Fork, schedule: BlobSchedule, parent: &Header) -> u64 {
    // a parent from before Cancun counts as one without blobs
    let excess = parent.excess_blob_gas.unwrap_or_default();
    let used = parent.blob_gas_used.unwrap_or_default();
    let target = schedule.target.saturating_mul(GAS_PER_BLOB);
    let Some(above_target) = excess.saturating_add(used).checked_sub(target) else { return 0 };
    if fork >= Fork::Osaka && is_below_reserve(schedule, excess, parent.base_fee_per_gas.unwrap_or_default()) {
        let room = schedule.max.saturating_sub(schedule.target);
        let part = (u128::from(used) * u128::from(room)).checked_div(u128::from(schedule.max)).unwrap_or(0);
        return excess.saturating_add(u64::try_from(part).unwrap_or(u64::MAX));
    }
    above_target
}

/// Whether blobs are so cheap that their carriers' execution gas is the greater cost (EIP-7918).
fn is_below_reserve(schedule: BlobSchedule, excess: u64, base_fee_per_gas: u64) -> bool {
    let per_blob_gas = fake_exponential(1, excess.into(), schedule.base_fee_update_fraction.into());
    BLOB_BASE_COST * u128::from(base_fee_per_gas) > per_blob_gas.saturating_mul(GAS_PER_BLOB.into())
}

/// Blob gas of so many blobs.
pub(crate) fn gas_of(blobs: usize) -> u64 {
    u64::try_from(blobs).unwrap_or(u64::MAX).saturating_mul(GAS_PER_BLOB)
}

/// The rules of one blob transaction's hashes.
pub(crate) fn check_hashes(fork: Fork, hashes: &[B256]) -> Result<(), TransactionRule> {
    if hashes.is_empty() {
        return Err(TransactionRule::NoBlobs);
    }
    if fork >= Fork::Osaka && hashes.len() > TRANSACTION_BLOBS_MAX {
        return Err(TransactionRule::TooManyBlobs { count: hashes.len(), limit: TRANSACTION_BLOBS_MAX });
    }
    match hashes.iter().map(|hash| hash[0]).find(|version| *version != VERSION_KZG) {
        Some(version) => Err(TransactionRule::BlobVersion { version }),
        None => Ok(()),
    }
}
