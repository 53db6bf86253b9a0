use crate::{
    ChainCore, ChainError,
    core::{Head, header_of},
};
use starling_primitives::{BlockRef, BranchChanges, ReadError, StateDiff};
use starling_state::StateView;
use starling_storage::View;
use starling_trie::TrieUpdate;

impl ChainCore {
    /// Goes back to a block of the canonical chain. The blocks above it are forgotten; safe and finalized
    /// come down with the head.
    pub fn rewind(&mut self, to: u64) -> Result<BlockRef, ChainError> {
        let view = self.db.view(self.head.at.hash)?;
        let Some(hash) = view.canonical_hash(to)? else {
            return Err(ReadError::NotKept {
                block: to,
                why: format!("the head is block {}; rewind goes back, not forward", self.head.at.number),
            }
            .into());
        };
        let target = BlockRef::new(to, hash);
        if target == self.head.at {
            return Ok(target);
        }
        let below = |place: Option<BlockRef>| place.filter(|place| place.number <= to);
        (self.safe, self.finalized) = (below(self.safe), below(self.finalized));
        self.db.rollback(to, &mut |diff, view| branches_back(diff, view, to).map_err(|error| error.to_string()))?;
        let view = self.db.view(hash)?;
        self.head = Head::read(&view, target)?;
        self.publish(view, target)?;
        tracing::info!(head = %target, "rewound");
        Ok(target)
    }
}

/// The branch rows after a step back from the frontier, once its root is that of a block on the way to `to`.
fn branches_back(diff: &mut StateDiff, view: &View, to: u64) -> Result<BranchChanges, ChainError> {
    let TrieUpdate { root, branches } = starling_trie::update(&StateView::new(view.clone()), diff)?;
    // Storage takes steps of its own length: the block that this one leads to is found by its root, nearest first.
    let mut number = view.frontier().number;
    while number > to {
        number -= 1;
        let hash = view.canonical_hash(number)?;
        let hash = hash.ok_or_else(|| ReadError::Damaged(format!("no header for block {number}")))?;
        if header_of(view, BlockRef::new(number, hash))?.state_root == root {
            return Ok(branches);
        }
    }
    Err(ReadError::Damaged(format!("going back to block {to} leads to state root {root}, which no block has")).into())
}
