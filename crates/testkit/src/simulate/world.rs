//! Time, links and addresses: the only things here that are made up.

use super::{
    inhabitant::{Conduct, Inhabitant},
    line::{Line, LineEvent, LineId},
};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use starling_discovery::{Enode, Host, Node, Record, RecordContent, discv4};
use starling_peers::{KnownPeer, Peers, PeersConfig};
use starling_primitives::{NodeKey, PeerId, TxHash};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

/// The wall clock at the beginning of every world.
const UNIX: Duration = Duration::from_secs(1_700_000_000);
/// Where everybody listens, for discovery and for RLPx.
const PORT: u16 = 30303;
/// TCP sends a lost segment again after this time, and after twice that the next time.
const RETRANSMIT: Duration = Duration::from_millis(200);
/// Bytes of a TCP segment.
const SEGMENT_BYTES: usize = 1_400;
/// A deadline that lies behind is looked at again so soon, so that virtual time always moves on.
const TICK: Duration = Duration::from_millis(1);

/// What links are like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Links {
    /// From one node to any other, one way.
    pub(super) latency: Duration,
    /// Of each packet: a datagram is gone, a segment of TCP comes later.
    pub(super) loss: f64,
}

impl Default for Links {
    fn default() -> Self {
        Self { latency: Duration::from_millis(50), loss: 0.01 }
    }
}

/// How a node that joins is set up.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Its address; of its own neighbourhood unless something else is to be tried.
    pub(super) ip: Ipv4Addr,
    /// Peers at most.
    pub(super) peers_max: usize,
    /// Whether it dials peers that it finds.
    pub(super) dials: bool,
    /// Whether connections to it come through.
    pub(super) reachable: bool,
    /// What it does to others.
    pub(super) conduct: Conduct,
    /// Time between lookups; none lets the node choose it by how many peers it lacks.
    pub(super) lookup_every: Option<Duration>,
}

/// What happens at a moment.
pub(super) enum Event {
    Datagram { from: SocketAddr, to: SocketAddr, bytes: Vec<u8> },
    Line(LineId, LineEvent),
}

/// A network of nodes, from one seed.
pub(super) struct World {
    pub(super) rng: StdRng,
    pub(super) now: Instant,
    start: Instant,
    links: Links,
    /// Everybody who ever lived.
    pub(super) nodes: Vec<Inhabitant>,
    by_ip: BTreeMap<Ipv4Addr, usize>,
    /// By arrival; the number keeps events of one moment apart.
    events: BTreeMap<(Instant, u64), Event>,
    counter: u64,
    deadlines: BTreeSet<(Instant, usize)>,
    pub(super) lines: BTreeMap<LineId, Line>,
    /// The side of each node while the network is parted.
    parted: Option<fn(usize) -> bool>,
    /// When which node had a transaction first.
    pub(super) seen: BTreeMap<TxHash, BTreeMap<usize, Instant>>,
    /// Datagrams that were sent.
    pub(super) datagrams: u64,
}

impl World {
    /// Nobody yet.
    pub(super) fn new(seed: u64, links: Links) -> Self {
        let now = Instant::now();
        Self {
            rng: StdRng::seed_from_u64(seed),
            now,
            start: now,
            links,
            nodes: Vec::new(),
            by_ip: BTreeMap::new(),
            events: BTreeMap::new(),
            counter: 0,
            deadlines: BTreeSet::new(),
            lines: BTreeMap::new(),
            parted: None,
            seen: BTreeMap::new(),
            datagrams: 0,
        }
    }

    /// What an ordinary node is like: a neighbourhood of its own, geth's number of peers.
    pub(super) fn ordinary(&self) -> Settings {
        let index = self.nodes.len();
        Settings {
            ip: Ipv4Addr::new(20 + (index / 250) as u8, (index % 250) as u8, 7, 1),
            peers_max: 50,
            dials: true,
            reachable: true,
            conduct: Conduct::Honest,
            lookup_every: None,
        }
    }

    /// A node joins; all but the first know the first.
    pub(super) fn add(&mut self, settings: Settings) -> usize {
        let index = self.nodes.len();
        let key = NodeKey::random(&mut self.rng);
        let enode = Enode { id: key.public(), host: Host::Ip(settings.ip.into()), tcp: PORT, udp: PORT };
        let (peers, discv4) = self.minds(&key, &settings, &enode, Vec::new());
        self.by_ip.insert(settings.ip, index);
        let seed = self.rng.next_u64();
        self.nodes.push(Inhabitant::new(
            key,
            Node::at(&enode, settings.ip.into()),
            settings,
            peers,
            discv4,
            seed,
            self.now,
        ));
        self.settle(index);
        index
    }

    /// Many ordinary nodes join, one after the other.
    pub(super) fn add_many(&mut self, count: usize, pause: Duration) {
        for _ in 0..count {
            self.add(self.ordinary());
            self.run(pause);
        }
    }

    /// A node's process dies; what it had connections with hears of it.
    pub(super) fn kill(&mut self, index: usize) {
        self.nodes[index].is_up = false;
        self.nodes[index].deadline.take().map(|old| self.deadlines.remove(&(old, index)));
        let lines: Vec<_> = self.nodes[index].lines.values().copied().collect();
        for (line, side) in lines {
            self.reset(line, side);
        }
        self.nodes[index].forget_connections();
    }

    /// A dead node starts again with its key and the peers that it knew as good.
    pub(super) fn revive(&mut self, index: usize) {
        let known: Vec<_> = self.nodes[index].peers.known_good().collect();
        let (key, settings) = (self.nodes[index].key.clone(), self.nodes[index].settings.clone());
        let enode = self.nodes[index].node.enode();
        let (peers, discv4) = self.minds(&key, &settings, &enode, known);
        let seed = self.rng.next_u64();
        let node = self.nodes[index].node.clone();
        self.nodes[index] = Inhabitant::new(key, node, settings, peers, discv4, seed, self.now);
        self.settle(index);
    }

    fn minds(
        &mut self,
        key: &NodeKey,
        settings: &Settings,
        enode: &Enode,
        known: Vec<KnownPeer>,
    ) -> (Peers, discv4::Discv4) {
        let first = self.nodes.first().map(|first| first.node.clone()).filter(|first| first.id != enode.id);
        let boot = first.iter().filter_map(|node| Some(KnownPeer { id: node.id, addr: node.tcp_addr()? })).collect();
        let config = PeersConfig {
            local_id: key.public(),
            peers_max: settings.peers_max,
            dials_strangers: settings.dials,
            ..PeersConfig::default()
        };
        let peers = Peers::new(config, boot, known, self.rng.next_u64(), self.now);
        let content = RecordContent {
            seq: 1,
            ip4: Some(settings.ip),
            udp4: Some(PORT),
            tcp4: Some(PORT),
            ..RecordContent::default()
        };
        let config = discv4::Config {
            key: key.clone(),
            record: Record::sign(key, &content),
            bootnodes: first.into_iter().collect(),
            lookup_interval: settings.lookup_every.unwrap_or(Duration::from_secs(1)),
        };
        let rng = StdRng::seed_from_u64(self.rng.next_u64());
        (peers, discv4::Discv4::new(config, self.now, UNIX + self.now.duration_since(self.start), rng))
    }

    /// Nothing passes between the two sides any more.
    pub(super) fn part(&mut self, side: fn(usize) -> bool) {
        self.parted = Some(side);
        let across: Vec<_> = self
            .lines
            .iter()
            .filter(|(_, line)| side(line.nodes[0]) != side(line.nodes[1]))
            .map(|(id, _)| *id)
            .collect();
        across.into_iter().for_each(|line| self.fall_silent(line));
    }

    /// It does again.
    pub(super) fn heal(&mut self) {
        self.parted = None;
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let event = self.events.first_key_value().map(|((at, _), _)| *at);
            let deadline = self.deadlines.first().map(|(at, _)| *at);
            let Some(next) = event.into_iter().chain(deadline).min().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            if event == Some(next) {
                if let Some((_, event)) = self.events.pop_first() {
                    self.happen(event);
                }
            } else if let Some(&(_, index)) = self.deadlines.first() {
                let now = self.now;
                self.nodes[index].advance(now);
                self.settle(index);
            }
        }
        self.now = end;
    }

    /// Lets time pass until something holds; how long that took.
    pub(super) fn run_until(&mut self, time_max: Duration, holds: impl Fn(&Self) -> bool) -> Option<Duration> {
        const STEP: Duration = Duration::from_millis(250);
        let begin = self.now;
        while self.now - begin < time_max {
            if holds(self) {
                return Some(self.now - begin);
            }
            self.run(STEP);
        }
        holds(self).then(|| self.now - begin)
    }

    /// Time since the beginning of this world.
    pub(super) fn age(&self) -> Duration {
        self.now - self.start
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Datagram { from, to, bytes } => {
                let Some(index) = self.at(to) else { return };
                if self.nodes[index].is_up {
                    let now = self.now;
                    self.nodes[index].datagram(from, &bytes, now);
                    self.settle(index);
                }
            }
            Event::Line(line, event) => self.line_event(line, event),
        }
    }

    /// Carries out what a node wants done, and notes when it wants to be called.
    pub(super) fn settle(&mut self, index: usize) {
        loop {
            let now = self.now;
            let actions = self.nodes[index].poll(now);
            if actions.is_empty() {
                break;
            }
            actions.into_iter().for_each(|action| self.carry_out(index, action));
        }
        let node = &mut self.nodes[index];
        let deadline = node.next_deadline(self.now).map(|at| at.max(self.now + TICK)).filter(|_| node.is_up);
        if deadline != node.deadline {
            node.deadline.map(|old| self.deadlines.remove(&(old, index)));
            deadline.map(|new| self.deadlines.insert((new, index)));
            node.deadline = deadline;
        }
    }

    /// A datagram on its way, unless it is lost.
    pub(super) fn send_datagram(&mut self, index: usize, to: SocketAddr, bytes: Vec<u8>) {
        self.datagrams += 1;
        let Some(from) = self.nodes[index].node.udp_addr() else { return };
        let arrives = self.at(to).is_some_and(|other| !self.is_cut(index, other));
        if arrives && !self.rng.random_bool(self.links.loss) {
            let at = self.now + self.jittered();
            self.schedule(at, Event::Datagram { from, to, bytes });
        }
    }

    pub(super) fn schedule(&mut self, at: Instant, event: Event) {
        self.counter += 1;
        self.events.insert((at, self.counter), event);
    }

    /// Time until so many bytes have come over TCP.
    pub(super) fn delay(&mut self, size_bytes: usize) -> Duration {
        let lost = (0..size_bytes.div_ceil(SEGMENT_BYTES).max(1)).map(|_| {
            let mut wait = Duration::ZERO;
            let mut again = RETRANSMIT;
            while self.rng.random_bool(self.links.loss) {
                wait += again;
                again *= 2;
            }
            wait
        });
        let lost = lost.max().unwrap_or_default();
        self.jittered() + lost
    }

    /// The latency, give or take a tenth.
    pub(super) fn jittered(&mut self) -> Duration {
        self.links.latency.mul_f64(self.rng.random_range(0.9..1.1))
    }

    pub(super) fn at(&self, addr: SocketAddr) -> Option<usize> {
        match addr {
            SocketAddr::V4(addr) if addr.port() == PORT => self.by_ip.get(addr.ip()).copied(),
            _ => None,
        }
    }

    pub(super) fn is_cut(&self, one: usize, other: usize) -> bool {
        self.parted.is_some_and(|side| side(one) != side(other))
    }

    /// Whose name it is.
    pub(super) fn named(&self, id: &PeerId) -> Option<usize> {
        self.nodes.iter().position(|node| node.node.id == *id)
    }

    /// One of the nodes, drawn.
    pub(super) fn any(&mut self, count: usize) -> usize {
        self.rng.random_range(0..count)
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("nodes", &self.nodes.len()).field("age", &self.age()).finish_non_exhaustive()
    }
}
