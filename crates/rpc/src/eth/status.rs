//! Where the chain stands: methods that read memory only.

use crate::{
    RpcContext,
    api::{Answer, Api},
    args::Args,
};
use alloy_primitives::{B256, U64};
use serde::Serialize;

pub(super) fn register(api: &mut Api) {
    api.light("eth_chainId", chain_id);
    api.light("eth_blockNumber", block_number);
    api.light("eth_syncing", syncing);
    api.light("eth_capabilities", capabilities);
}

fn chain_id(context: &RpcContext, args: Args<'_>) -> Answer<U64> {
    args.end()?;
    Ok(U64::from(context.chain.spec().chain_id))
}

fn block_number(context: &RpcContext, args: Args<'_>) -> Answer<U64> {
    args.end()?;
    Ok(U64::from(context.chain.view().head().number))
}

/// `false`, or how far the sync is.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Syncing {
    Done(bool),
    #[serde(rename_all = "camelCase")]
    Running {
        starting_block: U64,
        current_block: U64,
        highest_block: U64,
    },
}

fn syncing(context: &RpcContext, args: Args<'_>) -> Answer<Syncing> {
    args.end()?;
    Ok(sync_state(context))
}

/// How far a sync is.
pub(crate) fn sync_state(context: &RpcContext) -> Syncing {
    (context.status)().syncing.map_or(Syncing::Done(false), |progress| Syncing::Running {
        starting_block: U64::from(progress.starting_block),
        current_block: U64::from(progress.current_block),
        highest_block: U64::from(progress.highest_block),
    })
}

/// What can be asked of this node, and how far back.
#[derive(Serialize)]
struct Capabilities {
    head: Head,
    state: Kept,
    tx: Kept,
    logs: Kept,
    receipts: Kept,
    blocks: Kept,
    stateproofs: Kept,
}

#[derive(Serialize)]
struct Head {
    number: U64,
    hash: B256,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    disabled: bool,
    oldest_block: U64,
    #[serde(skip_serializing_if = "Option::is_none")]
    delete_strategy: Option<DeleteStrategy>,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct DeleteStrategy {
    r#type: &'static str,
    retention_blocks: U64,
}

fn capabilities(context: &RpcContext, args: Args<'_>) -> Answer<Capabilities> {
    args.end()?;
    let view = context.chain.view();
    let head = view.head();
    let window = context
        .state_retention_blocks
        .map(|blocks| DeleteStrategy { r#type: "window", retention_blocks: U64::from(blocks) });
    let all = Kept { disabled: false, oldest_block: U64::ZERO, delete_strategy: None };
    let state = Kept { oldest_block: U64::from(view.oldest_state()), delete_strategy: window, ..all.clone() };
    Ok(Capabilities {
        head: Head { number: U64::from(head.number), hash: head.hash },
        stateproofs: state.clone(),
        state,
        tx: all.clone(),
        logs: all.clone(),
        receipts: all.clone(),
        blocks: all,
    })
}
