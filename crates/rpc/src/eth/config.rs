//! The rules in force, those that come next, and the last ones planned (EIP-7910).

use crate::{
    RpcContext,
    api::{Answer, Api},
    args::Args,
};
use alloy_eips::{
    eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS, eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
};
use alloy_primitives::{Address, Bytes, U64};
use serde::Serialize;
use starling_chainspec::{ChainSpec, Fork};
use std::collections::BTreeMap;

/// Precompiled contracts: since when, by what name, at which address.
const PRECOMPILES: [(Fork, &str, u64); 18] = [
    (Fork::Frontier, "ECREC", 0x01),
    (Fork::Frontier, "SHA256", 0x02),
    (Fork::Frontier, "RIPEMD160", 0x03),
    (Fork::Frontier, "ID", 0x04),
    (Fork::Byzantium, "MODEXP", 0x05),
    (Fork::Byzantium, "BN254_ADD", 0x06),
    (Fork::Byzantium, "BN254_MUL", 0x07),
    (Fork::Byzantium, "BN254_PAIRING", 0x08),
    (Fork::Istanbul, "BLAKE2F", 0x09),
    (Fork::Cancun, "KZG_POINT_EVALUATION", 0x0a),
    (Fork::Prague, "BLS12_G1ADD", 0x0b),
    (Fork::Prague, "BLS12_G1MSM", 0x0c),
    (Fork::Prague, "BLS12_G2ADD", 0x0d),
    (Fork::Prague, "BLS12_G2MSM", 0x0e),
    (Fork::Prague, "BLS12_PAIRING_CHECK", 0x0f),
    (Fork::Prague, "BLS12_MAP_FP_TO_G1", 0x10),
    (Fork::Prague, "BLS12_MAP_FP2_TO_G2", 0x11),
    (Fork::Osaka, "P256VERIFY", 0x100),
];

pub(super) fn register(api: &mut Api) {
    api.light("eth_config", config);
}

#[derive(Debug, Serialize)]
struct Config {
    current: Option<ForkConfig>,
    next: Option<ForkConfig>,
    last: Option<ForkConfig>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ForkConfig {
    /// Unix seconds, as a plain number.
    activation_time: u64,
    blob_schedule: Option<BlobScheduleJson>,
    chain_id: U64,
    fork_id: Bytes,
    precompiles: BTreeMap<&'static str, Address>,
    system_contracts: BTreeMap<&'static str, Address>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BlobScheduleJson {
    target: u64,
    max: u64,
    base_fee_update_fraction: u64,
}

fn config(context: &RpcContext, args: Args<'_>) -> Answer<Config> {
    args.end()?;
    Ok(config_at(context.chain.spec(), context.chain.view().head_header().timestamp))
}

/// Forks that begin at the same moment count as the latest of them. `last` is there only if `next` is.
fn config_at(spec: &ChainSpec, now: u64) -> Config {
    let at = |time: u64| spec.time_forks().rfind(|(_, begins)| *begins <= time);
    let next_time = spec.time_forks().map(|(_, begins)| begins).find(|begins| *begins > now);
    let fork_config = |fork: Option<(Fork, u64)>| fork.map(|(fork, begins)| fork_config(spec, fork, begins));
    Config {
        current: fork_config(at(now)),
        next: fork_config(next_time.and_then(at)),
        last: fork_config(next_time.and_then(|_| at(u64::MAX))),
    }
}

fn fork_config(spec: &ChainSpec, fork: Fork, activation_time: u64) -> ForkConfig {
    let blob_schedule = spec.blob_schedule_of(fork).map(|schedule| BlobScheduleJson {
        target: schedule.target,
        max: schedule.max,
        base_fee_update_fraction: schedule.base_fee_update_fraction,
    });
    let precompiles = PRECOMPILES.into_iter().filter(|(since, ..)| *since <= fork);
    ForkConfig {
        activation_time,
        blob_schedule,
        chain_id: U64::from(spec.chain_id),
        // Forks by block number lie before every fork by time.
        fork_id: Bytes::copy_from_slice(&spec.fork_id(u64::MAX, activation_time).hash.0),
        precompiles: precompiles.map(|(_, name, address)| (name, low_address(address))).collect(),
        system_contracts: system_contracts(spec, fork),
    }
}

/// The address of a small number.
fn low_address(number: u64) -> Address {
    Address::left_padding_from(&number.to_be_bytes())
}

fn system_contracts(spec: &ChainSpec, fork: Fork) -> BTreeMap<&'static str, Address> {
    let mut contracts = BTreeMap::new();
    if fork >= Fork::Cancun {
        contracts.insert("BEACON_ROOTS_ADDRESS", BEACON_ROOTS_ADDRESS);
    }
    if fork >= Fork::Prague {
        contracts.insert("CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS", CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS);
        contracts.insert("DEPOSIT_CONTRACT_ADDRESS", spec.deposit_contract.unwrap_or_default());
        contracts.insert("HISTORY_STORAGE_ADDRESS", HISTORY_STORAGE_ADDRESS);
        contracts.insert("WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS", WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS);
    }
    contracts
}
