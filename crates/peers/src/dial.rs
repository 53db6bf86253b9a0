//! Whom to dial, and when.

use crate::{
    ConnectionId, Direction, KnownPeer, PeerAction, Peers,
    config::{BOOT_AFTER, CANDIDATES_MAX, KNOWN_DIAL_ONE_IN, SUBNET_CONNECTIONS_MAX, SUBNET_DIALS_MAX},
    connection::{Connection, Stage},
    useful::Merits,
};
use rand::RngExt;
use starling_discovery::Host;
use starling_primitives::PeerId;
use std::{
    collections::{BTreeSet, VecDeque},
    net::{IpAddr, SocketAddr},
    time::Instant,
};

/// Who could be dialed.
#[derive(Debug)]
pub(crate) struct Dialing {
    candidates: VecDeque<KnownPeer>,
    boot: Vec<KnownPeer>,
    /// Static peers whose names are being looked up.
    resolving: BTreeSet<PeerId>,
    /// Last time there was a peer.
    peerless_since: Option<Instant>,
    strangers_dialed: u64,
}

impl Dialing {
    pub(crate) fn new(boot: Vec<KnownPeer>, now: Instant) -> Self {
        Self {
            candidates: VecDeque::new(),
            boot,
            resolving: BTreeSet::new(),
            peerless_since: Some(now),
            strangers_dialed: 0,
        }
    }

    /// A candidate waits for a slot; when too many wait, the new one is left out.
    pub(crate) fn offer(&mut self, candidate: KnownPeer) {
        if self.candidates.len() < CANDIDATES_MAX {
            self.candidates.push_back(candidate);
        }
    }

    pub(crate) fn forget(&mut self, id: &PeerId) {
        self.resolving.remove(id);
    }
}

impl Peers {
    /// How many candidates discovery should hand over now; none when all slots are taken.
    pub fn candidates_wanted(&self) -> usize {
        let room = CANDIDATES_MAX - self.dialing.candidates.len();
        (2 * self.dials_free()).min(room)
    }

    /// Dials whom it may: static peers first, then known good ones in turn with candidates, boot nodes when there is
    /// nobody.
    pub(crate) fn dial(&mut self, now: Instant) {
        if self.connections.count(|one| one.stage == Stage::Ready) > 0 {
            self.dialing.peerless_since = None;
        } else {
            self.dialing.peerless_since.get_or_insert(now);
        }
        self.dial_statics(now);
        while self.dials_free() > 0
            && let Some(peer) = self.next_stranger(now)
        {
            self.dialing.strangers_dialed += 1;
            self.start_dial(peer.id, peer.addr, now);
        }
    }

    /// The host name of a static peer has addresses now.
    pub(crate) fn resolved(&mut self, id: PeerId, ips: &[IpAddr], now: Instant) {
        if !self.dialing.resolving.remove(&id) {
            return;
        }
        let Some(enode) = self.statics.get(&id) else { return };
        let tcp = enode.tcp;
        match ips.iter().find(|ip| self.config.allows(**ip)) {
            Some(ip) if !self.connections.has(&id) => self.start_dial(id, SocketAddr::new(*ip, tcp), now),
            Some(_) => {}
            // A name without an address waits as a peer that does not answer.
            None => self.backoffs.dialed(id, SocketAddr::new(IpAddr::from([0, 0, 0, 0]), tcp), true, 0.0, now),
        }
    }

    /// When a dial becomes possible that is not now.
    pub(crate) fn next_dial_at(&self, now: Instant) -> Option<Instant> {
        if self.dials_pending() >= self.config.pending_max {
            return None;
        }
        let statics = self.statics.keys().filter(|id| !self.is_busy(id)).map(|id| self.backoffs.peer_ready_at(id, now));
        let open = self.dials_free() > 0;
        let known = self.known.iter().filter(|peer| open && self.may_dial_later(peer));
        let boot = self.dialing.boot.iter().filter(|peer| open && self.may_dial_later(peer));
        let boot_from = self.dialing.peerless_since.map(|since| since + BOOT_AFTER);
        statics
            .chain(known.map(|peer| self.backoffs.ready_at(&peer.id, &peer.addr, now)))
            .chain(boot.filter_map(|peer| Some(self.backoffs.ready_at(&peer.id, &peer.addr, now).max(boot_from?))))
            .filter(|at| *at > now)
            .min()
    }

    fn dial_statics(&mut self, now: Instant) {
        let due: Vec<_> = self
            .statics
            .values()
            .filter(|enode| !self.is_busy(&enode.id) && self.backoffs.peer_ready_at(&enode.id, now) <= now)
            .cloned()
            .collect();
        for enode in due {
            if self.dials_pending() >= self.config.pending_max {
                return;
            }
            match enode.host {
                Host::Ip(ip) if self.config.allows(ip) => {
                    self.start_dial(enode.id, SocketAddr::new(ip, enode.tcp), now)
                }
                Host::Ip(_) => {}
                Host::Dns(host) => {
                    self.dialing.resolving.insert(enode.id);
                    self.act(PeerAction::Resolve { id: enode.id, host });
                }
            }
        }
    }

    fn next_stranger(&mut self, now: Instant) -> Option<KnownPeer> {
        let known_first = self.dialing.strangers_dialed.is_multiple_of(KNOWN_DIAL_ONE_IN);
        if known_first && let Some(peer) = self.next_known(now) {
            return Some(peer);
        }
        while let Some(peer) = self.dialing.candidates.pop_front() {
            // One that may not be dialed now comes again from discovery.
            if self.may_dial(&peer, now) {
                return Some(peer);
            }
        }
        self.next_known(now).or_else(|| self.next_boot(now))
    }

    fn next_known(&mut self, now: Instant) -> Option<KnownPeer> {
        let due: Vec<_> = self.known.iter().filter(|peer| self.may_dial(peer, now)).collect();
        (!due.is_empty()).then(|| due[self.rng.random_range(0..due.len())])
    }

    fn next_boot(&mut self, now: Instant) -> Option<KnownPeer> {
        let since = self.dialing.peerless_since.filter(|since| now.saturating_duration_since(*since) >= BOOT_AFTER);
        since.and_then(|_| self.dialing.boot.iter().find(|peer| self.may_dial(peer, now)).copied())
    }

    fn may_dial(&self, peer: &KnownPeer, now: Instant) -> bool {
        self.may_dial_later(peer)
            && self.backoffs.ready_at(&peer.id, &peer.addr, now) <= now
            && !self.bans.holds_peer(&peer.id, now)
            && !self.bans.holds_address(peer.addr.ip(), now)
    }

    /// Whether only time stands between the peer and a dial.
    fn may_dial_later(&self, peer: &KnownPeer) -> bool {
        let ip = peer.addr.ip();
        peer.id != self.config.local_id
            && peer.addr.port() != 0
            && !self.is_busy(&peer.id)
            && self.config.allows(ip)
            && self.connections.neighbours(ip, |one| one.direction == Direction::Outbound) < SUBNET_DIALS_MAX
            && self.connections.neighbours(ip, |_| true) < SUBNET_CONNECTIONS_MAX
    }

    fn is_busy(&self, id: &PeerId) -> bool {
        self.connections.has(id) || self.dialing.resolving.contains(id)
    }

    fn start_dial(&mut self, id: PeerId, addr: SocketAddr, now: Instant) {
        let connection: ConnectionId = self.next_connection();
        let wanted = self.is_static(&id) || self.known.contains(&id);
        let jitter = self.rng.random_range(0.0..1.0);
        self.backoffs.dialed(id, addr, wanted, jitter, now);
        self.connections.insert(
            connection,
            Connection {
                direction: Direction::Outbound,
                addr,
                id: Some(id),
                stage: Stage::Dialing,
                since: now,
                merits: Merits::new(now),
            },
        );
        self.act(PeerAction::Dial { connection, id, addr });
    }

    fn dials_pending(&self) -> usize {
        self.connections.count(|one| one.stage == Stage::Dialing) + self.dialing.resolving.len()
    }

    /// Dials of strangers that may begin now: twice the free slots, since many fail.
    fn dials_free(&self) -> usize {
        let ordinary =
            |one: &Connection| one.direction == Direction::Outbound && one.id.is_some_and(|id| !self.is_named(&id));
        let taken = self.connections.count(|one| ordinary(one) && one.is_peer());
        let slots = self.config.outbound_max().saturating_sub(taken);
        let dialing = self.connections.count(|one| ordinary(one) && one.stage == Stage::Dialing);
        (2 * slots).saturating_sub(dialing).min(self.config.pending_max.saturating_sub(self.dials_pending()))
    }
}
