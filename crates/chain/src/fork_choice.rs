use crate::{
    ChainCore, ChainError, InvalidReason,
    core::{Head, place_of},
    times::Watch,
};
use starling_chainspec::Consensus;
use starling_primitives::{B256, BlockRef, ReadError, U256};
use starling_storage::View;
use std::cmp::Ordering;

/// What became of a head update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetHeadOutcome {
    /// Head, safe and finalized are what was asked for.
    Done,
    /// The head block is unknown here.
    UnknownHead,
    /// The head block, or an ancestor of it, breaks a rule.
    Invalid {
        /// The nearest valid ancestor, if known; the zero hash stands for one from before the merge.
        latest_valid: Option<B256>,
        /// The rule it, or the ancestor, breaks.
        why: InvalidReason,
    },
    /// Safe or finalized are unknown, or not ancestors of the head.
    Inconsistent(String),
    /// The reorg reaches deeper than [`crate::ChainConfig::reorg_depth_max`].
    TooDeep {
        /// Blocks that would be undone.
        depth: u64,
        /// The bound.
        limit: u64,
    },
}

impl ChainCore {
    /// Moves head, safe and finalized to what a consensus client says; a zero hash leaves safe or finalized
    /// as they are. Nothing moves unless all three can.
    pub fn set_head(&mut self, head: B256, safe: B256, finalized: B256) -> Result<SetHeadOutcome, ChainError> {
        if let Some(verdict) = self.invalid.get(&head) {
            return Ok(SetHeadOutcome::Invalid { latest_valid: verdict.latest_valid, why: verdict.why.clone() });
        }
        let current = self.db.view(self.head.at.hash)?;
        let Some(target) = place_of(&current, head)? else { return Ok(SetHeadOutcome::UnknownHead) };
        let below_frontier = target.number < current.frontier().number;
        // Below the frontier only canonical blocks are kept, so the chain up to the target is the present one.
        let chain = if below_frontier { current.clone() } else { self.db.view(head)? };

        let safe = match named_ancestor(&chain, "safe", safe, target, self.safe)? {
            Ok(safe) => safe,
            Err(why) => return Ok(SetHeadOutcome::Inconsistent(why)),
        };
        let finalized = match named_ancestor(&chain, "finalized", finalized, target, self.finalized)? {
            Ok(finalized) => finalized,
            Err(why) => return Ok(SetHeadOutcome::Inconsistent(why)),
        };
        let common = if below_frontier { target } else { common_ancestor(&current, &chain)? };
        let depth = self.head.at.number - common.number;
        if depth > self.config.reorg_depth_max {
            return Ok(SetHeadOutcome::TooDeep { depth, limit: self.config.reorg_depth_max });
        }

        if below_frontier {
            self.rewind(target.number)?;
        }
        if finalized != self.finalized {
            // What is called final must survive a power loss, the blocks under it included.
            self.sync()?;
        }
        self.safe = safe;
        self.finalized = finalized;
        self.move_head(target, common, depth)?;
        Ok(SetHeadOutcome::Done)
    }

    /// Before the merge: the heavier chain leads, the first seen of two equals stays.
    ///
    /// Equals are common with few signers: two blocks out of turn weigh the same. There all must choose alike without
    /// having seen them in the same order, so the shorter chain leads (it had more turns), and of two as long that with
    /// the smaller hash.
    pub(crate) fn follow_difficulty(&mut self, at: BlockRef, total_difficulty: Option<U256>) -> Result<(), ChainError> {
        let (Some(candidate), Some(head)) = (total_difficulty, self.head.total_difficulty) else { return Ok(()) };
        let is_clique = matches!(self.spec.consensus, Consensus::Clique { .. });
        let leads = match candidate.cmp(&head) {
            Ordering::Equal => is_clique && (at.number, at.hash) < (self.head.at.number, self.head.at.hash),
            order => order == Ordering::Greater,
        };
        if leads { self.adopt(at.hash) } else { Ok(()) }
    }

    /// Makes a kept block the head. Safe and finalized stay as they are.
    pub(crate) fn adopt(&mut self, hash: B256) -> Result<(), ChainError> {
        let current = self.db.view(self.head.at.hash)?;
        let Some(target) = place_of(&current, hash)? else {
            return Err(ReadError::Damaged(format!("the block {hash} was kept and is gone")).into());
        };
        let common = common_ancestor(&current, &self.db.view(hash)?)?;
        let depth = self.head.at.number - common.number;
        self.move_head(target, common, depth)
    }

    fn move_head(&mut self, target: BlockRef, common: BlockRef, depth: u64) -> Result<(), ChainError> {
        if depth > 0 && target != common {
            tracing::info!(from = %self.head.at, to = %target, common = %common, depth, "reorg");
            metrics::counter!("chain_reorgs_total").increment(1);
            metrics::histogram!("chain_reorg_depth_blocks").record(depth as f64);
        }
        let mut watch = Watch::start();
        let view = self.db.view(target.hash)?;
        self.head = Head::read(&view, target)?;
        metrics::gauge!("chain_head_block_number").set(target.number as f64);
        self.publish(view, common)?;
        watch.lap(&mut self.times.head);
        Ok(())
    }
}

/// The block that a head update names as safe or finalized, if it is an ancestor of the new head;
/// what was named before stays if the new head still has it.
fn named_ancestor(
    chain: &View,
    what: &str,
    hash: B256,
    head: BlockRef,
    before: Option<BlockRef>,
) -> Result<Result<Option<BlockRef>, String>, ChainError> {
    if hash.is_zero() {
        return Ok(Ok(before));
    }
    let Some(at) = place_of(chain, hash)? else {
        return Ok(Err(format!("the {what} block {hash} is unknown")));
    };
    if at.number > head.number || chain.canonical_hash(at.number)? != Some(hash) {
        return Ok(Err(format!("the {what} block {at} is not an ancestor of the head {head}")));
    }
    Ok(Ok(Some(at)))
}

/// The last block that two chains share. They share the frontier at least.
fn common_ancestor(a: &View, b: &View) -> Result<BlockRef, ChainError> {
    let mut number = a.head().number.min(b.head().number);
    loop {
        let (in_a, in_b) = (a.canonical_hash(number)?, b.canonical_hash(number)?);
        match (in_a, in_b) {
            (Some(a), Some(b)) if a == b => return Ok(BlockRef::new(number, a)),
            _ if number == 0 => {
                return Err(ReadError::Damaged("two kept chains share no block, not even genesis".into()).into());
            }
            _ => number -= 1,
        }
    }
}
