//! discv4: finding nodes by asking those already known
//! ([specification](https://github.com/ethereum/devp2p/blob/master/discv4.md)).
//!
//! ```text
//! A ── Ping ──────────► B      both have now shown that packets reach them: a bond, which lasts a day
//! A ◄── Pong, Ping ──── B
//! A ── Pong ──────────► B
//! A ── FindNode(key) ─► B      answered only over a bond
//! A ◄── Neighbors ×2 ── B      nodes that B has seen alive, nearest to the key
//! A ── EnrRequest ────► B      when B's Ping or Pong names a record newer than the one known
//! A ◄── EnrResponse ─── B
//! ```
//!
//! A lookup repeats FindNode with ever nearer nodes. Nodes that others name are strangers: they are pinged at the pace
//! of the lookups, and only who answers enters the table and is told as [`Action::Found`].
//!
//! Deviations: a record is taken for what it says, never for where the node is; a lookup does not wait for the full
//! half second when a short Neighbors packet shows that nothing more will come.

mod action;
mod ask;
mod bonds;
mod limit;
mod lookup;
pub mod packet;
mod serve;
mod upkeep;

pub use action::{Action, Config};
pub use lookup::LookupId;
pub use packet::{InvalidPacket, PACKET_BYTES_MAX};

use crate::{Node, Record, table::Table};
use ask::{PendingFind, PendingPing, PendingRecord, Waiting};
use bonds::Bonds;
use limit::Limit;
use lookup::Lookup;
use packet::{Endpoint, Packet};
use rand::rngs::StdRng;
use schnellru::{ByLength, LruMap};
use starling_primitives::PeerId;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};
use upkeep::{STRANGERS_GREETED_MAX, Timer};

/// Lookups at once that others asked for. When full, one more is refused.
const LOOKUPS_MAX: usize = 16;
/// How long a packet of ours is valid.
const PACKET_LIFE: Duration = Duration::from_secs(20);

/// See the module.
pub struct Discv4 {
    // who we are
    config: Config,
    own: PeerId,
    clock: Clock,
    rng: StdRng,
    // what we know
    table: Table,
    bonds: Bonds,
    limit: Limit,
    strangers: VecDeque<Node>,
    greeted: LruMap<PeerId, Instant, ByLength>,
    // what we wait for
    pings: BTreeMap<(PeerId, IpAddr), PendingPing>,
    finds: BTreeMap<PeerId, PendingFind>,
    records: BTreeMap<PeerId, PendingRecord>,
    waiting: BTreeMap<PeerId, Waiting>,
    lookups: BTreeMap<LookupId, Lookup>,
    automatic: Option<LookupId>,
    lookups_started: u64,
    timers: BTreeSet<(Instant, Timer)>,
    actions: VecDeque<Action>,
}

/// Seconds since 1970 at a moment of the monotonic clock.
#[derive(Debug, Clone, Copy)]
struct Clock {
    at: Instant,
    unix: Duration,
}

impl Clock {
    fn unix_secs(&self, now: Instant) -> u64 {
        (self.unix + now.saturating_duration_since(self.at)).as_secs()
    }
}

impl Discv4 {
    /// A node that begins to look around at once. `unix` is the time since 1970 at `now`.
    pub fn new(config: Config, now: Instant, unix: Duration, rng: StdRng) -> Self {
        let own = config.key.public();
        let mut discv4 = Self {
            table: Table::new(starling_primitives::node_id(&own)),
            own,
            config,
            clock: Clock { at: now, unix },
            rng,
            bonds: Bonds::new(),
            limit: Limit::new(),
            strangers: VecDeque::new(),
            greeted: LruMap::new(ByLength::new(STRANGERS_GREETED_MAX)),
            pings: BTreeMap::new(),
            finds: BTreeMap::new(),
            records: BTreeMap::new(),
            waiting: BTreeMap::new(),
            lookups: BTreeMap::new(),
            automatic: None,
            lookups_started: 0,
            timers: BTreeSet::new(),
            actions: VecDeque::new(),
        };
        discv4.start_upkeep(now);
        discv4
    }

    /// A datagram came. [`InvalidPacket::Foreign`] means that it may be of another protocol on the same port.
    pub fn handle(&mut self, from: SocketAddr, bytes: &[u8], now: Instant) -> Result<(), InvalidPacket> {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        if !self.limit.allows(from.ip(), now) {
            return Ok(());
        }
        let received = Packet::decode(bytes)?;
        let (id, packet) = (received.from, received.packet);
        if packet.expiration().is_some_and(|expiration| self.is_past(expiration, now))
            || id == self.own
            || from.port() == 0
        {
            return Ok(());
        }
        match packet {
            Packet::Ping { from: stated, record_seq, .. } => {
                let node = Node { id, ip: from.ip(), udp: from.port(), tcp: stated.tcp, record: None };
                self.on_ping(node, received.hash, record_seq, now);
            }
            Packet::Pong { to, ping_hash, record_seq, .. } => self.on_pong(id, from, to, ping_hash, record_seq, now),
            Packet::FindNode { target, .. } => self.on_find_node(id, from, target, now),
            Packet::Neighbors { nodes, .. } => self.on_neighbors(id, from.ip(), &nodes, now),
            Packet::EnrRequest { .. } => self.on_enr_request(id, from, received.hash, now),
            Packet::EnrResponse { request_hash, record } => self.on_enr_response(id, from.ip(), request_hash, record),
        }
        Ok(())
    }

    /// What to do next; call until none.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`Self::advance`] if nothing else happens. It may come too early.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Time has passed.
    pub fn advance(&mut self, now: Instant) {
        while let Some(&(at, timer)) = self.timers.first().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, timer));
            self.fire(timer, now);
        }
    }

    /// The wall clock was read again; it may have been set meanwhile.
    pub fn set_clock(&mut self, now: Instant, unix: Duration) {
        self.clock = Clock { at: now, unix };
    }

    /// Our record has changed.
    pub fn set_record(&mut self, record: Record) {
        self.config.record = record;
    }

    /// How often to look around; see [`Config::lookup_interval`].
    pub fn set_lookup_interval(&mut self, interval: Duration, now: Instant) {
        if interval < self.config.lookup_interval {
            self.timers.insert((now + interval, Timer::Lookup));
        }
        self.config.lookup_interval = interval;
    }

    /// Nodes to greet: those of the database, and those that people name.
    pub fn add_nodes(&mut self, nodes: impl IntoIterator<Item = Node>, now: Instant) {
        nodes.into_iter().for_each(|node| self.add_stranger(node, now));
    }

    /// Walks towards a key; [`Action::LookupDone`] follows. None if [`LOOKUPS_MAX`] are under way.
    pub fn lookup(&mut self, target: PeerId, now: Instant) -> Option<LookupId> {
        (self.lookups.len() < LOOKUPS_MAX).then(|| self.start_lookup(target, now))
    }

    /// Asks a node whether it is there; [`Action::Pinged`] follows.
    pub fn ping(&mut self, node: Node, now: Instant) {
        let id = node.id;
        if !self.send_ping(node, ask::Why { check: false, asked: true }, now) {
            self.actions.push_back(Action::Pinged { id, round_trip: None });
        }
    }

    /// Asks a node for its record, whatever is known; [`Action::RecordAnswered`] follows.
    pub fn request_record(&mut self, node: Node, now: Instant) {
        let id = node.id;
        if !self.wait_for_bond(node, ask::Wish::AskedRecord, now) {
            self.actions.push_back(Action::RecordAnswered { id, record: None });
        }
    }

    /// The nodes that are known to be alive.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Times are signed to others: what has the highest bit set lies before 1970.
    fn is_past(&self, expiration: u64, now: Instant) -> bool {
        i64::try_from(expiration).is_err() || expiration < self.clock.unix_secs(now)
    }

    fn send(&mut self, to: SocketAddr, packet: &Packet) -> starling_primitives::B256 {
        let (bytes, hash) = packet.encode(&self.config.key);
        self.actions.push_back(Action::Send { to, bytes });
        hash
    }

    fn expiration(&self, now: Instant) -> u64 {
        self.clock.unix_secs(now + PACKET_LIFE)
    }

    /// How we describe ourselves to a node at that address; others do not rely on it.
    fn own_endpoint(&self, to: IpAddr) -> Endpoint {
        let record = &self.config.record;
        let (udp, tcp) = match to {
            IpAddr::V4(_) => (record.udp4().map(SocketAddr::V4), record.tcp4().map(SocketAddr::V4)),
            IpAddr::V6(_) => (record.udp6().map(SocketAddr::V6), record.tcp6().map(SocketAddr::V6)),
        };
        Endpoint {
            ip: udp.or(tcp).map(|at| at.ip()),
            udp: udp.map_or(0, |at| at.port()),
            tcp: tcp.map_or(0, |at| at.port()),
        }
    }
}

impl std::fmt::Debug for Discv4 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Discv4").field("own", &self.own).field("nodes", &self.table.len()).finish_non_exhaustive()
    }
}
