use alloy_primitives::{B256, map::B256Map};
use starling_execution::BlockError;
use starling_validation::{HeaderError, PrepareError, PreparedBlock};
use std::{collections::VecDeque, sync::Arc};

/// How many invalid hashes are remembered, about 100 bytes each: a few branches as long as a sync names them at most
/// (`REFUSED_DESCENDANTS_MAX` in the crate sync). Past it the oldest is forgotten: its block would be executed and refused
/// again.
const INVALID_HASHES_MAX: usize = 4096;
/// How many invalid blocks are kept whole for people to look at.
const BAD_BLOCKS_MAX: usize = 16;

/// The rule that a block breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReason {
    /// One that is checked without running the block.
    #[error(transparent)]
    Check(#[from] HeaderError),
    /// Its body is the one that the header names, and cannot be read.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// It does not run, or not to what its header says.
    #[error(transparent)]
    Execute(#[from] BlockError),
    /// It runs to another state.
    #[error("state root {header}, running the block gave {computed}")]
    StateRoot {
        /// In the header.
        header: B256,
        /// By running the block.
        computed: B256,
    },
}

/// An invalid block, whole.
#[derive(Debug, Clone)]
pub struct BadBlock {
    /// The block.
    pub block: Arc<PreparedBlock>,
    /// The rule it breaks.
    pub why: InvalidReason,
}

/// A block that somebody else found to break a rule, with those known to descend from it.
#[derive(Debug, Clone)]
pub struct RefusedBlock {
    /// Its hash.
    pub hash: B256,
    /// Its parent's.
    pub parent_hash: B256,
    /// The rule it breaks; none where the chain has refused it itself.
    pub why: Option<InvalidReason>,
    /// Hashes of its descendants, in any order.
    pub descendants: Vec<B256>,
}

/// Why a hash is known to be invalid.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// The nearest valid ancestor.
    pub(crate) latest_valid: Option<B256>,
    pub(crate) why: InvalidReason,
}

/// Blocks found invalid, and their descendants as they come.
#[derive(Debug, Default)]
pub(crate) struct InvalidBlocks {
    /// A branch shares its verdict.
    verdicts: B256Map<Arc<Verdict>>,
    order: VecDeque<B256>,
    bad: VecDeque<BadBlock>,
}

impl InvalidBlocks {
    pub(crate) fn get(&self, hash: &B256) -> Option<&Arc<Verdict>> {
        self.verdicts.get(hash)
    }

    /// Keeps a block that broke a rule itself, for people.
    pub(crate) fn show(&mut self, block: BadBlock) {
        self.bad.truncate(BAD_BLOCKS_MAX - 1);
        self.bad.push_front(block);
    }

    /// Remembers the hash of a block that broke a rule itself, or descends from one that did.
    pub(crate) fn insert(&mut self, hash: B256, verdict: Arc<Verdict>) {
        if self.verdicts.insert(hash, verdict).is_some() {
            return;
        }
        self.order.push_back(hash);
        if self.order.len() > INVALID_HASHES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.verdicts.remove(&oldest);
        }
    }

    /// The last invalid blocks, newest first.
    pub(crate) fn bad_blocks(&self) -> Vec<BadBlock> {
        self.bad.iter().cloned().collect()
    }
}
