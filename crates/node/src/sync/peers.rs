//! What peers said of their chains, kept current.

use super::blocks::Claim;
use starling_devp2p::eth::{EthMessage, EthVersion, Status};
use starling_peers::ConnectionId;
use starling_primitives::PeerId;
use starling_sync::PeerInfo;
use std::collections::HashMap;

/// The connected peers; the network bounds their number.
#[derive(Debug, Default)]
pub(super) struct Peers {
    peers: HashMap<PeerId, (ConnectionId, PeerInfo)>,
}

impl Peers {
    pub(super) fn join(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        version: EthVersion,
        status: &Status,
    ) -> PeerInfo {
        let info = match status {
            Status::V68(status) => {
                PeerInfo { version, head: status.head, range: None, total_difficulty: Some(status.total_difficulty) }
            }
            Status::V69(status) => {
                PeerInfo { version, head: status.range.latest_hash, range: Some(status.range), total_difficulty: None }
            }
        };
        self.peers.insert(peer, (connection, info));
        info
    }

    pub(super) fn leave(&mut self, peer: &PeerId) {
        self.peers.remove(peer);
    }

    pub(super) fn connection(&self, peer: &PeerId) -> Option<ConnectionId> {
        self.peers.get(peer).map(|(connection, _)| *connection)
    }

    /// What holds of a peer after a message from it; none if nothing new does.
    pub(super) fn update(&mut self, peer: &PeerId, message: &EthMessage) -> Option<PeerInfo> {
        let (_, info) = self.peers.get_mut(peer)?;
        let EthMessage::BlockRangeUpdate(range) = message else { return None };
        info.head = range.latest_hash;
        info.range = Some(*range);
        Some(*info)
    }

    /// The same after it claimed a head by NewBlock.
    pub(super) fn claim(&mut self, claim: &Claim) -> Option<PeerInfo> {
        let (_, info) = self.peers.get_mut(&claim.peer)?;
        info.head = claim.head;
        info.total_difficulty = Some(claim.total_difficulty);
        Some(*info)
    }
}
