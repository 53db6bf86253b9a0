//! Changes that test tools make to the state, and to what the next blocks are. A change of the state is a block of its own,
//! without transactions, and so as lasting as any ([`starling_chainspec::DevRecord`]).

use super::{DevCommand, DevSetting, Loose, handle};
use crate::{
    ApiError, RpcContext,
    api::{Answer, Api, to_json},
    args::Args,
    eth::{KeyText, StorageKey},
    hex::{Addr, Data, Hash, Word},
    signers::IMPERSONATED_MAX,
};
use alloy_primitives::U256;
use jsonrpsee::types::Params;
use serde::Serialize;
use serde_json::{Value, value::RawValue};
use starling_chainspec::DevChange;
use std::sync::Arc;

/// Reads the arguments of a change.
type ReadChange = fn(Args<'_>) -> Answer<DevChange>;
/// Reads the arguments of a setting.
type ReadSetting = fn(Args<'_>) -> Answer<DevSetting>;

pub(super) fn register_evm(api: &mut Api) {
    for (name, read) in [
        ("evm_setAccountBalance", balance as ReadChange),
        ("evm_setAccountCode", code),
        ("evm_setAccountNonce", nonce),
        ("evm_setAccountStorageAt", slot),
    ] {
        api.command(name, move |context, params| change(context, params, read));
    }
    api.command("evm_setBlockGasLimit", |context, params| set(context, params, gas_limit));
}

pub(super) fn register_anvil(api: &mut Api) {
    for (name, read) in [
        ("anvil_setBalance", balance as ReadChange),
        ("anvil_setCode", code),
        ("anvil_setNonce", nonce),
        ("anvil_setStorageAt", slot),
    ] {
        api.command(name, move |context, params| change(context, params, read));
    }
    for (name, read) in [
        ("anvil_setCoinbase", coinbase as ReadSetting),
        ("anvil_setNextBlockBaseFeePerGas", base_fee),
        ("anvil_setBlockGasLimit", gas_limit),
        ("anvil_setPrevRandao", prev_randao),
        ("anvil_setBlockTimestampInterval", spacing),
        ("anvil_removeBlockTimestampInterval", no_spacing),
    ] {
        api.command(name, move |context, params| set(context, params, read));
    }
    api.command("anvil_reset", reset);
    api.command("anvil_getAutomine", is_automine);
    api.command("anvil_nodeInfo", node_info);
    api.query("anvil_dropTransaction", drop_transaction);
    api.light("anvil_impersonateAccount", impersonate);
    api.light("anvil_stopImpersonatingAccount", stop_impersonating);
    api.light("anvil_autoImpersonateAccount", impersonate_all);
}

pub(super) fn register_hardhat(api: &mut Api) {
    for (name, read) in [
        ("hardhat_setBalance", balance as ReadChange),
        ("hardhat_setCode", code),
        ("hardhat_setNonce", nonce),
        ("hardhat_setStorageAt", slot),
    ] {
        api.command(name, move |context, params| change(context, params, read));
    }
    for (name, read) in [
        ("hardhat_setCoinbase", coinbase as ReadSetting),
        ("hardhat_setNextBlockBaseFeePerGas", base_fee),
        ("hardhat_setPrevRandao", prev_randao),
    ] {
        api.command(name, move |context, params| set(context, params, read));
    }
    api.command("hardhat_reset", reset);
    api.command("hardhat_getAutomine", is_automine);
    api.query("hardhat_metadata", metadata);
    api.query("hardhat_dropTransaction", drop_transaction);
    api.light("hardhat_impersonateAccount", impersonate);
    api.light("hardhat_stopImpersonatingAccount", stop_impersonating);
}

async fn change(context: Arc<RpcContext>, params: Params<'static>, read: ReadChange) -> Answer<Box<RawValue>> {
    let change = read(Args::new(&params)?)?;
    let changed = handle(&context)?.ask(|reply| DevCommand::Change(vec![change], reply)).await?;
    changed.map_err(ApiError::Server)?;
    to_json(&true)
}

async fn set(context: Arc<RpcContext>, params: Params<'static>, read: ReadSetting) -> Answer<Box<RawValue>> {
    let setting = read(Args::new(&params)?)?;
    let set = handle(&context)?.ask(|reply| DevCommand::Set(setting, reply)).await?;
    set.map_err(ApiError::Server)?;
    to_json(&true)
}

fn balance(mut args: Args<'_>) -> Answer<DevChange> {
    let (Addr(address), Word(wei)) = (args.required()?, args.required()?);
    args.end()?;
    Ok(DevChange::Balance(address, wei))
}

fn nonce(mut args: Args<'_>) -> Answer<DevChange> {
    let (Addr(address), nonce): (_, Loose) = (args.required()?, args.required()?);
    args.end()?;
    Ok(DevChange::Nonce(address, nonce.get()?))
}

fn code(mut args: Args<'_>) -> Answer<DevChange> {
    let (Addr(address), Data(code)) = (args.required()?, args.required()?);
    args.end()?;
    Ok(DevChange::Code(address, code))
}

fn slot(mut args: Args<'_>) -> Answer<DevChange> {
    let (Addr(address), key) = (args.required()?, args.required::<KeyText<'_>>()?);
    let value = args.required::<KeyText<'_>>()?;
    args.end()?;
    // A value is written as a key is: at most 32 bytes, leading zeros or none.
    let (slot, value): (U256, U256) = (StorageKey::parse(&key)?.slot, StorageKey::parse(&value)?.slot);
    Ok(DevChange::Slot(address, slot, value))
}

fn coinbase(mut args: Args<'_>) -> Answer<DevSetting> {
    let Addr(address) = args.required()?;
    args.end()?;
    Ok(DevSetting::Coinbase(address))
}

fn base_fee(mut args: Args<'_>) -> Answer<DevSetting> {
    let wei: Loose = args.required()?;
    args.end()?;
    Ok(DevSetting::NextBaseFee(wei.get()?))
}

fn gas_limit(mut args: Args<'_>) -> Answer<DevSetting> {
    let gas: Loose = args.required()?;
    args.end()?;
    Ok(DevSetting::GasLimit(gas.get()?))
}

fn prev_randao(mut args: Args<'_>) -> Answer<DevSetting> {
    let Hash(value) = args.required()?;
    args.end()?;
    Ok(DevSetting::NextPrevRandao(value))
}

fn spacing(mut args: Args<'_>) -> Answer<DevSetting> {
    let secs: Loose = args.required()?;
    args.end()?;
    Ok(DevSetting::Spacing(Some(secs.get()?)))
}

fn no_spacing(args: Args<'_>) -> Answer<DevSetting> {
    args.end()?;
    Ok(DevSetting::Spacing(None))
}

/// Back to the genesis block; a fork of another chain is refused.
async fn reset(context: Arc<RpcContext>, params: Params<'static>) -> Answer<Box<RawValue>> {
    let mut args = Args::new(&params)?;
    let options: Option<Value> = args.optional()?;
    args.end()?;
    if options.as_ref().and_then(|options| options.get("forking")).is_some_and(|forking| !forking.is_null()) {
        return Err(ApiError::server("a fork of another chain is not available: reset goes back to the genesis block"));
    }
    let reset = handle(&context)?.ask(DevCommand::Reset).await?;
    reset.map_err(ApiError::Server)?;
    to_json(&true)
}

async fn is_automine(context: Arc<RpcContext>, params: Params<'static>) -> Answer<Box<RawValue>> {
    Args::new(&params)?.end()?;
    to_json(&handle(&context)?.ask(DevCommand::IsAutomine).await?)
}

/// Whether the transaction was in the pool.
fn drop_transaction(context: &RpcContext, mut args: Args<'_>) -> Answer<bool> {
    let Hash(hash) = args.required()?;
    args.end()?;
    handle(context)?;
    Ok(context.pool.remove(&hash))
}

/// From now on `eth_sendTransaction` takes transactions of the account.
fn impersonate(context: &RpcContext, mut args: Args<'_>) -> Answer<bool> {
    let Addr(address) = args.required()?;
    args.end()?;
    handle(context)?;
    match context.signers.impersonate(address) {
        true => Ok(true),
        false => Err(ApiError::TooLarge(format!("at most {IMPERSONATED_MAX} accounts are impersonated"))),
    }
}

/// Whether it was impersonated.
fn stop_impersonating(context: &RpcContext, mut args: Args<'_>) -> Answer<bool> {
    let Addr(address) = args.required()?;
    args.end()?;
    handle(context)?;
    Ok(context.signers.stop_impersonating(&address))
}

fn impersonate_all(context: &RpcContext, mut args: Args<'_>) -> Answer<bool> {
    let on: bool = args.required()?;
    args.end()?;
    handle(context)?;
    context.signers.impersonate_all(on);
    Ok(true)
}

/// What `anvil_nodeInfo` says; as anvil's, as far as this node has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeInfo {
    current_block_number: u64,
    current_block_timestamp: u64,
    current_block_hash: alloy_primitives::B256,
    hard_fork: String,
    transaction_order: &'static str,
    environment: Environment,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Environment {
    base_fee: Option<u64>,
    chain_id: u64,
    gas_limit: u64,
}

async fn node_info(context: Arc<RpcContext>, params: Params<'static>) -> Answer<Box<RawValue>> {
    Args::new(&params)?.end()?;
    handle(&context)?;
    let view = context.chain.view();
    let header = view.head_header();
    to_json(&NodeInfo {
        current_block_number: header.number,
        current_block_timestamp: header.timestamp,
        current_block_hash: view.head().hash,
        hard_fork: view.spec().fork_of(header).to_string(),
        transaction_order: "fees",
        environment: Environment {
            base_fee: header.base_fee_per_gas,
            chain_id: view.spec().chain_id,
            gas_limit: header.gas_limit,
        },
    })
}

/// What `hardhat_metadata` says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    client_version: String,
    chain_id: u64,
    /// Another one on every chain: the genesis block's hash.
    instance_id: alloy_primitives::B256,
    latest_block_number: u64,
    latest_block_hash: alloy_primitives::B256,
}

fn metadata(context: &RpcContext, args: Args<'_>) -> Answer<Metadata> {
    args.end()?;
    handle(context)?;
    let view = context.chain.view();
    Ok(Metadata {
        client_version: context.client_version.clone(),
        chain_id: view.spec().chain_id,
        instance_id: view.spec().genesis_hash(),
        latest_block_number: view.head().number,
        latest_block_hash: view.head().hash,
    })
}
