//! The connections there are, and how many of each kind.

use crate::{ConnectionId, Direction, Subnet, subnet::is_local, useful::Merits};
use starling_primitives::PeerId;
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::Instant,
};

/// How far a connection has come.
///
/// ```text
/// Dialing ──┐                ┌─► Held ─┐
///           ├─ identified ───┤         ├─► Kept ─ Status ─► Ready        any ─ drop ─► Closing ─► gone
/// Shaking ──┘                └─────────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// We connect and shake hands.
    Dialing,
    /// It came in and shakes hands.
    Shaking,
    /// The peer is proven, but there is a second connection with it.
    Held { until: Instant },
    /// Has a slot and exchanges Status.
    Kept,
    /// A peer.
    Ready,
    /// Told to end.
    Closing,
}

/// One connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connection {
    pub(crate) direction: Direction,
    pub(crate) addr: SocketAddr,
    /// Proven from `Held` on; before, who was dialed.
    pub(crate) id: Option<PeerId>,
    pub(crate) stage: Stage,
    /// When it reached this stage.
    pub(crate) since: Instant,
    pub(crate) merits: Merits,
}

impl Connection {
    /// Whether it holds a slot.
    pub(crate) fn is_peer(&self) -> bool {
        matches!(self.stage, Stage::Kept | Stage::Ready)
    }
}

/// All connections by name.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    all: BTreeMap<ConnectionId, Connection>,
}

impl Connections {
    pub(crate) fn insert(&mut self, id: ConnectionId, connection: Connection) {
        self.all.insert(id, connection);
    }

    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        self.all.remove(&id)
    }

    pub(crate) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.all.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.all.get_mut(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Connection)> {
        self.all.iter().map(|(id, connection)| (*id, connection))
    }

    pub(crate) fn count(&self, wanted: impl Fn(&Connection) -> bool) -> usize {
        self.all.values().filter(|connection| wanted(connection)).count()
    }

    /// The connection with a peer that has a slot.
    pub(crate) fn peer(&self, peer: &PeerId) -> Option<ConnectionId> {
        self.find(|connection| connection.is_peer() && connection.id == Some(*peer))
    }

    /// The second connection with a peer, which waits.
    pub(crate) fn held(&self, peer: &PeerId) -> Option<ConnectionId> {
        self.find(|connection| matches!(connection.stage, Stage::Held { .. }) && connection.id == Some(*peer))
    }

    /// Whether there is any connection with a peer, or will be soon.
    pub(crate) fn has(&self, peer: &PeerId) -> bool {
        self.find(|connection| connection.stage != Stage::Closing && connection.id == Some(*peer)).is_some()
    }

    /// Connections of a neighbourhood of addresses; none are counted among local ones.
    pub(crate) fn neighbours(&self, ip: IpAddr, wanted: impl Fn(&Connection) -> bool) -> usize {
        if is_local(ip) {
            return 0;
        }
        let neighbourhood = Subnet::neighbourhood(ip);
        self.count(|connection| {
            connection.stage != Stage::Closing && neighbourhood.contains(connection.addr.ip()) && wanted(connection)
        })
    }

    fn find(&self, wanted: impl Fn(&Connection) -> bool) -> Option<ConnectionId> {
        self.all.iter().find(|(_, connection)| wanted(connection)).map(|(id, _)| *id)
    }
}
