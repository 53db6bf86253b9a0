//! What changed between two heads.

use crate::{
    RpcContext,
    api::Answer,
    convert::{HeaderJson, LogJson},
    eth::{LogFilter, logs_of},
    tags::kept_block,
};
use starling_primitives::BlockRef;
use starling_state::{BlockId, ChainView};

/// Blocks that are told of when the head jumps; of a longer way only the last are, and of as many that left.
const BLOCKS_MAX: usize = 256;

/// The blocks that left the chain, the highest first, and those that came, the lowest first.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) left: Vec<BlockRef>,
    pub(crate) came: Vec<BlockRef>,
}

impl Change {
    /// What lies between an earlier head and a view's.
    pub(crate) fn since(old: BlockRef, view: &ChainView) -> Answer<Self> {
        let mut change = Self::default();
        let mut at = old;
        while !(at.number <= view.head().number && view.is_canonical(at)?) && change.left.len() < BLOCKS_MAX {
            let Some(header) = view.header(BlockId::Hash(at.hash))? else { break };
            change.left.push(at);
            let Some(number) = at.number.checked_sub(1) else { break };
            at = BlockRef { number, hash: header.parent_hash };
        }
        let head = view.head().number;
        let first = (at.number + 1).max((head + 1).saturating_sub(BLOCKS_MAX as u64));
        for number in first..=head {
            change.came.extend(view.find(BlockId::Number(number))?);
        }
        Ok(change)
    }

    /// The headers of the blocks that came.
    pub(crate) fn headers(&self, view: &ChainView) -> Answer<Vec<HeaderJson>> {
        let header = |at: &BlockRef| {
            let header = view.header(BlockId::Hash(at.hash))?;
            Ok(header.map(|header| HeaderJson::new(&header, at.hash)))
        };
        self.came.iter().filter_map(|at| header(at).transpose()).collect()
    }

    /// The logs that left and those that came.
    pub(crate) fn logs(&self, context: &RpcContext, view: &ChainView, filter: &LogFilter) -> Answer<Vec<LogJson>> {
        let mut logs = Vec::new();
        for (blocks, removed) in [(&self.left, true), (&self.came, false)] {
            for at in blocks {
                let id = BlockId::Hash(at.hash);
                let may_match = view.header(id)?.is_some_and(|header| filter.may_match(&header.logs_bloom));
                if may_match && let Some(kept) = kept_block(view, id)? {
                    let found = logs_of(context, filter, &kept)?;
                    logs.extend(found.into_iter().map(|log| if removed { log.removed() } else { log }));
                }
            }
        }
        Ok(logs)
    }
}
