//! Blocks, headers, receipts of a block, ommers.

use crate::{
    RpcContext,
    api::{Answer, Api},
    args::Args,
    convert::{BlockJson, HeaderJson, ReceiptJson, TransactionsJson, receipts, transactions},
    hex::{Hash, Quantity},
    tags::{BlockSelector, BlockTag, kept_block},
};
use alloy_primitives::U64;
use starling_primitives::Transaction;
use starling_state::{BlockId, KeptBlock};

pub(super) fn register(api: &mut Api) {
    api.query("eth_getBlockByHash", block_by_hash);
    api.query("eth_getBlockByNumber", block_by_number);
    api.query("eth_getHeaderByHash", header_by_hash);
    api.query("eth_getHeaderByNumber", header_by_number);
    api.query("eth_getBlockReceipts", block_receipts);
    api.query("eth_getBlockTransactionCountByHash", transaction_count_by_hash);
    api.query("eth_getBlockTransactionCountByNumber", transaction_count_by_number);
    api.query("eth_getUncleCountByBlockHash", uncle_count_by_hash);
    api.query("eth_getUncleCountByBlockNumber", uncle_count_by_number);
    api.query("eth_getUncleByBlockHashAndIndex", uncle_by_hash);
    api.query("eth_getUncleByBlockNumberAndIndex", uncle_by_number);
}

/// The block of a hash, the next argument.
pub(super) fn by_hash(context: &RpcContext, args: &mut Args<'_>) -> Answer<Option<KeptBlock>> {
    let Hash(hash) = args.required()?;
    kept_block(&context.chain.view(), BlockId::Hash(hash))
}

/// The block of a number or tag, the next argument.
pub(super) fn by_number(context: &RpcContext, args: &mut Args<'_>) -> Answer<Option<KeptBlock>> {
    let tag: BlockTag = args.required()?;
    BlockSelector::Tag(tag).block(context, &context.chain.view())
}

/// A kept block as JSON.
pub(crate) fn block_json(kept: &KeptBlock, full: bool) -> BlockJson {
    let hash = |tx: &Transaction| *tx.tx_hash();
    let list = match full {
        true => TransactionsJson::Full(transactions(kept)),
        false => TransactionsJson::Hashes(kept.block.body.transactions.iter().map(hash).collect()),
    };
    BlockJson::new(&kept.block, kept.at.hash, kept.rlp.len(), list)
}

fn block_by_hash(context: &RpcContext, mut args: Args<'_>) -> Answer<Option<BlockJson>> {
    let (block, full) = (by_hash(context, &mut args)?, args.required()?);
    args.end()?;
    Ok(block.map(|kept| block_json(&kept, full)))
}

fn block_by_number(context: &RpcContext, mut args: Args<'_>) -> Answer<Option<BlockJson>> {
    let (tag, full): (BlockTag, bool) = (args.required()?, args.required()?);
    args.end()?;
    let view = context.chain.view();
    let block = BlockSelector::Tag(tag).block(context, &view)?;
    Ok(block.map(|kept| match kept.at.number > view.head().number {
        true => block_json(&kept, full).unsealed(),
        false => block_json(&kept, full),
    }))
}

fn header_by_hash(context: &RpcContext, mut args: Args<'_>) -> Answer<Option<HeaderJson>> {
    let Hash(hash) = args.required()?;
    args.end()?;
    Ok(context.chain.view().header(BlockId::Hash(hash))?.map(|header| HeaderJson::new(&header, hash)))
}

fn header_by_number(context: &RpcContext, mut args: Args<'_>) -> Answer<Option<HeaderJson>> {
    let tag: BlockTag = args.required()?;
    args.end()?;
    let view = context.chain.view();
    let header = BlockSelector::Tag(tag).header(context, &view)?;
    Ok(header.map(|header| {
        let json = HeaderJson::new(&header, header.hash_slow());
        if header.number > view.head().number { json.unsealed() } else { json }
    }))
}

fn block_receipts(context: &RpcContext, mut args: Args<'_>) -> Answer<Option<Vec<ReceiptJson>>> {
    let selector: BlockSelector = args.required()?;
    args.end()?;
    let block = selector.block(context, &context.chain.view())?;
    block.map(|kept| receipts(context.chain.spec(), &kept)).transpose()
}

fn transaction_count_by_hash(context: &RpcContext, mut args: Args<'_>) -> Answer<Option<U64>> {
    let block = by_hash(context, &mut args)?;
    args.end()?;
    Ok(block.map(|kept| U64::from(kept.block.body.transactions.len())))
}

fn transaction_count_by_number(context: &RpcContext, mut args: Args<'_>) -> Answer<Option<U64>> {
    let block = by_number(context, &mut args)?;
    args.end()?;
    Ok(block.map(|kept| U64::from(kept.block.body.transactions.len())))
}

fn uncle_count_by_hash(context: &RpcContext, mut args: Args<'_>) -> Answer<Option<U64>> {
    let block = by_hash(context, &mut args)?;
    args.end()?;
    Ok(block.map(|kept| U64::from(kept.block.body.ommers.len())))
}

fn uncle_count_by_number(context: &RpcContext, mut args: Args<'_>) -> Answer<Option<U64>> {
    let block = by_number(context, &mut args)?;
    args.end()?;
    Ok(block.map(|kept| U64::from(kept.block.body.ommers.len())))
}

fn uncle_by_hash(context: &RpcContext, mut args: Args<'_>) -> Answer<Option<BlockJson>> {
    let (block, Quantity(index)) = (by_hash(context, &mut args)?, args.required()?);
    args.end()?;
    Ok(block.and_then(|kept| uncle(&kept, index)))
}

fn uncle_by_number(context: &RpcContext, mut args: Args<'_>) -> Answer<Option<BlockJson>> {
    let (block, Quantity(index)) = (by_number(context, &mut args)?, args.required()?);
    args.end()?;
    Ok(block.and_then(|kept| uncle(&kept, index)))
}

fn uncle(kept: &KeptBlock, index: u64) -> Option<BlockJson> {
    kept.block.body.ommers.get(usize::try_from(index).ok()?).map(BlockJson::ommer)
}
