//! Peers that were good once, so that a node never forgets its way back.

use starling_primitives::PeerId;
use std::{collections::BTreeMap, net::SocketAddr, time::Instant};

/// Peers that are remembered; beyond, the one not seen for the longest is forgotten.
pub const KNOWN_MAX: usize = 64;

/// A peer that was connected and useful.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownPeer {
    /// Its name.
    pub id: PeerId,
    /// Where it listened.
    pub addr: SocketAddr,
}

/// Addresses of peers that were good, the ones that were dialed themselves (an inbound peer's port is not where it
/// listens). They survive restarts through whoever keeps [`crate::Peers::known_good`].
#[derive(Debug, Default)]
pub(crate) struct KnownGood {
    peers: BTreeMap<PeerId, (SocketAddr, Instant)>,
}

impl KnownGood {
    pub(crate) fn insert(&mut self, peer: KnownPeer, now: Instant) {
        if self.peers.len() >= KNOWN_MAX
            && !self.peers.contains_key(&peer.id)
            && let Some(oldest) = self.peers.iter().min_by_key(|(id, (_, seen))| (*seen, **id)).map(|(id, _)| *id)
        {
            self.peers.remove(&oldest);
        }
        self.peers.insert(peer.id, (peer.addr, now));
    }

    /// A known peer listens elsewhere now; whether that is news.
    pub(crate) fn moved(&mut self, peer: &PeerId, addr: SocketAddr) -> bool {
        self.peers.get_mut(peer).is_some_and(|(known, _)| std::mem::replace(known, addr) != addr)
    }

    pub(crate) fn remove(&mut self, peer: &PeerId) {
        self.peers.remove(peer);
    }

    pub(crate) fn contains(&self, peer: &PeerId) -> bool {
        self.peers.contains_key(peer)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = KnownPeer> {
        self.peers.iter().map(|(id, (addr, _))| KnownPeer { id: *id, addr: *addr })
    }
}
