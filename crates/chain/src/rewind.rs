use crate::{ChainCore, ChainError, core::Head};
use starling_primitives::{BlockRef, ReadError};

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
        self.db.rollback(to)?;
        let view = self.db.view(hash)?;
        self.head = Head::read(&view, target)?;
        self.publish(view, target)?;
        tracing::info!(head = %target, "rewound");
        Ok(target)
    }
}
