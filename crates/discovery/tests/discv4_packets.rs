//! discv4 packets: the published ones must be read, and what is written must be read back.

use proptest::{collection::vec, option, prelude::*};
use rand::{SeedableRng, rngs::StdRng};
use starling_discovery::{
    Record, RecordContent,
    discv4::packet::{Endpoint, NEIGHBORS_PER_PACKET, Neighbor, PACKET_BYTES_MAX, Packet},
};
use starling_primitives::{B256, NodeKey, PeerId};
use starling_testkit::fixtures;
use std::net::IpAddr;

#[test]
fn published_packets_are_read() {
    let Some(text) = fixtures::read("vectors/discv4-eip8.json") else { return };
    let vectors: serde_json::Value = serde_json::from_str(&text).unwrap();
    let signer: PeerId = vectors["signerPublicKey"].as_str().unwrap().parse().unwrap();
    for vector in vectors["packets"].as_array().unwrap() {
        let name = vector["name"].as_str().unwrap();
        let bytes: starling_primitives::Bytes = vector["packet"].as_str().unwrap().parse().unwrap();
        let received = Packet::decode(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(received.from, signer, "{name}");
        assert_eq!(received.packet.expiration(), Some(1_136_239_445), "{name}");
        match (vector["type"].as_u64().unwrap(), received.packet) {
            (1, Packet::Ping { from, to, .. }) => {
                assert_eq!((from.udp, from.tcp), (3322, 5544), "{name}");
                assert_eq!(to.udp, 2222, "{name}");
            }
            (2, Packet::Pong { to, ping_hash, .. }) => {
                assert_eq!(to.udp_addr().unwrap().to_string(), "[2001:db8:85a3:8d3:1319:8a2e:370:7348]:2222");
                assert_eq!(ping_hash.to_string(), "0xfbc914b16819237dcd8801d7e53f69e9719adecb3cc0e790c57e91ca4461c954");
            }
            (3, Packet::FindNode { target, .. }) => assert_eq!(target, signer),
            (4, Packet::Neighbors { nodes, .. }) => {
                let places: Vec<_> = nodes.iter().map(|node| node.endpoint.udp_addr().unwrap().to_string()).collect();
                let expect = [
                    "99.33.22.55:4444",
                    "1.2.3.4:1",
                    "[2001:db8:3c4d:15::abcd:ef12]:3333",
                    "[2001:db8:85a3:8d3:1319:8a2e:370:7348]:999",
                ];
                assert_eq!(places, expect);
            }
            (kind, other) => panic!("{name}: type {kind} was read as {other:?}"),
        }
    }
}

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(|ip| IpAddr::from(ip).to_canonical())
    ]
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    (option::of(ip()), any::<u16>(), any::<u16>()).prop_map(|(ip, udp, tcp)| Endpoint { ip, udp, tcp })
}

fn id() -> impl Strategy<Value = PeerId> {
    any::<[u8; 64]>().prop_map(PeerId::from)
}

fn packet() -> impl Strategy<Value = Packet> {
    let neighbor = (endpoint(), id()).prop_map(|(endpoint, id)| Neighbor { endpoint, id });
    prop_oneof![
        (endpoint(), endpoint(), any::<u64>(), option::of(any::<u64>()))
            .prop_map(|(from, to, expiration, record_seq)| Packet::Ping { from, to, expiration, record_seq }),
        (endpoint(), any::<[u8; 32]>(), any::<u64>(), option::of(any::<u64>())).prop_map(
            |(to, hash, expiration, record_seq)| Packet::Pong { to, ping_hash: hash.into(), expiration, record_seq }
        ),
        (id(), any::<u64>()).prop_map(|(target, expiration)| Packet::FindNode { target, expiration }),
        (vec(neighbor, 0..=NEIGHBORS_PER_PACKET), any::<u64>())
            .prop_map(|(nodes, expiration)| Packet::Neighbors { nodes, expiration }),
        any::<u64>().prop_map(|expiration| Packet::EnrRequest { expiration }),
        (any::<u64>(), any::<[u8; 32]>(), any::<u64>()).prop_map(|(seed, hash, seq)| {
            let key = NodeKey::random(&mut StdRng::seed_from_u64(seed));
            let record = Record::sign(&key, &RecordContent { seq, ..Default::default() });
            Packet::EnrResponse { request_hash: B256::from(hash), record }
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_written_is_read_back(packet in packet(), seed: u64, tail in vec(any::<u8>(), 0..8), at: prop::sample::Index) {
        let key = NodeKey::random(&mut StdRng::seed_from_u64(seed));
        let (bytes, hash) = packet.encode(&key);
        prop_assert!(bytes.len() <= PACKET_BYTES_MAX);
        let received = Packet::decode(&bytes).unwrap();
        prop_assert_eq!(received.from, key.public());
        prop_assert_eq!(received.hash, hash);
        prop_assert_eq!(received.packet, packet);

        // no one can change a byte or add one
        let mut changed = bytes.clone();
        changed[at.index(bytes.len())] ^= 1;
        prop_assert!(Packet::decode(&changed).is_err());
        if !tail.is_empty() {
            prop_assert!(Packet::decode(&[bytes, tail].concat()).is_err());
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..1400)) {
        let _ = Packet::decode(&bytes);
    }
}
