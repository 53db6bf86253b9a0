//! The set of peers: events in, actions out.

use crate::{
    ConnectionId, Direction, DropLog, DropReason, KnownPeer, Offence, PeerAction, PeerEvent, PeersConfig,
    backoff::Backoffs,
    ban::Bans,
    config::{NAMED_PEERS_MAX, PURGE_EVERY, ROTATED_PEER_WAIT, USELESS_PEER_WAIT},
    connection::{Connection, Connections, Stage},
    dial::Dialing,
    drops::Drop,
    known::KnownGood,
    reputation::{Reputations, Verdict},
    rotation::Rotation,
    throttle::Throttle,
    useful::Merits,
};
use rand::{SeedableRng, rngs::StdRng};
use starling_discovery::Enode;
use starling_primitives::PeerId;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    time::Instant,
};

/// Decides whom to talk to. See the crate's page.
#[derive(Debug)]
pub struct Peers {
    pub(crate) config: PeersConfig,
    pub(crate) rng: StdRng,

    // who is wanted
    pub(crate) statics: BTreeMap<PeerId, Enode>,
    pub(crate) trusted: BTreeSet<PeerId>,
    pub(crate) known: KnownGood,
    pub(crate) dialing: Dialing,

    // who is there
    pub(crate) connections: Connections,
    next_connection: u64,

    // what is thought of them
    pub(crate) backoffs: Backoffs,
    pub(crate) bans: Bans,
    reputations: Reputations,
    pub(crate) throttle: Throttle,
    rotation: Rotation,
    drops: DropLog,

    actions: VecDeque<PeerAction>,
    purge_at: Instant,
    stopping: bool,
}

/// How many connections there are of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PeerCounts {
    /// Peers that dialed us.
    pub inbound: usize,
    /// Peers that we dialed.
    pub outbound: usize,
    /// Dials under way.
    pub dialing: usize,
    /// Connections that came in and shake hands.
    pub shaking: usize,
}

/// The peers that an operator named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedPeers {
    /// Those that are dialed until they answer.
    pub statics: Vec<Enode>,
    /// Those that are always let in.
    pub trusted: Vec<PeerId>,
}

impl Peers {
    /// No peers yet. `boot` are dialed when there is nobody else, `known` are peers that were good in an earlier run,
    /// and all that is random follows from `seed`.
    pub fn new(config: PeersConfig, boot: Vec<KnownPeer>, known: Vec<KnownPeer>, seed: u64, now: Instant) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut good = KnownGood::default();
        known.into_iter().for_each(|peer| good.insert(peer, now));
        Self {
            rotation: Rotation::new(&mut rng, now),
            config,
            rng,
            statics: BTreeMap::new(),
            trusted: BTreeSet::new(),
            known: good,
            dialing: Dialing::new(boot, now),
            connections: Connections::default(),
            next_connection: 0,
            backoffs: Backoffs::new(),
            bans: Bans::new(),
            reputations: Reputations::new(),
            throttle: Throttle::new(),
            drops: DropLog::default(),
            actions: VecDeque::new(),
            purge_at: now + PURGE_EVERY,
            stopping: false,
        }
    }

    /// A name for a connection that came in.
    pub fn next_connection(&mut self) -> ConnectionId {
        let id = ConnectionId(self.next_connection);
        self.next_connection += 1;
        id
    }

    /// Something happened. Call [`Self::poll`] until it has nothing more.
    pub fn handle(&mut self, event: PeerEvent, now: Instant) {
        match event {
            PeerEvent::Candidate { id, addr } => self.candidate(id, addr),
            PeerEvent::Incoming { connection, from } => self.incoming(connection, from, now),
            PeerEvent::Identified { connection, id } => self.identified(connection, id, now),
            PeerEvent::Ready { connection } => self.ready(connection, now),
            PeerEvent::Closed { connection, reason } => self.closed(connection, reason, now),
            PeerEvent::Resolved { id, ips } => self.resolved(id, &ips, now),
            PeerEvent::Merit { connection, merit, amount } => {
                if let Some(connection) = self.connections.get_mut(connection) {
                    connection.merits.add(merit, amount, now);
                }
            }
            PeerEvent::Offence { id, offence } => self.offence(id, offence, now),
            PeerEvent::AddStatic(enode) => self.add_static(enode),
            PeerEvent::RemoveStatic(id) => self.remove_static(&id, now),
            PeerEvent::AddTrusted(id) => self.add_trusted(id),
            PeerEvent::RemoveTrusted(id) => {
                self.trusted.remove(&id);
            }
            PeerEvent::Disconnect { id, reason } => self.disconnect(&id, reason, now),
            PeerEvent::Stop => self.stop(now),
        }
        self.handle_deadline(now);
    }

    /// The time of [`Self::next_deadline`] has come; harmless when it has not.
    pub fn handle_deadline(&mut self, now: Instant) {
        if self.stopping {
            return;
        }
        self.settle_duplicates(now);
        if self.rotation.is_due(now) {
            let (statics, trusted) = (&self.statics, &self.trusted);
            let is_named = |id: &PeerId| statics.contains_key(id) || trusted.contains(id);
            let out = self.rotation.choose(&self.connections, &self.config, is_named, &mut self.rng, now);
            out.into_iter().for_each(|connection| self.drop_connection(connection, DropReason::Rotated, now));
        }
        if self.purge_at <= now {
            self.purge_at = now + PURGE_EVERY;
            self.backoffs.purge(now);
            self.bans.purge(now);
            self.reputations.purge(now);
        }
        self.dial(now);
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<PeerAction> {
        self.actions.pop_front()
    }

    /// When to call [`Self::handle_deadline`] if nothing happens before.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        if self.stopping {
            return None;
        }
        let held = self.connections.iter().filter_map(|(_, connection)| match connection.stage {
            Stage::Held { until } => Some(until),
            _ => None,
        });
        held.chain([self.rotation.at(), self.purge_at]).chain(self.next_dial_at(now)).min()
    }

    /// Drops by reason and one by one.
    pub fn drops(&self) -> &DropLog {
        &self.drops
    }

    /// How many there are.
    pub fn counts(&self) -> PeerCounts {
        let count = |direction, stages: &[Stage]| {
            self.connections.count(|one| one.direction == direction && stages.contains(&one.stage))
        };
        PeerCounts {
            inbound: count(Direction::Inbound, &[Stage::Ready]),
            outbound: count(Direction::Outbound, &[Stage::Ready]),
            dialing: count(Direction::Outbound, &[Stage::Dialing]),
            shaking: count(Direction::Inbound, &[Stage::Shaking]),
        }
    }

    /// Peers that were good, to be kept for the next run.
    pub fn known_good(&self) -> impl Iterator<Item = KnownPeer> {
        self.known.iter()
    }

    /// Banned peers with the ends of their bans.
    pub fn banned(&self, now: Instant) -> impl Iterator<Item = (PeerId, Instant)> {
        self.bans.peers(now)
    }

    /// The peers that an operator named.
    pub fn named(&self) -> NamedPeers {
        NamedPeers {
            statics: self.statics.values().cloned().collect(),
            trusted: self.trusted.iter().copied().collect(),
        }
    }

    /// Slots for peers, but for those that an operator named.
    pub fn peers_max(&self) -> usize {
        self.config.peers_max
    }

    /// Whether an operator named the peer as a static one.
    pub fn is_static(&self, id: &PeerId) -> bool {
        self.statics.contains_key(id)
    }

    /// Whether an operator trusts the peer.
    pub fn is_trusted(&self, id: &PeerId) -> bool {
        self.trusted.contains(id)
    }

    /// Static or trusted: limits and bans do not hold for it.
    pub(crate) fn is_named(&self, id: &PeerId) -> bool {
        self.is_static(id) || self.is_trusted(id)
    }

    pub(crate) fn act(&mut self, action: PeerAction) {
        self.actions.push_back(action);
    }

    pub(crate) fn keep(&mut self, connection: ConnectionId, now: Instant) {
        self.set_stage(connection, Stage::Kept, now);
        self.act(PeerAction::Keep { connection });
    }

    pub(crate) fn set_stage(&mut self, connection: ConnectionId, stage: Stage, now: Instant) {
        if let Some(connection) = self.connections.get_mut(connection) {
            connection.stage = stage;
            connection.since = now;
        }
    }

    /// Ends a connection by our decision.
    pub(crate) fn drop_connection(&mut self, connection: ConnectionId, reason: DropReason, now: Instant) {
        let Some(found) = self.connections.get(connection).copied() else { return };
        if found.stage == Stage::Closing {
            return;
        }
        self.set_stage(connection, Stage::Closing, now);
        self.act(PeerAction::Drop { connection, reason });
        self.ended(&found, reason, now);
    }

    fn candidate(&mut self, id: PeerId, addr: SocketAddr) {
        // What failed where it was says nothing of where it is; an address that failed still waits.
        if self.known.moved(&id, addr) {
            self.backoffs.forget(&id);
        }
        self.dialing.offer(KnownPeer { id, addr });
    }

    fn ready(&mut self, connection: ConnectionId, now: Instant) {
        let Some(found) = self.connections.get_mut(connection).filter(|found| found.stage == Stage::Kept) else {
            return;
        };
        (found.stage, found.since, found.merits) = (Stage::Ready, now, Merits::new(now));
        let (Some(id), addr, direction) = (found.id, found.addr, found.direction) else { return };
        if direction == Direction::Outbound {
            self.backoffs.succeeded(id, addr, now);
            self.known.insert(KnownPeer { id, addr }, now);
        }
    }

    fn closed(&mut self, connection: ConnectionId, reason: DropReason, now: Instant) {
        let Some(found) = self.connections.remove(connection) else { return };
        if found.stage != Stage::Closing {
            self.ended(&found, reason, now);
        }
    }

    /// A connection is over, by whomever: remembers why, and draws the conclusions.
    fn ended(&mut self, connection: &Connection, reason: DropReason, now: Instant) {
        self.drops.record(Drop {
            peer: connection.id,
            addr: connection.addr,
            direction: connection.direction,
            was_ready: connection.stage == Stage::Ready,
            reason,
            at: now,
        });
        let Some(id) = connection.id else { return };
        match reason {
            DropReason::WrongNetwork
            | DropReason::WrongGenesis
            | DropReason::WrongFork
            | DropReason::NoSharedCapability
            | DropReason::UnexpectedIdentity
            | DropReason::SelfConnection => {
                self.known.remove(&id);
                self.backoffs.postpone(id, USELESS_PEER_WAIT, now);
            }
            DropReason::Rotated => self.backoffs.postpone(id, ROTATED_PEER_WAIT, now),
            DropReason::ProtocolBreach | DropReason::BadStatus
                if self.reputations.record(id, Offence::ProtocolBreach, now) == Verdict::Ban =>
            {
                self.ban(id, Some(connection), now);
            }
            _ => {}
        }
        // Whoever waited behind this connection takes its place.
        if let Some(held) = self.connections.held(&id)
            && self.connections.peer(&id).is_none()
        {
            self.take_slot(held, id, now);
        }
    }

    fn offence(&mut self, id: PeerId, offence: Offence, now: Instant) {
        let verdict = self.reputations.record(id, offence, now);
        let connection = self.connections.peer(&id);
        if verdict == Verdict::Ban {
            let found = connection.and_then(|connection| self.connections.get(connection)).copied();
            self.ban(id, found.as_ref(), now);
        }
        let (Verdict::Drop | Verdict::Ban, Some(connection)) = (verdict, connection) else { return };
        let reason = match offence {
            Offence::BadData | Offence::BadAnnouncement | Offence::BadTransaction => DropReason::BadData,
            // Recorded already: the reason must not count it twice.
            Offence::ProtocolBreach | Offence::Timeout | Offence::UselessAnswer | Offence::UnrequestedAnswer => {
                DropReason::BadReputation
            }
        };
        self.drop_connection(connection, reason, now);
    }

    fn ban(&mut self, id: PeerId, connection: Option<&Connection>, now: Instant) {
        if !self.is_named(&id) {
            self.known.remove(&id);
            self.bans.ban(id, connection.map(|connection| connection.addr.ip()), now);
        }
    }

    fn add_static(&mut self, enode: Enode) {
        if self.statics.len() < NAMED_PEERS_MAX && enode.id != self.config.local_id {
            self.forgive(&enode.id);
            self.statics.insert(enode.id, enode);
        }
    }

    fn remove_static(&mut self, id: &PeerId, now: Instant) {
        self.statics.remove(id);
        self.dialing.forget(id);
        self.disconnect(id, DropReason::Removed, now);
    }

    fn add_trusted(&mut self, id: PeerId) {
        if self.trusted.len() < NAMED_PEERS_MAX {
            self.forgive(&id);
            self.trusted.insert(id);
        }
    }

    fn forgive(&mut self, id: &PeerId) {
        self.bans.lift(id);
        self.reputations.forget(id);
        self.backoffs.forget(id);
    }

    fn disconnect(&mut self, id: &PeerId, reason: DropReason, now: Instant) {
        let connections: Vec<_> =
            self.connections.iter().filter(|(_, one)| one.id == Some(*id)).map(|(connection, _)| connection).collect();
        connections.into_iter().for_each(|connection| self.drop_connection(connection, reason, now));
    }

    fn stop(&mut self, now: Instant) {
        self.stopping = true;
        let all: Vec<_> = self.connections.iter().map(|(connection, _)| connection).collect();
        all.into_iter().for_each(|connection| self.drop_connection(connection, DropReason::Stopping, now));
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping
    }
}
