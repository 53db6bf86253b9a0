//! Whom to dial next: one fair stream out of everything that finds nodes.
//!
//! ```text
//! boot nodes ─┐
//! database ───┤                     ┌─ not on our chain, of the consensus layer, without a port: never
//! DNS ────────┼─► queue of each ──► ┤
//! discv4 ─────┤   in turn           └─ connected, or tried a moment ago: not now
//! discv5 ─────┘
//! ```
//!
//! Nothing is proposed twice in a row, however often it is found. Looking around goes on at a pace that follows from
//! how many peers are missing ([`Candidates::lookup_interval`]); it never stops, so that a table does not go stale while
//! all seats are taken.

use crate::Node;
use schnellru::{ByLength, LruMap};
use starling_chainspec::ForkId;
use starling_primitives::PeerId;
use std::{
    collections::{BTreeSet, VecDeque},
    time::{Duration, Instant},
};

/// Nodes that wait, of each source. When full, the one that waits longest leaves: the newer is likelier to be there.
const QUEUE_MAX: usize = 256;
/// Nodes of which it is remembered when they were proposed. When full, the oldest is forgotten and may come again.
const TRIED_MAX: u32 = 8192;
/// A node is not proposed again so soon after it was, or after it was lost.
const TRY_AGAIN: Duration = Duration::from_secs(60);
/// Candidates that are enough to fill the next seats.
const ENOUGH: usize = 32;

/// Time between lookups while peers are missing and candidates too, and each lookup finds somebody new. When nobody new
/// comes it grows with the time since, by doubling: in a small network everybody is soon known, and each record that
/// lookups bring again costs the check of a signature.
const HURRIED: Duration = Duration::from_secs(1);
const DOUBLINGS: u32 = 3;
/// While candidates wait to be dialed, or nobody new has been found for [`HURRY_LIFE`].
const STEADY: Duration = Duration::from_secs(10);
/// While all seats are taken.
const IDLE: Duration = Duration::from_secs(60);
const HURRY_LIFE: Duration = Duration::from_secs(30);

/// Who found a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Given by people, or built in. Most take no connections, but in a small network they do.
    Bootnode,
    /// Known from before.
    Database,
    /// A signed list in DNS.
    Dns,
    /// A node that answered in discv4.
    Discv4,
    /// A node that answered in discv5, whose table both layers share.
    Discv5,
}

const SOURCES: [Source; 5] = [Source::Bootnode, Source::Database, Source::Dns, Source::Discv4, Source::Discv5];

/// A node worth dialing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Has an RLPx port.
    pub node: Node,
    /// Who found it.
    pub source: Source,
}

/// Why a node is not proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refused {
    /// It is us.
    Own,
    /// It takes no connections.
    NoPort,
    /// Its record is of the consensus layer.
    Consensus,
    /// Its record names no chain, where records of our chain do.
    NoChain,
    /// It is connected, was tried a moment ago, or waits already.
    Known,
}

/// See the module.
pub struct Candidates {
    own: PeerId,
    queues: [VecDeque<Node>; SOURCES.len()],
    queued: BTreeSet<PeerId>,
    turn: usize,
    connected: BTreeSet<PeerId>,
    tried: LruMap<PeerId, Instant, ByLength>,
    peers_wanted: usize,
    last_new: Instant,
}

impl Candidates {
    /// No candidates yet, for a node that wants so many peers.
    pub fn new(own: PeerId, peers_wanted: usize, now: Instant) -> Self {
        Self {
            own,
            queues: Default::default(),
            queued: BTreeSet::new(),
            turn: 0,
            connected: BTreeSet::new(),
            tried: LruMap::new(ByLength::new(TRIED_MAX)),
            peers_wanted,
            last_new: now,
        }
    }

    /// A node was found, perhaps again. If it waits already, it waits with its newer record.
    pub fn offer(&mut self, source: Source, node: Node, now: Instant) -> Result<(), Refused> {
        self.check(source, &node, now)?;
        if self.queued.contains(&node.id) {
            self.update(node);
            return Err(Refused::Known);
        }
        let queue = &mut self.queues[source as usize];
        if queue.len() >= QUEUE_MAX
            && let Some(oldest) = queue.pop_front()
        {
            self.queued.remove(&oldest.id);
        }
        self.queued.insert(node.id);
        queue.push_back(node);
        self.last_new = now;
        Ok(())
    }

    fn check(&mut self, source: Source, node: &Node, now: Instant) -> Result<(), Refused> {
        if node.id == self.own {
            return Err(Refused::Own);
        }
        if node.tcp_addr().is_none() {
            return Err(Refused::NoPort);
        }
        let chain_unknown = match &node.record {
            Some(record) if record.is_consensus() => return Err(Refused::Consensus),
            Some(record) => record.fork_id().is_none(),
            None => true,
        };
        // In these, nodes of all kinds mingle, and those of ours say so.
        if chain_unknown && matches!(source, Source::Dns | Source::Discv5) {
            return Err(Refused::NoChain);
        }
        if self.is_known(&node.id, now) { Err(Refused::Known) } else { Ok(()) }
    }

    fn update(&mut self, node: Node) {
        let waiting = self.queues.iter_mut().flatten().find(|waiting| waiting.id == node.id);
        if let (Some(waiting), Some(record)) = (waiting, node.record) {
            waiting.update(record);
        }
    }

    fn is_known(&mut self, id: &PeerId, now: Instant) -> bool {
        self.connected.contains(id)
            || self.tried.peek(id).is_some_and(|at| now.saturating_duration_since(*at) < TRY_AGAIN)
    }

    /// The next node to dial; it counts as tried. `on_our_chain` judges the fork id of a record as it is now, since
    /// the chain moves on while nodes wait.
    pub fn next(&mut self, now: Instant, on_our_chain: impl Fn(&ForkId) -> bool) -> Option<Candidate> {
        while let Some((source, node)) = self.pop_in_turn() {
            let fork_id = node.record.as_ref().and_then(|record| record.fork_id());
            if self.is_known(&node.id, now) || fork_id.is_some_and(|fork_id| !on_our_chain(&fork_id)) {
                continue;
            }
            self.tried.insert(node.id, now);
            return Some(Candidate { node, source });
        }
        None
    }

    fn pop_in_turn(&mut self) -> Option<(Source, Node)> {
        for step in 0..SOURCES.len() {
            let index = (self.turn + step) % SOURCES.len();
            if let Some(node) = self.queues[index].pop_front() {
                self.turn = index + 1;
                self.queued.remove(&node.id);
                return Some((SOURCES[index], node));
            }
        }
        None
    }

    /// A peer is connected, whoever dialed.
    pub fn connected(&mut self, id: PeerId) {
        self.connected.insert(id);
    }

    /// A peer is gone.
    pub fn disconnected(&mut self, id: PeerId, now: Instant) {
        self.connected.remove(&id);
        self.tried.insert(id, now);
    }

    /// A node is being dialed for another reason: it is not proposed meanwhile.
    pub fn tried(&mut self, id: PeerId, now: Instant) {
        self.tried.insert(id, now);
    }

    /// How many peers the node wants.
    pub fn set_peers_wanted(&mut self, peers_wanted: usize) {
        self.peers_wanted = peers_wanted;
    }

    /// How many nodes wait to be dialed.
    pub fn len(&self) -> usize {
        self.queued.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.queued.is_empty()
    }

    /// Whether more candidates are wanted now: DNS lists are walked only then.
    pub fn is_hungry(&self) -> bool {
        self.connected.len() < self.peers_wanted && self.len() < ENOUGH
    }

    /// How long discv4 and discv5 should wait from one lookup to the next.
    pub fn lookup_interval(&self, now: Instant) -> Duration {
        if self.connected.len() >= self.peers_wanted {
            IDLE
        } else if !self.is_hungry() || now.saturating_duration_since(self.last_new) >= HURRY_LIFE {
            STEADY
        } else {
            let quiet = now.saturating_duration_since(self.last_new);
            let mut paces = (0..=DOUBLINGS).rev().map(|doublings| HURRIED * 2u32.pow(doublings));
            paces.find(|pace| *pace * 2 <= quiet).unwrap_or(HURRIED)
        }
    }
}

impl std::fmt::Debug for Candidates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Candidates")
            .field("waiting", &self.len())
            .field("connected", &self.connected.len())
            .finish_non_exhaustive()
    }
}
