//! A whole network of discv4 nodes in virtual time, from one seed: packets take their time and some are lost.
//!
//! `STARLING_SIM_NODES=1000 STARLING_SIM_SEED=7 cargo test -p starling-discovery --test discv4_network -- --nocapture`

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use starling_discovery::{
    EndpointVotes, Enode, Host, Node, Record, RecordContent,
    discv4::{Action, Config, Discv4, InvalidPacket},
};
use starling_primitives::{NodeKey, PeerId};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

const UNIX: Duration = Duration::from_secs(1_700_000_000);

struct World {
    rng: StdRng,
    now: Instant,
    start: Instant,
    nodes: Vec<Inhabitant>,
    by_address: BTreeMap<SocketAddr, usize>,
    /// By arrival; the number keeps packets of one moment apart.
    packets: BTreeMap<(Instant, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    deadlines: BTreeSet<(Instant, usize)>,
    sent: u64,
    loss_percent: f64,
}

struct Inhabitant {
    node: Node,
    discv4: Discv4,
    deadline: Option<Instant>,
    votes: EndpointVotes,
    /// Whom it told of as found.
    found: BTreeMap<PeerId, Node>,
    lookups: Vec<(PeerId, Vec<Node>, Option<u8>)>,
    silenced: bool,
}

impl World {
    fn new(seed: u64, loss_percent: f64) -> Self {
        let now = Instant::now();
        Self {
            rng: StdRng::seed_from_u64(seed),
            now,
            start: now,
            nodes: Vec::new(),
            by_address: BTreeMap::new(),
            packets: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            sent: 0,
            loss_percent,
        }
    }

    /// A node in a neighbourhood of its own, who knows the first node.
    fn add(&mut self) -> usize {
        let index = self.nodes.len();
        let ip = Ipv4Addr::new(20 + (index / 256) as u8, (index % 256) as u8, 7, 1);
        let key = NodeKey::random(&mut self.rng);
        let content =
            RecordContent { seq: 1, ip4: Some(ip), udp4: Some(30303), tcp4: Some(30304), ..Default::default() };
        let record = Record::sign(&key, &content);
        let enode = Enode { id: key.public(), host: Host::Ip(ip.into()), tcp: 30304, udp: 30303 };
        let node = Node::from_enode(&enode).unwrap();
        let bootnodes = self.nodes.first().map(|first| first.node.clone()).into_iter().collect();
        let config = Config { key, record, bootnodes, lookup_interval: Duration::from_secs(60) };
        let unix = UNIX + self.now.duration_since(self.start);
        let discv4 = Discv4::new(config, self.now, unix, StdRng::seed_from_u64(self.rng.next_u64()));
        self.by_address.insert(node.udp_addr().unwrap(), index);
        self.nodes.push(Inhabitant {
            node,
            discv4,
            deadline: None,
            votes: EndpointVotes::new(),
            found: BTreeMap::new(),
            lookups: Vec::new(),
            silenced: false,
        });
        self.settle(index);
        index
    }

    fn add_many(&mut self, count: usize) {
        for _ in 0..count {
            self.add();
        }
    }

    /// Carries out what a node wants done, and notes when it wants to be called.
    fn settle(&mut self, index: usize) {
        while let Some(action) = self.nodes[index].discv4.poll() {
            let inhabitant = &mut self.nodes[index];
            match action {
                Action::Send { to, bytes } => {
                    self.sent += 1;
                    let from = inhabitant.node.udp_addr().unwrap();
                    let lost = inhabitant.silenced || self.rng.random_bool(self.loss_percent / 100.0);
                    let time = Duration::from_millis(self.rng.random_range(5..120));
                    if !lost {
                        self.packets.insert((self.now + time, self.sent), (from, to, bytes));
                    }
                }
                Action::Found(node) => drop(inhabitant.found.insert(node.id, node)),
                Action::Endpoint { voter, seen } => inhabitant.votes.vote(voter, seen, self.now),
                Action::LookupDone { target, nearest, hops, .. } => inhabitant.lookups.push((target, nearest, hops)),
                Action::Pinged { .. } | Action::RecordAnswered { .. } => {}
            }
        }
        let inhabitant = &mut self.nodes[index];
        let deadline = inhabitant.discv4.next_deadline();
        if deadline != inhabitant.deadline {
            inhabitant.deadline.map(|old| self.deadlines.remove(&(old, index)));
            deadline.map(|new| self.deadlines.insert((new, index)));
            inhabitant.deadline = deadline;
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let packet = self.packets.first_key_value().map(|((at, _), _)| *at);
            let deadline = self.deadlines.first().map(|(at, _)| *at);
            let Some(next) = packet.into_iter().chain(deadline).min().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            if packet == Some(next) {
                let Some((_, (from, to, bytes))) = self.packets.pop_first() else { break };
                let Some(&index) = self.by_address.get(&to) else { continue };
                if !self.nodes[index].silenced {
                    self.nodes[index].discv4.handle(from, &bytes, self.now).expect("what a node sends is valid");
                    self.settle(index);
                }
            } else if let Some(&(_, index)) = self.deadlines.first() {
                self.nodes[index].discv4.advance(self.now);
                self.settle(index);
            }
        }
        self.now = end;
    }

    fn lookup(&mut self, index: usize, target: PeerId) {
        self.nodes[index].discv4.lookup(target, self.now).expect("few lookups are under way");
        self.settle(index);
    }

    fn any(&mut self) -> usize {
        self.rng.random_range(0..self.nodes.len())
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().expect("a number"))
}

#[test]
fn lookups_find_every_node_in_few_hops() {
    let (count, seed) = (setting("STARLING_SIM_NODES", 200), setting("STARLING_SIM_SEED", 1));
    println!("STARLING_SIM_NODES={count} STARLING_SIM_SEED={seed}");
    let mut world = World::new(seed, 1.0);
    for _ in 0..count {
        world.add();
        world.run(Duration::from_millis(50));
    }
    world.run(Duration::from_secs(15));
    let tables: Vec<usize> = world.nodes.iter().map(|inhabitant| inhabitant.discv4.table().len()).collect();
    let smallest = tables.iter().min().copied().unwrap_or_default();
    assert!(smallest >= 8, "seed {seed}: a table has only {smallest} nodes");

    let (sent, lookups) = (world.sent, 100);
    for _ in 0..lookups {
        let (from, to) = (world.any(), world.any());
        let target = world.nodes[to].node.id;
        world.lookup(from, target);
        world.run(Duration::from_millis(50));
    }
    world.run(Duration::from_secs(15));

    let results: Vec<_> = world.nodes.iter().flat_map(|inhabitant| &inhabitant.lookups).collect();
    assert_eq!(results.len(), lookups, "seed {seed}");
    let mut hops: Vec<u8> = results.iter().filter_map(|(_, _, hops)| *hops).collect();
    hops.sort_unstable();
    let p99 = hops[hops.len() * 99 / 100];
    println!(
        "{count} nodes, {} packets to form, tables from {smallest} nodes; {lookups} lookups: {} found, hops p50 {} p99 {p99} max {}, {} packets",
        sent,
        hops.len(),
        hops[hops.len() / 2],
        hops[hops.len() - 1],
        world.sent - sent,
    );
    // A node does not name itself to itself, and a lost packet may hide one.
    let own = world.nodes.iter().flat_map(|node| node.lookups.iter().filter(|(target, ..)| *target == node.node.id));
    assert!(hops.len() + own.count() >= lookups * 95 / 100, "seed {seed}: only {} found", hops.len());
    assert!(p99 <= 5, "seed {seed}: {p99} hops");
}

#[test]
fn nodes_learn_records_and_where_they_are_seen() {
    let mut world = World::new(2, 1.0);
    world.add_many(30);
    world.run(Duration::from_secs(120));
    for inhabitant in &world.nodes {
        assert_eq!(inhabitant.votes.endpoint4(world.now), inhabitant.node.udp_addr());
        assert!(inhabitant.found.len() >= 20, "{}", inhabitant.found.len());
        let with_record = inhabitant.found.values().filter(|node| node.record.is_some()).count();
        assert!(with_record * 10 >= inhabitant.found.len() * 9, "{with_record} of {}", inhabitant.found.len());
        assert!(inhabitant.found.values().all(|node| node.tcp == 30304));
    }
}

#[test]
fn the_dead_leave_the_tables() {
    let mut world = World::new(3, 0.0);
    world.add_many(12);
    world.run(Duration::from_secs(60));
    let dead = world.nodes[7].node.id;
    let knowing = |world: &World| world.nodes.iter().filter(|node| node.discv4.table().get(&dead).is_some()).count();
    let before = knowing(&world);
    assert!(before >= 9, "{before}");
    world.nodes[7].silenced = true;
    world.run(Duration::from_secs(1800));
    assert_eq!(knowing(&world), 0);
    assert!(world.nodes.iter().all(|node| node.discv4.table().len() >= 9 || node.silenced));
}

#[test]
fn one_seed_is_one_history() {
    let history = |seed| {
        let mut world = World::new(seed, 1.0);
        world.add_many(12);
        world.run(Duration::from_secs(60));
        let found: Vec<_> = world.nodes.iter().map(|node| node.found.keys().copied().collect::<Vec<_>>()).collect();
        (world.sent, found)
    };
    assert_eq!(history(4), history(4));
    assert_ne!(history(4).0, history(5).0);
}

#[test]
fn what_is_not_discv4_is_handed_back() {
    let mut world = World::new(6, 0.0);
    world.add();
    let from = "1.2.3.4:5".parse().unwrap();
    let handled = world.nodes[0].discv4.handle(from, &[0; 100], world.now);
    assert_eq!(handled, Err(InvalidPacket::Foreign));
}
