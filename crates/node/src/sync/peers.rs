//! What peers said of their chains, kept current.

use starling_devp2p::eth::{EthMessage, EthVersion, Status};
use starling_peers::ConnectionId;
use starling_primitives::{Header, PeerId, keccak256};
use starling_state::ChainView;
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
    pub(super) fn update(&mut self, peer: &PeerId, message: &EthMessage, view: &ChainView) -> Option<PeerInfo> {
        let (_, info) = self.peers.get_mut(peer)?;
        match message {
            EthMessage::BlockRangeUpdate(range) => {
                info.head = range.latest_hash;
                info.range = Some(*range);
            }
            // Only before the merge, where the claim is compared with what is checked.
            EthMessage::NewBlock(announced) if !view.spec().is_proof_of_stake(view.head_header()) => {
                info.head = keccak256(header_of(&announced.block)?);
                info.total_difficulty = Some(announced.total_difficulty);
            }
            _ => return None,
        }
        Some(*info)
    }
}

/// The bytes of a block's first item.
fn header_of(mut block: &[u8]) -> Option<&[u8]> {
    let mut items = alloy_rlp::Header::decode_bytes(&mut block, true).ok()?;
    let whole = items;
    let _: Header = alloy_rlp::Decodable::decode(&mut items).ok()?;
    whole.get(..whole.len() - items.len())
}
