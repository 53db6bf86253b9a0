//! Bodies of kept blocks, for a consensus client that keeps none itself.

use crate::{
    RpcContext,
    api::Answer,
    args::Args,
    convert::WithdrawalJson,
    error::EngineErrorKind,
    hex::{Hash, Quantity},
};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::Bytes;
use serde::{Serialize, Serializer};
use starling_state::{BlockId, ChainView};

/// Most bodies of one answer; the specification asks for 32 at least, geth gives as many.
const BODIES_MAX: u64 = 1_024;

/// `ExecutionPayloadBodyV1`, or `V2` with the access list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BodyJson {
    transactions: Vec<Bytes>,
    /// Null before Shanghai.
    withdrawals: Option<Vec<WithdrawalJson>>,
    #[serde(skip_serializing_if = "AccessList::is_of_v1")]
    block_access_list: AccessList,
}

/// The access list of a body.
#[derive(Debug)]
enum AccessList {
    /// The answer's version has no such member.
    NotAsked,
    /// Null before Amsterdam, and where it is not kept.
    Asked(Option<Bytes>),
}

impl AccessList {
    fn is_of_v1(&self) -> bool {
        matches!(self, Self::NotAsked)
    }
}

impl Serialize for AccessList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::NotAsked => serializer.serialize_none(),
            Self::Asked(list) => list.serialize(serializer),
        }
    }
}

pub(super) fn by_hash_v1(context: &RpcContext, args: Args<'_>) -> Answer<Vec<Option<BodyJson>>> {
    by_hash(context, args, false)
}

pub(super) fn by_hash_v2(context: &RpcContext, args: Args<'_>) -> Answer<Vec<Option<BodyJson>>> {
    by_hash(context, args, true)
}

pub(super) fn by_range_v1(context: &RpcContext, args: Args<'_>) -> Answer<Vec<Option<BodyJson>>> {
    by_range(context, args, false)
}

pub(super) fn by_range_v2(context: &RpcContext, args: Args<'_>) -> Answer<Vec<Option<BodyJson>>> {
    by_range(context, args, true)
}

/// In the order asked for, null for what is not kept.
fn by_hash(context: &RpcContext, mut args: Args<'_>, with_list: bool) -> Answer<Vec<Option<BodyJson>>> {
    let hashes: Vec<Hash> = args.required()?;
    args.end()?;
    check_count(hashes.len() as u64)?;
    let view = context.chain.view();
    hashes.into_iter().map(|Hash(hash)| body(&view, BlockId::Hash(hash), with_list)).collect()
}

/// From a number on, not past the head; null for what is not kept.
fn by_range(context: &RpcContext, mut args: Args<'_>, with_list: bool) -> Answer<Vec<Option<BodyJson>>> {
    let (Quantity(start), Quantity(count)) = (args.required()?, args.required()?);
    args.end()?;
    if start == 0 || count == 0 {
        let why = format!("invalid start or count, start: {start} count: {count}");
        return Err(EngineErrorKind::InvalidParams.because(why));
    }
    check_count(count)?;
    let view = context.chain.view();
    let last = view.head().number.min(start.saturating_add(count - 1));
    (start..=last).map(|number| body(&view, BlockId::Number(number), with_list)).collect()
}

fn check_count(count: u64) -> Answer<()> {
    if count > BODIES_MAX {
        let why = format!("requested count too large: {count}, at most {BODIES_MAX}");
        return Err(EngineErrorKind::TooLargeRequest.because(why));
    }
    Ok(())
}

fn body(view: &ChainView, id: BlockId, with_list: bool) -> Answer<Option<BodyJson>> {
    let Some(kept) = view.block(id)? else { return Ok(None) };
    let block_access_list = match with_list {
        true => AccessList::Asked(view.access_list(kept.at)?),
        false => AccessList::NotAsked,
    };
    let body = &kept.block.body;
    Ok(Some(BodyJson {
        transactions: body.transactions.iter().map(|tx| tx.encoded_2718().into()).collect(),
        withdrawals: body.withdrawals.as_ref().map(|list| list.iter().map(Into::into).collect()),
        block_access_list,
    }))
}
