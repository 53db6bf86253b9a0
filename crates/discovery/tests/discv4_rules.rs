//! What a node answers and what it does not: the rules of the specification and the cases of geth's `devp2p` tool,
//! one scripted stranger against one node.

use rand::{SeedableRng, rngs::StdRng};
use starling_discovery::{
    Enode, Host, Node, Record, RecordContent,
    discv4::{
        Action, Config, Discv4,
        packet::{Endpoint, Neighbor, Packet, Received},
    },
};
use starling_primitives::{B256, NodeKey, PeerId};
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

const UNIX: Duration = Duration::from_secs(1_700_000_000);
const SOON: u64 = UNIX.as_secs() + 20;

/// One node, and what it sends.
struct Script {
    discv4: Discv4,
    record: Record,
    now: Instant,
    other: Vec<Action>,
}

struct Stranger {
    key: NodeKey,
    address: SocketAddr,
}

fn key(seed: u64) -> NodeKey {
    NodeKey::random(&mut StdRng::seed_from_u64(seed))
}

fn stranger(seed: u64, address: &str) -> Stranger {
    Stranger { key: key(seed), address: address.parse().unwrap() }
}

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::new(address, 0)
}

fn nobody() -> Endpoint {
    Endpoint::default()
}

impl Script {
    fn new() -> Self {
        let key = key(0);
        let content =
            RecordContent { seq: 77, ip4: Some(Ipv4Addr::LOCALHOST), udp4: Some(30303), ..Default::default() };
        let record = Record::sign(&key, &content);
        let config =
            Config { key, record: record.clone(), bootnodes: Vec::new(), lookup_interval: Duration::from_secs(3600) };
        let now = Instant::now();
        let discv4 = Discv4::new(config, now, UNIX, StdRng::seed_from_u64(0));
        Self { discv4, record, now, other: Vec::new() }
    }

    /// Gives the node a packet and returns what it sends back to that stranger, with the hash of what was given.
    fn give(&mut self, from: &Stranger, packet: &Packet) -> (Vec<Received>, B256) {
        let (bytes, hash) = packet.encode(&from.key);
        self.discv4.handle(from.address, &bytes, self.now).unwrap();
        (self.sent_to(from), hash)
    }

    fn sent_to(&mut self, stranger: &Stranger) -> Vec<Received> {
        let mut sent = Vec::new();
        while let Some(action) = self.discv4.poll() {
            match action {
                Action::Send { to, bytes } if to == stranger.address => sent.push(Packet::decode(&bytes).unwrap()),
                other => self.other.push(other),
            }
        }
        sent
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.discv4.next_deadline().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.discv4.advance(self.now);
        }
        self.now = end;
    }

    fn bond(&mut self, stranger: &Stranger) {
        let ping = Packet::Ping { from: nobody(), to: nobody(), expiration: SOON, record_seq: None };
        let (sent, _) = self.give(stranger, &ping);
        let hash = sent.iter().find(|sent| matches!(sent.packet, Packet::Ping { .. })).expect("a Ping back").hash;
        let pong = Packet::Pong { to: endpoint(stranger.address), ping_hash: hash, expiration: SOON, record_seq: None };
        assert_eq!(self.give(stranger, &pong).0, []);
    }

    fn find_node(&mut self, stranger: &Stranger) -> Option<Vec<Neighbor>> {
        let (sent, _) = self.give(stranger, &Packet::FindNode { target: PeerId::ZERO, expiration: SOON });
        let parts: Vec<_> = sent
            .into_iter()
            .filter_map(|sent| match sent.packet {
                Packet::Neighbors { nodes, .. } => Some(nodes),
                _ => None,
            })
            .collect();
        (!parts.is_empty()).then(|| parts.concat())
    }
}

#[test]
fn a_ping_is_answered_and_asked_back_whatever_it_says_of_itself() {
    let stranger = stranger(1, "127.0.0.1:4000");
    let wrong = endpoint("9.9.9.9:9".parse().unwrap());
    for (from, to) in [(nobody(), endpoint(stranger.address)), (nobody(), wrong), (wrong, wrong)] {
        let mut script = Script::new();
        let ping = Packet::Ping { from, to, expiration: SOON, record_seq: None };
        let (sent, hash) = script.give(&stranger, &ping);
        let to = Endpoint::new(stranger.address, from.tcp);
        assert_eq!(sent[0].packet, Packet::Pong { to, ping_hash: hash, expiration: SOON, record_seq: Some(77) });
        assert!(matches!(sent[1].packet, Packet::Ping { .. }));
        assert_eq!(sent.len(), 2);
    }
}

#[test]
fn what_is_past_is_void() {
    let (mut script, stranger) = (Script::new(), stranger(1, "127.0.0.1:4000"));
    for expiration in [0, UNIX.as_secs() - 1, u64::MAX, 0u64.wrapping_sub(SOON)] {
        let ping = Packet::Ping { from: nobody(), to: nobody(), expiration, record_seq: None };
        assert_eq!(script.give(&stranger, &ping).0, [], "{expiration}");
    }
    script.bond(&stranger);
    assert_eq!(script.give(&stranger, &Packet::FindNode { target: PeerId::ZERO, expiration: 1 }).0, []);
    assert_eq!(script.give(&stranger, &Packet::EnrRequest { expiration: 1 }).0, []);
}

#[test]
fn a_bonded_node_is_not_pinged_again() {
    let (mut script, stranger) = (Script::new(), stranger(1, "127.0.0.1:4000"));
    script.bond(&stranger);
    let ping = Packet::Ping { from: nobody(), to: nobody(), expiration: SOON, record_seq: None };
    let sent = script.give(&stranger, &ping).0;
    assert!(matches!(sent[..], [Received { packet: Packet::Pong { .. }, .. }]), "{sent:?}");
}

#[test]
fn nothing_big_without_a_bond() {
    let (mut script, stranger) = (Script::new(), stranger(1, "127.0.0.1:4000"));
    assert_eq!(script.find_node(&stranger), None);
    assert_eq!(script.give(&stranger, &Packet::EnrRequest { expiration: SOON }).0, []);

    // a Pong to no Ping, or with another hash, makes no bond
    let ping = Packet::Ping { from: nobody(), to: nobody(), expiration: SOON, record_seq: None };
    script.give(&stranger, &ping);
    let pong = Packet::Pong { to: nobody(), ping_hash: B256::repeat_byte(1), expiration: SOON, record_seq: None };
    script.give(&stranger, &pong);
    assert_eq!(script.find_node(&stranger), None);

    // nor does a bond from another address
    let elsewhere = Stranger { key: stranger.key.clone(), address: "127.0.0.2:4000".parse().unwrap() };
    script.wait(Duration::from_secs(1));
    script.sent_to(&stranger);
    script.bond(&stranger);
    assert_eq!(script.find_node(&elsewhere), None);
    assert!(script.find_node(&stranger).is_some());
}

#[test]
fn a_record_is_given_over_a_bond() {
    let (mut script, stranger) = (Script::new(), stranger(1, "127.0.0.1:4000"));
    script.bond(&stranger);
    let (sent, hash) = script.give(&stranger, &Packet::EnrRequest { expiration: SOON });
    assert_eq!(sent[0].packet, Packet::EnrResponse { request_hash: hash, record: script.record });
}

#[test]
fn only_the_living_are_named() {
    let (mut script, asker) = (Script::new(), stranger(1, "127.0.0.1:4000"));
    script.bond(&asker);
    // unasked
    let fake = Neighbor { endpoint: endpoint("127.0.0.1:5000".parse().unwrap()), id: key(9).public() };
    script.give(&asker, &Packet::Neighbors { nodes: vec![fake], expiration: SOON });
    // pinged us, but did not answer
    let ping = Packet::Ping { from: nobody(), to: nobody(), expiration: SOON, record_seq: None };
    script.give(&stranger(2, "127.0.0.1:4002"), &ping);
    script.bond(&stranger(3, "127.0.0.1:4003"));
    let named: Vec<_> = script.find_node(&asker).unwrap().iter().map(|node| node.id).collect();
    assert!(named.contains(&key(3).public()) && named.contains(&key(1).public()));
    assert_eq!(named.len(), 2);
}

#[test]
fn neighbours_come_in_packets_of_twelve_and_private_ones_stay_private() {
    let mut script = Script::new();
    let (inside, outside) = (stranger(1, "10.0.1.1:4000"), stranger(2, "8.8.8.8:4000"));
    script.bond(&inside);
    script.bond(&outside);
    for host in 0..40 {
        script.bond(&stranger(100 + host, &format!("10.0.0.{host}:4000")));
    }
    let (sent, _) = script.give(&inside, &Packet::FindNode { target: PeerId::ZERO, expiration: SOON });
    let sizes: Vec<usize> = sent
        .iter()
        .map(|sent| match &sent.packet {
            Packet::Neighbors { nodes, .. } => nodes.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sizes, [12, 4]);
    let named: Vec<_> = script.find_node(&outside).unwrap().iter().map(|node| node.id).collect();
    assert_eq!(named, [outside.key.public()]);
}

#[test]
fn who_answers_nothing_is_told_as_such() {
    let mut script = Script::new();
    let enode = Enode { id: key(1).public(), host: Host::Ip([127, 0, 0, 1].into()), tcp: 0, udp: 4000 };
    let node = Node::from_enode(&enode).unwrap();
    script.discv4.ping(node.clone(), script.now);
    script.discv4.request_record(node.clone(), script.now);
    script.discv4.lookup(PeerId::ZERO, script.now).unwrap();
    script.wait(Duration::from_secs(3));
    script.sent_to(&stranger(1, "127.0.0.1:4000"));
    assert!(script.other.contains(&Action::Pinged { id: node.id, round_trip: None }), "{:?}", script.other);
    assert!(script.other.contains(&Action::RecordAnswered { id: node.id, record: None }));
    assert!(
        script.other.iter().any(|action| matches!(action, Action::LookupDone { nearest, .. } if nearest.is_empty()))
    );
}

#[test]
fn floods_do_not_grow_memory() {
    // Every queue and map has a bound; what is counted here is what waits for answers that never come.
    let mut script = Script::new();
    let ping = Packet::Ping { from: nobody(), to: nobody(), expiration: SOON, record_seq: Some(5) };
    let mut asked_back = 0;
    for seed in 0..1500 {
        let [_, _, high, low] = (seed as u32).to_be_bytes();
        let stranger = stranger(1000 + seed, &format!("20.{high}.{low}.1:4000"));
        asked_back += script.give(&stranger, &ping).0.len() - 1;
    }
    assert_eq!(asked_back, 1024);
    script.wait(Duration::from_secs(2));
    assert_eq!(script.give(&stranger(5000, "21.0.0.1:4000"), &ping).0.len(), 2);
}
