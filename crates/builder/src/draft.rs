//! The header as far as it is known before the first transaction.

use crate::{Attributes, Authorship, BuildError};
use starling_chainspec::{ChainSpec, DevRecordError, Fork};
use starling_primitives::{B256, EMPTY_OMMER_ROOT_HASH, Header};
use starling_validation::{next_base_fee, next_excess_blob_gas};

/// A gas limit stays within this part of its parent's (EIP-1559 keeps the rule of the yellow paper).
const GAS_LIMIT_STEP_DIVISOR: u64 = 1_024;
/// Least gas limit of a block.
const GAS_LIMIT_MIN: u64 = 5_000;
/// Gas limit over gas target: what the limit is multiplied with in the first block of London (EIP-1559).
const ELASTICITY: u64 = 2;

/// A header with all that does not follow from running the block, and its fork.
pub(crate) fn draft(
    spec: &ChainSpec,
    parent_hash: B256,
    parent: &Header,
    attributes: &Attributes,
    authorship: Option<&Authorship>,
) -> Result<(Header, Fork), BuildError> {
    let malformed = |error: DevRecordError| BuildError::Attributes(error.to_string());
    let record = spec.dev_record(&attributes.extra_data).map_err(malformed)?.unwrap_or_default();
    let stands_still = attributes.timestamp == parent.timestamp && !record.changes.is_empty();
    if attributes.timestamp <= parent.timestamp && !stands_still {
        let (got, parent) = (attributes.timestamp, parent.timestamp);
        return Err(BuildError::Attributes(format!("invalid timestamp: {got} is not after the parent's {parent}")));
    }
    let mut header = Header {
        parent_hash,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: attributes.fee_recipient,
        difficulty: authorship.map(|authorship| authorship.difficulty).unwrap_or_default(),
        number: parent.number.saturating_add(1),
        timestamp: attributes.timestamp,
        extra_data: attributes.extra_data.clone(),
        mix_hash: attributes.prev_randao,
        nonce: authorship.map(|authorship| authorship.nonce).unwrap_or_default(),
        ..Header::default()
    };
    let fork = spec.fork_of(&header);
    header.gas_limit = record.gas_limit.unwrap_or_else(|| gas_limit(parent, fork, attributes.gas_limit_target));
    header.base_fee_per_gas = (fork >= Fork::London).then(|| record.base_fee.unwrap_or_else(|| next_base_fee(parent)));
    if fork >= Fork::Cancun {
        let schedule = spec.blob_schedule_of(fork);
        header.excess_blob_gas =
            Some(schedule.map(|schedule| next_excess_blob_gas(fork, schedule, parent)).unwrap_or_default());
        header.blob_gas_used = Some(0);
        header.parent_beacon_block_root = Some(attributes.parent_beacon_block_root.unwrap_or_default());
    }
    if fork >= Fork::Amsterdam {
        let after_parent = || parent.slot_number.map_or(0, |slot| slot.saturating_add(1));
        header.slot_number = Some(attributes.slot_number.unwrap_or_else(after_parent));
    }
    Ok((header, fork))
}

/// One step from the parent's gas limit to the target.
fn gas_limit(parent: &Header, fork: Fork, target: u64) -> u64 {
    let first_of_london = fork >= Fork::London && parent.base_fee_per_gas.is_none();
    let from = parent.gas_limit.saturating_mul(if first_of_london { ELASTICITY } else { 1 });
    let step = (from / GAS_LIMIT_STEP_DIVISOR).saturating_sub(1);
    let target = target.max(GAS_LIMIT_MIN);
    target.clamp(from.saturating_sub(step), from.saturating_add(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(parent: u64, target: u64, expect: u64) {
        let header = Header { gas_limit: parent, base_fee_per_gas: Some(7), ..Header::default() };
        assert_eq!(gas_limit(&header, Fork::Osaka, target), expect, "{parent} to {target}");
    }

    #[test]
    fn the_gas_limit_moves_by_one_step_as_geths() {
        check(200_000_000, 60_000_000, 199_804_689);
        check(30_000_000, 60_000_000, 30_029_295);
        check(60_000_000, 60_000_000, 60_000_000);
        check(59_999_000, 60_000_000, 60_000_000);
        check(5_000, 0, 5_000);
        check(5_003, 0, 5_000);
    }

    #[test]
    fn the_first_block_of_london_doubles_it() {
        let header = Header { gas_limit: 15_000_000, ..Header::default() };
        assert_eq!(gas_limit(&header, Fork::London, 30_000_000), 30_000_000);
        assert_eq!(gas_limit(&header, Fork::Berlin, 15_000_000), 15_000_000);
    }
}
