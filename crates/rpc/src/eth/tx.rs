//! Transactions and their receipts.

use super::block::{by_hash, by_number};
use crate::{
    RpcContext,
    api::{Answer, Api},
    args::Args,
    convert::{ReceiptJson, TransactionJson, receipts},
    hex::{Hash, Quantity},
    tags::kept_block,
};
use alloy_eips::Encodable2718;
use alloy_primitives::{B256, Bytes};
use starling_primitives::Transaction;
use starling_state::{BlockId, KeptBlock};

pub(super) fn register(api: &mut Api) {
    api.query("eth_getTransactionByHash", transaction);
    api.query("eth_getTransactionByBlockHashAndIndex", by_block_hash_and_index);
    api.query("eth_getTransactionByBlockNumberAndIndex", by_block_number_and_index);
    api.query("eth_getRawTransactionByHash", raw_transaction);
    api.query("eth_getRawTransactionByBlockHashAndIndex", raw_by_block_hash_and_index);
    api.query("eth_getRawTransactionByBlockNumberAndIndex", raw_by_block_number_and_index);
    api.query("eth_getTransactionReceipt", receipt);
}

/// The block of the canonical chain that a transaction stands in, and its index there.
fn find(context: &RpcContext, hash: &B256) -> Answer<Option<(KeptBlock, usize)>> {
    let view = context.chain.view();
    let Some((at, index)) = view.find_transaction(hash)? else { return Ok(None) };
    Ok(kept_block(&view, BlockId::Hash(at.hash))?.map(|kept| (kept, index)))
}

fn json_at(kept: &KeptBlock, index: usize) -> Option<TransactionJson> {
    let (tx, from) = kept.block.body.transactions.get(index).zip(kept.senders.get(index))?;
    Some(TransactionJson::new(tx, *from, &kept.block.header, kept.at.hash, index))
}

/// The envelope of a transaction, no bytes if there is none: what geth answers.
fn raw(tx: Option<&Transaction>) -> Bytes {
    tx.map(|tx| tx.encoded_2718().into()).unwrap_or_default()
}

fn transaction(context: &RpcContext, mut args: Args<'_>) -> Answer<Option<TransactionJson>> {
    let Hash(hash) = args.required()?;
    args.end()?;
    match find(context, &hash)? {
        Some((kept, index)) => Ok(json_at(&kept, index)),
        None => Ok(context.pool.get(&hash).map(|tx| TransactionJson::waiting(&tx.tx, tx.sender))),
    }
}

fn by_block_hash_and_index(context: &RpcContext, mut args: Args<'_>) -> Answer<Option<TransactionJson>> {
    let (block, Quantity(index)) = (by_hash(context, &mut args)?, args.required()?);
    args.end()?;
    Ok(block.and_then(|kept| json_at(&kept, usize::try_from(index).ok()?)))
}

fn by_block_number_and_index(context: &RpcContext, mut args: Args<'_>) -> Answer<Option<TransactionJson>> {
    let (block, Quantity(index)) = (by_number(context, &mut args)?, args.required()?);
    args.end()?;
    Ok(block.and_then(|kept| json_at(&kept, usize::try_from(index).ok()?)))
}

pub(crate) fn raw_transaction(context: &RpcContext, mut args: Args<'_>) -> Answer<Bytes> {
    let Hash(hash) = args.required()?;
    args.end()?;
    match find(context, &hash)? {
        Some((kept, index)) => Ok(raw(kept.block.body.transactions.get(index))),
        None => Ok(context.pool.get(&hash).and_then(|tx| tx.network_bytes()).unwrap_or_default()),
    }
}

fn raw_by_block_hash_and_index(context: &RpcContext, mut args: Args<'_>) -> Answer<Bytes> {
    let (block, Quantity(index)) = (by_hash(context, &mut args)?, args.required()?);
    args.end()?;
    Ok(raw_at(block, index))
}

fn raw_by_block_number_and_index(context: &RpcContext, mut args: Args<'_>) -> Answer<Bytes> {
    let (block, Quantity(index)) = (by_number(context, &mut args)?, args.required()?);
    args.end()?;
    Ok(raw_at(block, index))
}

fn raw_at(block: Option<KeptBlock>, index: u64) -> Bytes {
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    block.map(|kept| raw(kept.block.body.transactions.get(index))).unwrap_or_default()
}

fn receipt(context: &RpcContext, mut args: Args<'_>) -> Answer<Option<ReceiptJson>> {
    let Hash(hash) = args.required()?;
    args.end()?;
    receipt_of(context, &hash)
}

/// The receipt of a transaction of the canonical chain.
pub(super) fn receipt_of(context: &RpcContext, hash: &B256) -> Answer<Option<ReceiptJson>> {
    let Some((kept, index)) = find(context, hash)? else { return Ok(None) };
    Ok(receipts(context.chain.spec(), &kept)?.into_iter().nth(index))
}
