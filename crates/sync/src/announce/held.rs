//! Blocks that wait: for their time, or for their parent.

use super::Claim;
use starling_primitives::{B256, PeerId};
use starling_validation::PreparedBlock;
use std::{sync::Arc, time::Instant};

/// Blocks that wait. When full, the one that has waited longest goes.
const HELD_MAX: usize = 64;
/// Their bytes together. When full, those that have waited longest go.
const HELD_BYTES_MAX: usize = 32 << 20;
/// Blocks of one peer that wait. When full, its oldest goes.
const HELD_PER_PEER_MAX: usize = 16;

/// What a block waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    /// This moment, the block's own.
    Until(Instant),
    /// This block.
    Parent(B256),
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// In the order in which they came.
    blocks: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    from: PeerId,
    block: Arc<PreparedBlock>,
    claim: Option<Claim>,
    waits: Waits,
}

impl Held {
    pub(super) fn hold(&mut self, from: PeerId, block: Arc<PreparedBlock>, claim: Option<Claim>, waits: Waits) {
        if self.contains(&block.hash) {
            return;
        }
        if self.blocks.iter().filter(|one| one.from == from).count() >= HELD_PER_PEER_MAX
            && let Some(oldest) = self.blocks.iter().position(|one| one.from == from)
        {
            self.blocks.remove(oldest);
        }
        self.blocks.push(Waiting { from, block, claim, waits });
        while self.blocks.len() > HELD_MAX || self.size_bytes() > HELD_BYTES_MAX {
            self.blocks.remove(0);
        }
    }

    pub(super) fn contains(&self, hash: &B256) -> bool {
        self.blocks.iter().any(|one| one.block.hash == *hash)
    }

    /// Those who waited for a block wait no more.
    pub(super) fn parent_came(&mut self, parent: &B256, now: Instant) {
        let children = self.blocks.iter_mut().filter(|one| one.waits == Waits::Parent(*parent));
        children.for_each(|child| child.waits = Waits::Until(now));
    }

    /// Takes out those whose time has come.
    pub(super) fn ripe(&mut self, now: Instant) -> Vec<(PeerId, Arc<PreparedBlock>, Option<Claim>)> {
        let is_ripe = |one: &mut Waiting| matches!(one.waits, Waits::Until(at) if at <= now);
        self.blocks.extract_if(.., is_ripe).map(|one| (one.from, one.block, one.claim)).collect()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let times = self.blocks.iter().filter_map(|one| match one.waits {
            Waits::Until(at) => Some(at),
            Waits::Parent(_) => None,
        });
        times.min()
    }

    fn size_bytes(&self) -> usize {
        self.blocks.iter().map(|one| one.block.rlp.len()).sum()
    }
}
