//! One node: the crates that decide, joined as the node joins them, without a socket.

use super::{
    blocks::{Blocks, News},
    line::{LineId, Side},
    mischief,
    talk::{Message, Talk, Talker},
    world::Settings,
};
use rand::{SeedableRng, rngs::StdRng};
use starling_discovery::{
    Candidates, Node, Source,
    discv4::{Action, Discv4},
};
use starling_peers::{ConnectionId, DropReason, PeerAction, PeerEvent, Peers};
use starling_primitives::{NodeKey, PeerId, Transaction, TxHash};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// What a node does to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conduct {
    /// What the protocol says.
    Honest,
    /// Announces what it does not have, and answers nothing.
    Silent,
    /// Sends what no honest node passes on.
    Garbage,
    /// Sends another transaction than it announced.
    Liar,
    /// Sends more than anybody can check.
    Flood,
    /// Dials again and again, whatever it is told.
    Knocker,
    /// Names only nodes that do not exist.
    Poisoner,
}

impl Conduct {
    /// All that are not honest.
    pub(super) const HOSTILE: [Self; 6] =
        [Self::Silent, Self::Garbage, Self::Liar, Self::Flood, Self::Knocker, Self::Poisoner];
}

/// What a node wants done by the world.
pub(super) enum Does {
    Datagram { to: SocketAddr, bytes: Vec<u8> },
    Dial { connection: ConnectionId, addr: SocketAddr },
    Admit { connection: ConnectionId },
    Keep { connection: ConnectionId },
    Drop { connection: ConnectionId, reason: DropReason },
    Say { peer: PeerId, message: Message },
    Has { hash: TxHash },
}

/// What became of a lookup.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// What was looked for.
    pub(super) target: PeerId,
    /// How many answers led to it; none if nobody named it.
    pub(super) hops: Option<u8>,
}

/// A node of the world.
pub(super) struct Inhabitant {
    // who it is
    pub(super) key: NodeKey,
    /// Where it is.
    pub(super) node: Node,
    pub(super) settings: Settings,
    pub(super) is_up: bool,
    // what decides
    pub(super) discv4: Discv4,
    candidates: Candidates,
    lookup_every: Duration,
    /// Its peers.
    pub(super) peers: Peers,
    talker: Talker,
    /// Its chain, if it follows one.
    pub(super) blocks: Option<Blocks>,
    // what is there
    pub(super) lines: BTreeMap<ConnectionId, (LineId, Side)>,
    pub(super) talking: BTreeMap<PeerId, (LineId, Side)>,
    names: BTreeMap<ConnectionId, PeerId>,
    pub(super) deadline: Option<Instant>,
    /// When it does the next bad thing.
    mischief_at: Option<Instant>,
    pub(super) rng: StdRng,
    /// Lookups that it was asked for.
    pub(super) found: Vec<Found>,
    out: Vec<Does>,
}

impl Inhabitant {
    pub(super) fn new(
        key: NodeKey,
        node: Node,
        settings: Settings,
        peers: Peers,
        discv4: Discv4,
        seed: u64,
        now: Instant,
    ) -> Self {
        let candidates = Candidates::new(node.id, settings.peers_max, now);
        let lookup_every = settings.lookup_every.unwrap_or_else(|| candidates.lookup_interval(now));
        let mischief_at = (settings.conduct != Conduct::Honest).then_some(now + mischief::EVERY);
        Self {
            key,
            node,
            settings,
            is_up: true,
            discv4,
            candidates,
            lookup_every,
            peers,
            talker: Talker::new(seed),
            blocks: None,
            lines: BTreeMap::new(),
            talking: BTreeMap::new(),
            names: BTreeMap::new(),
            deadline: None,
            mischief_at,
            rng: StdRng::seed_from_u64(seed),
            found: Vec::new(),
            out: Vec::new(),
        }
    }

    /// Nodes with which it has exchanged Status.
    pub(super) fn connected(&self) -> impl Iterator<Item = &PeerId> {
        self.talking.keys()
    }

    /// What it does to others.
    pub(super) fn conduct(&self) -> Conduct {
        self.settings.conduct
    }

    /// A transaction of its own user.
    pub(super) fn submit(&mut self, tx: Transaction, now: Instant) -> Result<(), String> {
        self.talker.submit(tx, now).map_err(|refusal| refusal.to_string())
    }

    pub(super) fn datagram(&mut self, from: SocketAddr, bytes: &[u8], now: Instant) {
        if self.settings.conduct == Conduct::Poisoner
            && let Some(poison) = mischief::poison(&self.key, bytes, &mut self.rng)
        {
            self.out.push(Does::Datagram { to: from, bytes: poison });
            return;
        }
        // Nobody here sends what is no packet.
        let _ = self.discv4.handle(from, bytes, now);
    }

    pub(super) fn peer_event(&mut self, event: PeerEvent, now: Instant) {
        if let PeerEvent::Identified { connection, id } = &event {
            self.names.insert(*connection, *id);
        }
        self.peers.handle(event, now);
    }

    pub(super) fn ready(&mut self, peer: PeerId, connection: ConnectionId, line: (LineId, Side), now: Instant) {
        self.peers.handle(PeerEvent::Ready { connection }, now);
        self.candidates.connected(peer);
        self.talking.insert(peer, line);
        self.talker.joined(peer, now);
        if let Some(blocks) = &mut self.blocks {
            blocks.joined(peer, now);
        }
    }

    pub(super) fn closed(&mut self, connection: ConnectionId, reason: DropReason, now: Instant) {
        let line = self.lines.remove(&connection);
        self.peers.handle(PeerEvent::Closed { connection, reason }, now);
        let Some(peer) = self.names.remove(&connection) else { return };
        if self.talking.get(&peer).copied() == line {
            self.talking.remove(&peer);
            self.talker.left(peer, now);
            if let Some(blocks) = &mut self.blocks {
                blocks.left(peer, now);
            }
            self.candidates.disconnected(peer, now);
        }
    }

    /// Its process is gone.
    pub(super) fn forget_connections(&mut self) {
        self.lines.clear();
        self.talking.clear();
        self.names.clear();
    }

    pub(super) fn message(&mut self, from: PeerId, connection: ConnectionId, message: Message, now: Instant) {
        // What was under way when the connection ended.
        if !self.names.contains_key(&connection) || !self.talking.contains_key(&from) {
            return;
        }
        let answer = match (self.settings.conduct, message) {
            (Conduct::Silent, Message::GetPooled { .. }) => None,
            (Conduct::Liar, Message::GetPooled { request, .. }) => {
                Some(Message::Pooled { request, transactions: vec![mischief::other(&mut self.rng, now)] })
            }
            (
                _,
                message @ (Message::NewBlock(_)
                | Message::NewBlockHashes(_)
                | Message::Ask { .. }
                | Message::Answer { .. }),
            ) => self.blocks.as_mut().and_then(|blocks| blocks.message(from, message, now)),
            (_, message) => self.talker.message(from, message, now),
        };
        if let Some(message) = answer {
            self.out.push(Does::Say { peer: from, message });
        }
    }

    pub(super) fn advance(&mut self, now: Instant) {
        self.discv4.advance(now);
        self.peers.handle_deadline(now);
        self.talker.handle_deadline(now);
        if let Some(blocks) = &mut self.blocks {
            blocks.handle_deadline(now);
        }
        if self.mischief_at.is_some_and(|at| at <= now) {
            self.mischief_at = Some(now + mischief::EVERY);
            // Signing costs, and without peers nobody hears it.
            let said = match self.talking.is_empty() {
                true => Vec::new(),
                false => mischief::said(self.settings.conduct, &mut self.rng, now),
            };
            for (peer, message) in self.talking.keys().flat_map(|peer| said.iter().map(|said| (*peer, said.clone()))) {
                self.out.push(Does::Say { peer, message });
            }
        }
    }

    pub(super) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let peers = self.peers.next_deadline(now);
        let blocks = self.blocks.as_ref().and_then(Blocks::next_deadline);
        let all = [self.discv4.next_deadline(), peers, self.talker.next_deadline(), blocks, self.mischief_at];
        all.into_iter().flatten().min()
    }

    /// Everything that is to be done now; empty when nothing is.
    pub(super) fn poll(&mut self, now: Instant) -> Vec<Does> {
        let mut out = std::mem::take(&mut self.out);
        if !self.is_up {
            return Vec::new();
        }
        while let Some(action) = self.discv4.poll() {
            match action {
                Action::Send { to, bytes } => out.push(Does::Datagram { to, bytes }),
                // Refused ones are known, or of no use.
                Action::Found(node) => drop(self.candidates.offer(Source::Discv4, node, now)),
                Action::LookupDone { target, hops, .. } => self.found.push(Found { target, hops }),
                Action::Endpoint { .. } | Action::Pinged { .. } | Action::RecordAnswered { .. } => {}
            }
        }
        for talk in self.talker.poll(now) {
            match talk {
                Talk::Say { peer, message } => out.push(Does::Say { peer, message }),
                Talk::Has { hash } => out.push(Does::Has { hash }),
                Talk::Penalise { peer, offence } => {
                    self.peers.handle(PeerEvent::Offence { id: peer, offence }, now);
                }
            }
        }
        for news in self.blocks.as_mut().map(Blocks::poll).unwrap_or_default() {
            match news {
                News::Say { peer, message } => out.push(Does::Say { peer, message }),
                News::Has { hash } => out.push(Does::Has { hash }),
                News::Penalise { peer, offence } => {
                    self.peers.handle(PeerEvent::Offence { id: peer, offence }, now);
                }
            }
        }
        while self.peers.candidates_wanted() > 0 {
            let Some(candidate) = self.candidates.next(now, |_| true) else { break };
            let Some(addr) = candidate.node.tcp_addr() else { continue };
            self.peers.handle(PeerEvent::Candidate { id: candidate.node.id, addr }, now);
        }
        while let Some(action) = self.peers.poll() {
            match action {
                PeerAction::Dial { connection, id, addr } => {
                    self.candidates.tried(id, now);
                    out.push(Does::Dial { connection, addr });
                }
                // Nobody here has a host's name.
                PeerAction::Resolve { .. } => {}
                PeerAction::Admit { connection } => out.push(Does::Admit { connection }),
                PeerAction::Keep { connection } => out.push(Does::Keep { connection }),
                PeerAction::Drop { connection, reason } => out.push(Does::Drop { connection, reason }),
            }
        }
        self.pace(now);
        out
    }

    /// Lookups as often as the node's own driver makes them.
    fn pace(&mut self, now: Instant) {
        let every = self.settings.lookup_every.unwrap_or_else(|| self.candidates.lookup_interval(now));
        if every != self.lookup_every {
            self.lookup_every = every;
            self.discv4.set_lookup_interval(every, now);
        }
    }

    /// Walks towards a node; the end of it is in [`Self::found`].
    pub(super) fn lookup(&mut self, target: PeerId, now: Instant) -> bool {
        self.discv4.lookup(target, now).is_some()
    }
}

impl std::fmt::Debug for Inhabitant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inhabitant").field("node", &self.node.enode().to_string()).finish_non_exhaustive()
    }
}
