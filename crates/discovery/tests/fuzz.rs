//! Fuzz harnesses for every byte of a stranger, and for what people and files give.
//!
//! Each runs its corpus and mutations of it in every test run, and for as long as `STARLING_FUZZ_SECONDS` says:
//! `STARLING_FUZZ_SECONDS=600 cargo test -p starling-discovery --test fuzz`. What is signed or hashed on the wire is
//! signed or hashed here around the input, so that mutations get past the first check.

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use rand::{SeedableRng, rngs::StdRng};
use starling_discovery::{
    Enode, Node, NodeDb, NodeUrl, RECORD_BYTES_MAX, Record, RecordContent,
    discv4::{Action, Config, Discv4, PACKET_BYTES_MAX, packet::Packet},
    dns::{Entry, Root, TreeClient, TreeUrl},
};
use starling_primitives::{NodeKey, keccak256};
use starling_testkit::fuzz::{corpus, run};
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

/// Before the expiration in the corpus.
const UNIX: Duration = Duration::from_secs(1_100_000_000);
/// Longest packet to an address that is not proven: a Pong or a Ping, both with IPv6 endpoints.
const UNPROVEN_BYTES_MAX: usize = 200;

fn key(seed: u64) -> NodeKey {
    NodeKey::random(&mut StdRng::seed_from_u64(seed))
}

fn list(items: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    alloy_rlp::Header { list: true, payload_length: items.len() }.encode(&mut out);
    [out, items.to_vec()].concat()
}

/// A datagram of discv4 whose type and data are `signed`.
fn datagram(key: &NodeKey, signed: &[u8]) -> Vec<u8> {
    let rest = [&key.sign_recoverable(&keccak256(signed))[..], signed].concat();
    [&keccak256(&rest)[..], &rest].concat()
}

fn discv4(key: NodeKey, now: Instant) -> Discv4 {
    let content = RecordContent { seq: 1, ip4: Some(Ipv4Addr::LOCALHOST), udp4: Some(30303), ..Default::default() };
    let record = Record::sign(&key, &content);
    let config = Config { key, record, bootnodes: Vec::new(), lookup_interval: Duration::from_secs(1) };
    Discv4::new(config, now, UNIX, StdRng::seed_from_u64(1))
}

fn sent(discv4: &mut Discv4) -> Vec<(SocketAddr, Vec<u8>)> {
    std::iter::from_fn(|| discv4.poll())
        .filter_map(|action| match action {
            Action::Send { to, bytes } => Some((to, bytes)),
            _ => None,
        })
        .collect()
}

/// Answers the Ping that is among what was sent, so that the stranger is proven.
fn prove(discv4: &mut Discv4, stranger: &NodeKey, from: SocketAddr, now: Instant) {
    let mut packets = sent(discv4).into_iter().filter_map(|(_, bytes)| Packet::decode(&bytes).ok());
    let Some(ping) = packets.rfind(|sent| matches!(sent.packet, Packet::Ping { .. })) else { return };
    let pong = Packet::Pong {
        to: Default::default(),
        ping_hash: ping.hash,
        expiration: UNIX.as_secs() + 60,
        record_seq: Some(9),
    };
    discv4.handle(from, &pong.encode(stranger).0, now).expect("a valid packet");
}

#[test]
fn fuzz_discv4() {
    let (own, stranger) = (key(1), key(2));
    let from: SocketAddr = "9.8.7.6:30303".parse().expect("an address");
    run("discv4", &corpus("crates/discovery/fuzz/discv4"), |signed| {
        let now = Instant::now();
        let bytes = datagram(&stranger, signed);
        let mut node = discv4(own.clone(), now);

        // from a stranger
        let _ = node.handle(from, &bytes, now);
        let answers = sent(&mut node);
        assert!(answers.len() <= 2);
        assert!(answers.iter().all(|(to, bytes)| *to == from && bytes.len() <= UNPROVEN_BYTES_MAX));

        // from a proven node, which we have asked for everything
        let ping = Packet::Ping {
            from: Default::default(),
            to: Default::default(),
            expiration: UNIX.as_secs() + 60,
            record_seq: Some(9),
        };
        node.handle(from, &ping.encode(&stranger).0, now).expect("a valid packet");
        prove(&mut node, &stranger, from, now);
        node.lookup(own.public(), now);
        let _ = node.handle(from, &bytes, now);
        for step in 0..20 {
            node.advance(now + Duration::from_millis(200 * step));
            assert!(sent(&mut node).iter().all(|(_, bytes)| bytes.len() <= PACKET_BYTES_MAX));
        }
        assert!(node.table().len() <= 1);
    });
}

#[test]
fn fuzz_discv4_raw() {
    run("discv4_raw", &corpus("crates/discovery/fuzz/discv4_raw"), |bytes| drop(Packet::decode(bytes)));
}

#[test]
fn fuzz_record() {
    let key = key(1);
    run("record", &corpus("crates/discovery/fuzz/record"), |items| {
        let signature = key.sign_recoverable(&keccak256(list(items)));
        let bytes = list(&[&[0xb8, 64], &signature[..64], items].concat());
        let Ok(record) = Record::decode(&bytes) else { return };
        assert!(record.encode().len() <= RECORD_BYTES_MAX);
        assert_eq!(record.to_string().parse(), Ok(record.clone()));
        let _ = (record.id(), record.node_id(), record.fork_id(), record.is_consensus(), record.keys().count());
        if let Some(node) = Node::from_record(record) {
            assert_eq!(node.enode().to_string().parse(), Ok(node.enode()));
        }
    });
}

#[test]
fn fuzz_node_text() {
    run("node_text", &corpus("crates/discovery/fuzz/node_text"), |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        if let Ok(url) = text.parse::<NodeUrl>() {
            assert_eq!(url.to_string().parse(), Ok(url));
        }
        let _ = text.parse::<Enode>();
        let _ = text.parse::<TreeUrl>();
    });
}

#[test]
fn fuzz_dns() {
    let key = key(1);
    run("dns", &corpus("crates/discovery/fuzz/dns"), |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        // as an entry at its own name
        let hash = BASE32_NOPAD.encode(&keccak256(text)[..16]);
        let _ = Entry::parse(text, &hash.parse().expect("a hash"));
        // as a root, signed
        let signed = text.split(" sig=").next().unwrap_or_default();
        let signature = BASE64URL_NOPAD.encode(&key.sign_recoverable(&keccak256(signed)));
        let root = format!("{signed} sig={signature}");
        let _ = (Root::parse(text, &key.public()), Root::parse(&root, &key.public()));
        // at every name a client asks for
        let now = Instant::now();
        let url = TreeUrl { signer: key.public(), domain: "a.example".into() };
        let mut client = TreeClient::new([url], now, StdRng::seed_from_u64(1));
        for step in 0..10 {
            let now = now + Duration::from_secs(step);
            client.advance(now);
            while let Some(action) = client.poll() {
                if let starling_discovery::dns::Action::Resolve(name) = action {
                    client.handle(&name, Some(&[root.clone(), text.into()]), now);
                }
            }
        }
    });
}

#[test]
fn fuzz_database() {
    run("database", &corpus("crates/discovery/fuzz/database"), |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let Ok(db) = NodeDb::from_json(text) else { return };
        let again = NodeDb::from_json(&db.to_json()).expect("what was written is read");
        assert_eq!(again.len(), db.len());
    });
}
