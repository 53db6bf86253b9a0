//! Logs: header blooms say where to look, receipts what is there.

use super::filter::{FilterBlocks, LogFilter};
use crate::{
    ApiError, RpcContext,
    api::{Answer, Api},
    args::Args,
    convert::LogJson,
    tags::{BlockTag, kept_block},
};
use alloy_primitives::B256;
use starling_primitives::BlockRef;
use starling_state::{BlockId, ChainView, KeptBlock};
use std::time::Instant;

pub(super) fn register(api: &mut Api) {
    api.query("eth_getLogs", logs);
}

fn logs(context: &RpcContext, mut args: Args<'_>) -> Answer<Vec<LogJson>> {
    let filter: LogFilter = args.required()?;
    args.end()?;
    check_terms(context, &filter)?;
    search(context, &filter)
}

/// Whether a filter asks for no more than is looked for at once.
pub(crate) fn check_terms(context: &RpcContext, filter: &LogFilter) -> Answer<()> {
    let limit = context.limits.log_filter_terms_max;
    if filter.topics.iter().any(|position| position.len() > limit) {
        return Err(ApiError::params(format!("exceed max topics (max {limit} at each position)")));
    }
    if filter.addresses.len() > limit {
        return Err(ApiError::server(format!("exceed max addresses or topics per search position (max {limit})")));
    }
    Ok(())
}

/// The logs of the blocks that a filter names.
pub(super) fn search(context: &RpcContext, filter: &LogFilter) -> Answer<Vec<LogJson>> {
    let view = context.chain.view();
    let mut search = Search { context, filter, found: Vec::new() };
    match filter.blocks {
        FilterBlocks::Hash(hash) => search.block(&view, hash)?,
        FilterBlocks::Range(from, to) => search.range(&view, from, to)?,
    }
    Ok(search.found)
}

/// The logs of one block that a filter wants.
pub(crate) fn logs_of(context: &RpcContext, filter: &LogFilter, kept: &KeptBlock) -> Answer<Vec<LogJson>> {
    let mut search = Search { context, filter, found: Vec::new() };
    search.collect(kept)?;
    Ok(search.found)
}

/// A search under way.
struct Search<'a> {
    context: &'a RpcContext,
    filter: &'a LogFilter,
    found: Vec<LogJson>,
}

impl Search<'_> {
    fn block(&mut self, view: &ChainView, hash: B256) -> Answer<()> {
        let id = BlockId::Hash(hash);
        let header = view.header(id)?.ok_or_else(|| ApiError::server("unknown block"))?;
        if self.filter.may_match(&header.logs_bloom)
            && let Some(kept) = kept_block(view, id)?
        {
            self.collect(&kept)?;
        }
        Ok(())
    }

    fn range(&mut self, view: &ChainView, from: BlockTag, to: BlockTag) -> Answer<()> {
        let (from, to) = (number(view, from)?, number(view, to)?);
        if from > to {
            return Err(ApiError::params("invalid block range params"));
        }
        if to > view.head().number {
            return Err(ApiError::params("block range extends beyond current head block"));
        }
        let limits = &self.context.limits;
        let (blocks, limit) = ((to - from).saturating_add(1), limits.log_range_blocks);
        if blocks > limit {
            let message = format!("block range of {blocks} blocks exceeds the limit of {limit} (--rpc.logrange)");
            return Err(ApiError::params(message));
        }
        let deadline = Instant::now() + limits.search_timeout;
        for number in from..=to {
            if Instant::now() > deadline {
                let message = format!(
                    "search aborted at block {number} (timeout = {:?}); ask for fewer blocks",
                    limits.search_timeout
                );
                return Err(ApiError::Server(message));
            }
            self.canonical(view, number)?;
        }
        Ok(())
    }

    /// A block of the canonical chain, by number.
    fn canonical(&mut self, view: &ChainView, number: u64) -> Answer<()> {
        let header = view.header(BlockId::Number(number))?.ok_or(ApiError::Pruned)?;
        if self.filter.may_match(&header.logs_bloom) {
            let kept = kept_block(view, BlockId::Number(number))?.ok_or(ApiError::Pruned)?;
            self.collect(&kept)?;
        }
        Ok(())
    }

    fn collect(&mut self, kept: &KeptBlock) -> Answer<()> {
        let (header, limit) = (&kept.block.header, self.context.limits.logs_max);
        let mut log_index = 0;
        for (index, (tx, receipt)) in kept.block.body.transactions.iter().zip(kept.receipts()?).enumerate() {
            for log in &receipt.logs {
                if self.filter.matches(log) {
                    if self.found.len() == limit {
                        let message = format!("query returns more than {limit} logs; ask for fewer blocks");
                        return Err(ApiError::TooLarge(message));
                    }
                    self.found.push(LogJson::new(log, header, kept.at.hash, (index, *tx.tx_hash()), log_index));
                }
                log_index += 1;
            }
        }
        Ok(())
    }
}

/// The number behind a tag; numbers above the head are let through, to be refused as a range.
fn number(view: &ChainView, tag: BlockTag) -> Answer<u64> {
    let named = |block: Option<BlockRef>, name: &str| match block {
        Some(at) => Ok(at.number),
        None => Err(ApiError::server(format!("{name} header not found"))),
    };
    match tag {
        BlockTag::Earliest => Ok(0),
        BlockTag::Number(number) => Ok(number),
        BlockTag::Latest => Ok(view.head().number),
        BlockTag::Pending => Err(ApiError::params("pending logs are not supported")),
        BlockTag::Safe => named(view.safe(), "safe"),
        BlockTag::Finalized => named(view.finalized(), "finalized"),
    }
}
