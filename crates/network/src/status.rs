//! What we tell every peer about our chain.

use alloy_primitives::{B256, U256};
use starling_chainspec::{ForkFilter, ForkId};
use starling_devp2p::{
    Protocol,
    eth::{BlockRange, EthVersion, Status, Status68, Status69},
};

/// The chain as peers are told of it; whoever moves the head gives a new one to
/// [`NetworkHandle::set_status`](crate::NetworkHandle::set_status).
#[derive(Debug, Clone)]
pub struct ChainStatus {
    /// Usually the chain id.
    pub network_id: u64,
    /// Hash of block 0.
    pub genesis: B256,
    /// Fork ids as seen from the head.
    pub forks: ForkFilter,
    /// The blocks that we can serve, up to the head.
    pub range: BlockRange,
    /// Up to the head, or to the last block that had a difficulty.
    pub total_difficulty: U256,
    /// Whether the head is a block of proof of stake. Before that only eth/68 is offered: the later versions cannot
    /// say how heavy a chain is.
    pub is_merged: bool,
    /// The highest version that is offered after that.
    pub version_max: EthVersion,
}

impl ChainStatus {
    /// The fork id that we announce.
    pub fn fork_id(&self) -> ForkId {
        self.forks.current()
    }

    pub(crate) fn protocols(&self) -> Vec<Protocol> {
        let max = if self.is_merged { self.version_max } else { EthVersion::V68 };
        EthVersion::up_to(max).map(EthVersion::protocol).collect()
    }

    pub(crate) fn message(&self, version: EthVersion) -> Status {
        let (network_id, genesis, fork_id) = (self.network_id, self.genesis, self.fork_id());
        match version {
            EthVersion::V68 => Status::V68(Status68 {
                network_id,
                total_difficulty: self.total_difficulty,
                head: self.range.latest_hash,
                genesis,
                fork_id,
            }),
            EthVersion::V69 | EthVersion::V70 | EthVersion::V71 | EthVersion::V72 => {
                Status::V69(Status69 { network_id, genesis, fork_id, range: self.range })
            }
        }
    }
}
