//! Sets of hashes that forget the oldest.

use starling_primitives::B256;
use std::collections::{BTreeSet, VecDeque};

/// Blocks of which it is remembered that a peer knows them. When full, the oldest is forgotten, and may be told again.
const KNOWN_PER_PEER_MAX: usize = 1_024;

/// A set of so many hashes at most.
#[derive(Debug)]
pub(super) struct Hashes {
    set: BTreeSet<B256>,
    order: VecDeque<B256>,
    max: usize,
}

impl Hashes {
    pub(super) fn new(max: usize) -> Self {
        Self { set: BTreeSet::new(), order: VecDeque::new(), max }
    }

    pub(super) fn insert(&mut self, hash: B256) {
        if !self.set.insert(hash) {
            return;
        }
        self.order.push_back(hash);
        if self.order.len() > self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
    }

    pub(super) fn contains(&self, hash: &B256) -> bool {
        self.set.contains(hash)
    }
}

/// What a peer knows.
#[derive(Debug)]
pub(super) struct KnownBlocks(Hashes);

impl Default for KnownBlocks {
    fn default() -> Self {
        Self(Hashes::new(KNOWN_PER_PEER_MAX))
    }
}

impl KnownBlocks {
    pub(super) fn insert(&mut self, hash: B256) {
        self.0.insert(hash);
    }

    pub(super) fn contains(&self, hash: &B256) -> bool {
        self.0.contains(hash)
    }
}
