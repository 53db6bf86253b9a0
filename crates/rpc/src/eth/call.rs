//! Calls that change nothing: their result, their gas, their access list.

use super::call_args::{BlockOverrideArgs, CallArgs, StateOverrideArgs, overrides};
use crate::{
    ApiError, RpcContext,
    api::{Answer, Api},
    args::Args,
    pending::AskedState,
    tags::BlockSelector,
};
use alloy_eips::eip2930::AccessListItem;
use alloy_primitives::{Bytes, U64};
use serde::Serialize;
use starling_chainspec::Fork;
use starling_execution::{Call, CallError, CallLimits, CallResult, Overrides};
use starling_primitives::Header;
use std::time::Instant;

pub(super) fn register(api: &mut Api) {
    api.query("eth_call", call);
    api.query("eth_estimateGas", estimate_gas);
    api.query("eth_createAccessList", create_access_list);
}

/// All that a call needs to run.
struct Setting {
    call: Call,
    header: Header,
    state: AskedState,
    overrides: Overrides,
    limits: CallLimits,
}

/// Reads the arguments that calls share: the call, the block, state overrides, block overrides.
fn setting(context: &RpcContext, mut args: Args<'_>) -> Answer<Setting> {
    let (call, block): (CallArgs, Option<BlockSelector>) = (args.required()?, args.optional()?);
    let state_overrides: Option<StateOverrideArgs> = args.optional()?;
    let block_overrides: Option<BlockOverrideArgs> = args.optional()?;
    args.end()?;
    let (header, state) = block.unwrap_or_default().state(context, &context.chain.view())?;
    Ok(Setting {
        call: call.into_call(context.chain.spec().chain_id)?,
        header,
        state,
        overrides: overrides(state_overrides, block_overrides)?,
        limits: CallLimits { gas_cap: context.limits.gas_cap, deadline: Instant::now() + context.limits.evm_timeout },
    })
}

fn call(context: &RpcContext, args: Args<'_>) -> Answer<Bytes> {
    let Setting { call, header, state, overrides, limits } = setting(context, args)?;
    let outcome = starling_execution::call(context.chain.spec(), &header, &state, &call, &overrides, limits);
    let outcome = outcome.map_err(|error| match error {
        CallError::Invalid(why) => {
            let gas = call.gas.unwrap_or(limits.gas_cap).min(limits.gas_cap);
            ApiError::Server(format!("err: {why} (supplied gas {gas})"))
        }
        other => other.into(),
    })?;
    match outcome.result {
        CallResult::Success { output, .. } => Ok(output),
        CallResult::Revert { output } => Err(ApiError::Reverted(output)),
        CallResult::Halt { reason } => Err(ApiError::Server(reason)),
    }
}

fn estimate_gas(context: &RpcContext, args: Args<'_>) -> Answer<U64> {
    let Setting { call, header, state, overrides, limits } = setting(context, args)?;
    let gas = starling_execution::estimate_gas(context.chain.spec(), &header, &state, &call, &overrides, limits)?;
    Ok(U64::from(gas))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccessListJson {
    access_list: Vec<AccessListItem>,
    /// Why the call failed; the list is good all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    gas_used: U64,
}

fn create_access_list(context: &RpcContext, args: Args<'_>) -> Answer<AccessListJson> {
    let Setting { call, header, state, overrides, limits } = setting(context, args)?;
    let spec = context.chain.spec();
    if !spec.is_active(Fork::Berlin, &header) {
        return Err(ApiError::server("transaction type not supported: access lists begin with Berlin"));
    }
    let (list, outcome) = starling_execution::create_access_list(spec, &header, &state, &call, &overrides, limits)?;
    let item = |(address, storage_keys)| AccessListItem { address, storage_keys };
    Ok(AccessListJson {
        access_list: list.into_iter().map(item).collect(),
        error: match outcome.result {
            CallResult::Success { .. } => None,
            CallResult::Revert { .. } => Some("execution reverted".into()),
            CallResult::Halt { reason } => Some(reason),
        },
        gas_used: U64::from(outcome.gas_used),
    })
}
