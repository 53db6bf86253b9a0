//! The `debug` namespace: the bytes behind the JSON.

use crate::{
    ApiError, RpcContext,
    api::{Answer, Api},
    args::Args,
    convert::{BlockJson, TransactionJson, TransactionsJson},
    eth::raw_transaction,
    tags::BlockSelector,
};
use alloy_primitives::{B256, Bytes};
use serde::Serialize;
use starling_chain::BadBlock;
use starling_primitives::Receipt;

/// Adds every method of the namespace.
pub(crate) fn register(api: &mut Api) {
    api.query("debug_getRawHeader", raw_header);
    api.query("debug_getRawBlock", raw_block);
    api.query("debug_getRawReceipts", raw_receipts);
    api.query("debug_getRawTransaction", raw_transaction);
    api.query("debug_getBadBlocks", bad_blocks);
    api.query("debug_dbStats", database_stats);
}

/// A header's RLP; no bytes if it is not there, as geth answers.
fn raw_header(context: &RpcContext, mut args: Args<'_>) -> Answer<Bytes> {
    let selector: BlockSelector = args.required()?;
    args.end()?;
    let header = selector.header(context, &context.chain.view())?;
    Ok(header.map(|header| alloy_rlp::encode(header).into()).unwrap_or_default())
}

/// A block's RLP, as it came.
fn raw_block(context: &RpcContext, mut args: Args<'_>) -> Answer<Bytes> {
    let selector: BlockSelector = args.required()?;
    args.end()?;
    match selector.block(context, &context.chain.view())? {
        Some(kept) => Ok(kept.rlp),
        None => Err(ApiError::server("block not found")),
    }
}

/// A block's receipts in their consensus form.
fn raw_receipts(context: &RpcContext, mut args: Args<'_>) -> Answer<Option<Vec<Bytes>>> {
    let selector: BlockSelector = args.required()?;
    args.end()?;
    let Some(kept) = selector.block(context, &context.chain.view())? else { return Ok(None) };
    let raw = |receipt: &Receipt| {
        let mut bytes = Vec::new();
        receipt.encode_2718(&mut bytes);
        bytes.into()
    };
    Ok(Some(kept.receipts()?.iter().map(raw).collect()))
}

#[derive(Serialize)]
struct BadBlockJson {
    hash: B256,
    block: BlockJson,
    rlp: Bytes,
    /// The rule it breaks.
    reason: String,
}

/// The last blocks that were refused, newest first.
fn bad_blocks(context: &RpcContext, args: Args<'_>) -> Answer<Vec<BadBlockJson>> {
    args.end()?;
    Ok(context.chain.bad_blocks().into_iter().map(bad_block).collect())
}

fn bad_block(BadBlock { block: bad, why }: BadBlock) -> BadBlockJson {
    let transactions = &bad.block.body.transactions;
    let json = |(index, tx)| {
        // A bad signature may be what is wrong with the block.
        let from = bad.senders.of(index, transactions).unwrap_or_default();
        TransactionJson::new(tx, from, &bad.block.header, bad.hash, index)
    };
    let transactions = TransactionsJson::Full(transactions.iter().enumerate().map(json).collect());
    BadBlockJson {
        hash: bad.hash,
        block: BlockJson::new(&bad.block, bad.hash, bad.rlp.len(), transactions),
        rlp: bad.rlp.clone(),
        reason: why.to_string(),
    }
}

/// What the database holds: what `db stats` prints, for when this process holds the database.
fn database_stats(context: &RpcContext, args: Args<'_>) -> Answer<serde_json::Value> {
    args.end()?;
    (context.database_stats)().map_err(ApiError::Server)
}
