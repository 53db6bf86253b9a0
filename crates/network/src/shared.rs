//! What the sessions, the manager and the handles share: who is connected.

use crate::{
    ChainStatus,
    event::{EventSender, NetworkEvent},
    outbox::Outbox,
};
use parking_lot::RwLock;
use starling_devp2p::{
    Capability,
    eth::{BlockRange, EthVersion, Status},
};
use starling_peers::{ConnectionId, Direction, DropReason};
use starling_primitives::{NodeKey, PeerId};
use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Instant};
use tokio::sync::watch;

/// Shared by everything in the network.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) key: NodeKey,
    pub(crate) client_id: String,
    pub(crate) status: watch::Sender<ChainStatus>,
    pub(crate) events: EventSender,
    peers: RwLock<HashMap<PeerId, Arc<Peer>>>,
}

/// A connected peer.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) id: PeerId,
    pub(crate) connection: ConnectionId,
    pub(crate) direction: Direction,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) remote: SocketAddr,
    pub(crate) client_id: String,
    pub(crate) capabilities: Vec<Capability>,
    pub(crate) version: EthVersion,
    pub(crate) status: Status,
    /// The last range that the peer told of.
    pub(crate) range: RwLock<Option<BlockRange>>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) since: Instant,
}

impl Shared {
    pub(crate) fn new(
        key: NodeKey,
        client_id: String,
        status: watch::Sender<ChainStatus>,
        events: EventSender,
    ) -> Arc<Self> {
        Arc::new(Self { key, client_id, status, events, peers: RwLock::default() })
    }

    pub(crate) fn peer(&self, id: &PeerId) -> Option<Arc<Peer>> {
        self.peers.read().get(id).cloned()
    }

    pub(crate) fn peers(&self) -> Vec<Arc<Peer>> {
        self.peers.read().values().cloned().collect()
    }

    pub(crate) fn peer_count(&self) -> usize {
        self.peers.read().len()
    }

    /// Makes a peer known and tells the owner. A second connection takes the place of the first, of which the owner
    /// hears no more.
    pub(crate) async fn join(&self, peer: Arc<Peer>) {
        let (id, connection, version, status) = (peer.id, peer.connection, peer.version, peer.status.clone());
        let before = self.peers.write().insert(id, peer);
        if let Some(before) = before {
            let reason = DropReason::AlreadyConnected;
            self.events.tell(NetworkEvent::Gone { peer: id, connection: before.connection, reason }).await;
        }
        self.events.tell(NetworkEvent::Ready { peer: id, connection, version, status }).await;
    }

    /// Forgets a peer and tells the owner, unless another connection has taken its place.
    pub(crate) async fn leave(&self, peer: &Peer, reason: DropReason) {
        peer.outbox.close();
        let left = {
            let mut peers = self.peers.write();
            let is_there = peers.get(&peer.id).is_some_and(|there| there.connection == peer.connection);
            is_there.then(|| peers.remove(&peer.id)).is_some()
        };
        if left {
            self.events.tell(NetworkEvent::Gone { peer: peer.id, connection: peer.connection, reason }).await;
        }
    }
}
