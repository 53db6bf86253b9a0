//! Blocks from the consensus client whose parent is unknown: used when the sync gets to them.

use starling_primitives::B256;
use starling_validation::PreparedBlock;
use std::{collections::VecDeque, sync::Arc};

/// Blocks kept; an epoch's and more.
const PAYLOADS_MAX: usize = 64;
/// Bytes of RLP kept.
const PAYLOADS_BYTES_MAX: usize = 32 << 20;

/// The last payloads. When full, the oldest is dropped: peers have it too.
#[derive(Debug, Default)]
pub(crate) struct Payloads {
    blocks: VecDeque<Arc<PreparedBlock>>,
    bytes: usize,
}

impl Payloads {
    pub(crate) fn insert(&mut self, block: Arc<PreparedBlock>) {
        if self.get(&block.hash).is_some() {
            return;
        }
        self.bytes += block.rlp.len();
        self.blocks.push_back(block);
        while self.blocks.len() > PAYLOADS_MAX || self.bytes > PAYLOADS_BYTES_MAX {
            let Some(oldest) = self.blocks.pop_front() else { return };
            self.bytes -= oldest.rlp.len();
        }
    }

    pub(crate) fn get(&self, hash: &B256) -> Option<&Arc<PreparedBlock>> {
        self.blocks.iter().find(|block| block.hash == *hash)
    }

    /// Adds the kept blocks that descend from one of these hashes.
    pub(crate) fn add_descendants(&self, hashes: &mut Vec<B256>) {
        // Children come after their parents, mostly; what came before is found in the next turn.
        loop {
            let before = hashes.len();
            for block in &self.blocks {
                if !hashes.contains(&block.hash) && hashes.contains(&block.block.header.parent_hash) {
                    hashes.push(block.hash);
                }
            }
            if hashes.len() == before {
                return;
            }
        }
    }

    /// Forgets the blocks up to a height: they are kept by the chain, or no longer wanted.
    pub(crate) fn forget_up_to(&mut self, number: u64) {
        self.blocks.retain(|block| block.at().number > number);
        self.bytes = self.blocks.iter().map(|block| block.rlp.len()).sum();
    }
}
