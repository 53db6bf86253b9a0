//! Fork ids: how two nodes tell at the first message whether they follow one chain
//! ([EIP-2124](https://eips.ethereum.org/EIPS/eip-2124), with timestamps
//! [EIP-6122](https://eips.ethereum.org/EIPS/eip-6122)).
//!
//! A fork id is the CRC-32 of the genesis hash and of every fork point passed, and the next point to
//! come. Points at genesis and points that coincide count once or not at all.

use crate::{Activation, ChainSpec};
pub use alloy_eip2124::{ForkFilter, ForkHash, ForkId, ValidationError as ForkIdError};
use alloy_eip2124::{ForkFilterKey, Head};

impl ChainSpec {
    /// The fork id that a node announces whose head has that number and timestamp.
    pub fn fork_id(&self, head_number: u64, head_timestamp: u64) -> ForkId {
        self.fork_filter(head_number, head_timestamp).current()
    }

    /// What accepts or refuses the fork ids of others, as seen from that head.
    pub fn fork_filter(&self, head_number: u64, head_timestamp: u64) -> ForkFilter {
        let head = Head { number: head_number, timestamp: head_timestamp, ..Default::default() };
        let extra = self.merge_netsplit_block.into_iter().chain(self.dao_fork_refused_block);
        let points = self.forks.iter().map(|(_, activation)| match *activation {
            Activation::Block(block) => ForkFilterKey::Block(block),
            Activation::Time(time) => ForkFilterKey::Time(time),
        });
        let points = points.chain(extra.map(ForkFilterKey::Block));
        ForkFilter::new(head, self.genesis_hash(), self.genesis_header.timestamp, points)
    }
}
