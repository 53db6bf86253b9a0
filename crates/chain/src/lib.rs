//! The single owner of the head: import, fork choice, reorg, finality.
//!
//! `ChainCore` is synchronous and testable; a thin actor drives it on a thread of its own and
//! [`ChainHandle`] speaks with it. Readers never do: they take [`ChainHandle::view`].

use starling_chainspec::ChainSpec;
use starling_primitives::{B256, BlockRef, ReadError};
use starling_state::ChainView;
use starling_validation::PreparedBlock;
use std::sync::Arc;

/// A way to the chain. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ChainHandle {
    spec: Arc<ChainSpec>,
}

/// What became of an imported block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportOutcome {
    /// Executed, valid, kept. Before the merge it may have become the head.
    Valid,
    /// Valid and kept already.
    Known,
    /// Its parent is known but its state is not at hand any more: kept aside, not executed.
    Accepted,
    /// Its parent is unknown.
    UnknownParent,
    /// Invalid, or a descendant of an invalid block.
    Invalid {
        /// The last valid ancestor, if known.
        latest_valid: Option<B256>,
        /// The rule it breaks.
        why: String,
    },
}

/// What became of a head update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetHeadOutcome {
    /// The head is what was asked for.
    Done,
    /// The head block is unknown here.
    UnknownHead,
    /// The head block, or an ancestor, is invalid.
    Invalid {
        /// The last valid ancestor, if known.
        latest_valid: Option<B256>,
        /// The rule it breaks.
        why: String,
    },
    /// Safe or finalized are not ancestors of the head, or unknown.
    InconsistentState(String),
    /// The reorg would reach deeper than `--engine.maxreorgdepth`.
    TooDeep {
        /// Blocks to be undone.
        depth: u64,
        /// The bound.
        limit: u64,
    },
}

/// The chain cannot take commands now. Says nothing of the block.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ChainError {
    /// The disk is full; it resumes by itself.
    #[error("{0}")]
    DiskFull(String),
    /// State could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Writing failed for good; the node must be started again.
    #[error("{0}")]
    Write(String),
    /// The node is shutting down.
    #[error("the node is shutting down")]
    Closed,
}

/// Something happened to the chain.
#[derive(Debug, Clone)]
pub enum ChainEvent {
    /// The head moved; the view shows the new chain.
    HeadMoved {
        /// The new head.
        head: BlockRef,
        /// The last block that old and new chain share.
        common: BlockRef,
    },
}

impl ChainHandle {
    /// The chain's rules.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.spec
    }

    /// The chain as it stands. Never waits.
    pub fn view(&self) -> Arc<ChainView> {
        todo!()
    }

    /// Checks, executes and keeps a block.
    pub async fn import(&self, block: PreparedBlock) -> Result<ImportOutcome, ChainError> {
        let _ = block;
        todo!()
    }

    /// Moves head, safe and finalized (zero hashes leave safe and finalized alone).
    pub async fn set_head(&self, head: B256, safe: B256, finalized: B256) -> Result<SetHeadOutcome, ChainError> {
        let _ = (head, safe, finalized);
        todo!()
    }

    /// The last invalid blocks, newest first, at most 16, with the rule each broke.
    pub fn bad_blocks(&self) -> Vec<(PreparedBlock, String)> {
        todo!()
    }

    /// Events from now on. A receiver that lags loses the oldest and is told.
    pub fn events(&self) -> tokio::sync::broadcast::Receiver<ChainEvent> {
        todo!()
    }
}
