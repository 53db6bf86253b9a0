//! The genesis header: fields of the file, and what follows from the forks that begin with it.

use super::{GenesisError, config::Config, json::Fields};
use crate::Fork;
use alloy_primitives::{B64, B256, U256};
use starling_primitives::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, Header};

/// geth's gas limit for a file that says zero.
const GAS_LIMIT_DEFAULT: u64 = 4_712_388;

/// Base fee of the first block of EIP-1559, in wei.
const INITIAL_BASE_FEE: u64 = 1_000_000_000;

/// sha256 of no bytes: no requests (EIP-7685).
const EMPTY_REQUESTS_HASH: B256 = alloy_eips::eip7685::EMPTY_REQUESTS_HASH;

/// keccak of an empty RLP list: a block that touched nothing (EIP-7928).
const EMPTY_BLOCK_ACCESS_LIST_HASH: B256 = EMPTY_OMMER_ROOT_HASH;

/// Reads the header's fields. The state root stays zero until it is known.
pub(super) fn read(fields: &mut Fields<'_>, config: &Config) -> Result<Header, GenesisError> {
    let mut header = read_plain(fields)?;
    let base_fee = fields.take("baseFeePerGas")?.map(|field| field.u64()).transpose()?;
    let blob_gas_used = fields.take("blobGasUsed")?.map(|field| field.u64()).transpose()?;
    let excess_blob_gas = fields.take("excessBlobGas")?.map(|field| field.u64()).transpose()?;
    let slot_number = fields.take("slotNumber")?.map(|field| field.u64()).transpose()?;

    let has = |fork| config.forks.iter().any(|(other, at)| *other == fork && at.is_reached(0, header.timestamp));
    if has(Fork::London) {
        header.base_fee_per_gas = Some(base_fee.unwrap_or(INITIAL_BASE_FEE));
    }
    if has(Fork::Shanghai) {
        header.withdrawals_root = Some(EMPTY_ROOT_HASH);
    }
    if has(Fork::Cancun) {
        header.parent_beacon_block_root = Some(B256::ZERO);
        header.blob_gas_used = Some(blob_gas_used.unwrap_or_default());
        header.excess_blob_gas = Some(excess_blob_gas.unwrap_or_default());
    }
    if has(Fork::Prague) {
        header.requests_hash = Some(EMPTY_REQUESTS_HASH);
    }
    if has(Fork::Amsterdam) {
        header.block_access_list_hash = Some(EMPTY_BLOCK_ACCESS_LIST_HASH);
        header.slot_number = Some(slot_number.unwrap_or_default());
    }
    Ok(header)
}

fn read_plain(fields: &mut Fields<'_>) -> Result<Header, GenesisError> {
    let gas_limit = match fields.need("gasLimit")?.u64()? {
        0 => GAS_LIMIT_DEFAULT,
        limit => limit,
    };
    let difficulty: U256 = fields.need("difficulty")?.u256()?;
    if let Some(number) = fields.take("number")?
        && number.u64()? != 0
    {
        return Err(number.wrong("is not 0, the number of every genesis block"));
    }
    let mut u64_or_zero = |name| fields.take(name)?.map_or(Ok(0), |field| field.u64());
    let (nonce, timestamp, gas_used) = (u64_or_zero("nonce")?, u64_or_zero("timestamp")?, u64_or_zero("gasUsed")?);
    let mut b256_or_zero = |name| fields.take(name)?.map_or(Ok(B256::ZERO), |field| field.b256());
    let (parent_hash, mix_hash) = (b256_or_zero("parentHash")?, b256_or_zero("mixHash")?);
    Ok(Header {
        parent_hash,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: fields.take("coinbase")?.map(|field| field.address()).transpose()?.unwrap_or_default(),
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        difficulty,
        gas_limit,
        gas_used,
        timestamp,
        extra_data: fields.take("extraData")?.map(|field| field.bytes()).transpose()?.unwrap_or_default(),
        mix_hash,
        nonce: B64::from(nonce),
        ..Default::default()
    })
}
