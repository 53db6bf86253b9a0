use alloy_primitives::map::HashSet;
use starling_primitives::TxHash;
use std::collections::VecDeque;

/// Transactions that a peer is remembered to know; beyond, the oldest are forgotten and may be sent twice.
const KNOWN_MAX: usize = 32_768;

/// What a peer told us or was told.
///
/// Eight bytes of each hash are kept. Whoever makes two transactions that share them keeps one from reaching a peer by
/// this node, which is nothing.
#[derive(Debug, Default)]
pub(super) struct KnownSet {
    hashes: HashSet<u64>,
    order: VecDeque<u64>,
}

fn short(hash: &TxHash) -> u64 {
    hash.0.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

impl KnownSet {
    pub(super) fn contains(&self, hash: &TxHash) -> bool {
        self.hashes.contains(&short(hash))
    }

    pub(super) fn insert(&mut self, hash: &TxHash) {
        let hash = short(hash);
        if !self.hashes.insert(hash) {
            return;
        }
        if self.order.len() == KNOWN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.hashes.remove(&oldest);
        }
        self.order.push_back(hash);
    }
}
