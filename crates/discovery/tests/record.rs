//! Node records against the published vector, and what is read from and written into them.

use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};
use starling_chainspec::{ChainSpec, ForkId};
use starling_discovery::{InvalidRecord, Node, NodeUrl, RECORD_BYTES_MAX, Record, RecordContent};
use starling_primitives::{NodeKey, PeerId};
use starling_testkit::fixtures;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV6};

fn key(seed: u64) -> NodeKey {
    NodeKey::random(&mut StdRng::seed_from_u64(seed))
}

fn mainnet() -> ForkId {
    ChainSpec::named("mainnet").unwrap().fork_id(0, 0)
}

#[test]
fn published_record() {
    let Some(text) = fixtures::read("vectors/enr-eip778.json") else { return };
    let vector: serde_json::Value = serde_json::from_str(&text).unwrap();
    let vector = &vector["record"];
    let text = vector["text"].as_str().unwrap();
    let key: NodeKey = vector["privateKey"].as_str().unwrap()[2..].parse().unwrap();

    let record: Record = text.parse().unwrap();
    assert_eq!(record.to_string(), text);
    assert_eq!(record.seq(), vector["seq"].as_u64().unwrap());
    assert_eq!(record.id(), key.public());
    assert_eq!(record.node_id().to_string(), vector["nodeId"].as_str().unwrap());
    assert_eq!(record.udp4().unwrap().to_string(), "127.0.0.1:30303");
    assert_eq!(record.tcp4(), None);

    let content = RecordContent { seq: 1, ip4: Some(Ipv4Addr::LOCALHOST), udp4: Some(30303), ..Default::default() };
    assert_eq!(Record::sign(&key, &content), record);
    assert_eq!(Record::sign(&key, &content).to_string(), text);
}

#[test]
fn any_changed_byte_is_refused() {
    let content = RecordContent { seq: 5, ip4: Some(Ipv4Addr::LOCALHOST), udp4: Some(1), ..Default::default() };
    let bytes = Record::sign(&key(1), &content).encode();
    for index in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[index] ^= 1;
        assert!(Record::decode(&changed).is_err(), "byte {index}");
        assert!(Record::decode(&bytes[..index]).is_err(), "first {index} bytes");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(Record::decode(&longer).is_err());
    assert_eq!(Record::decode(&[0; RECORD_BYTES_MAX + 1]), Err(InvalidRecord::TooLong));
    assert_eq!("enr:=".parse::<Record>(), Err(InvalidRecord::Text));
    assert_eq!("enode://".parse::<Record>(), Err(InvalidRecord::Text));
}

#[test]
fn ipv6_ports_fall_back_to_ipv4_ports() {
    let ip6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let base = RecordContent { seq: 1, ip6: Some(ip6), udp4: Some(30301), tcp4: Some(30303), ..Default::default() };
    let check = |content: RecordContent, udp: u16, tcp: u16| {
        let record = Record::sign(&key(1), &content);
        assert_eq!(record.udp6(), Some(SocketAddrV6::new(ip6, udp, 0, 0)));
        assert_eq!(record.tcp6(), Some(SocketAddrV6::new(ip6, tcp, 0, 0)));
        let node = Node::from_record(record).unwrap();
        assert_eq!((node.ip.to_string(), node.udp, node.tcp), (ip6.to_string(), udp, tcp));
    };
    check(base, 30301, 30303);
    check(RecordContent { udp6: Some(5), tcp6: Some(6), ..base }, 5, 6);
}

#[test]
fn the_fullest_record_fits() {
    let content = RecordContent {
        seq: u64::MAX,
        ip4: Some(Ipv4Addr::BROADCAST),
        udp4: Some(u16::MAX),
        tcp4: Some(u16::MAX),
        ip6: Some(Ipv6Addr::from([0xff; 16])),
        udp6: Some(u16::MAX),
        tcp6: Some(u16::MAX),
        fork_id: Some(ForkId { hash: mainnet().hash, next: u64::MAX }),
        snap: true,
    };
    let bytes = Record::sign(&key(1), &content).encode();
    assert!(bytes.len() <= RECORD_BYTES_MAX, "{} bytes", bytes.len());
}

#[test]
fn consensus_records_are_told_apart() {
    // A boot node of the consensus layer, as published by its client.
    let text = "enr:-KG4QMOEswP62yzDjSwWS4YEjtTZ5PO6r65CPqYBkgTTkrpaedQ8uEUo1uMALtJIvb2w_WWEVmg5yt1UAuK1ftxUU7QDhGV0aDKQu6TalgMAAAD__________4JpZIJ2NIJpcIQEnfA2iXNlY3AyNTZrMaEDfol8oLr6XJ7FsdAYE7lpJhKMls4G_v6qQOGKJUWGb_uDdGNwgiMog3VkcIIjKA";
    let record: Record = text.parse().unwrap();
    assert!(record.is_consensus() && record.fork_id().is_none());
    assert!(!Record::sign(&key(1), &RecordContent::default()).is_consensus());
}

#[test]
fn a_newer_record_updates_a_node_and_an_older_one_does_not() {
    let content =
        |seq, tcp| RecordContent { seq, ip4: Some(Ipv4Addr::LOCALHOST), tcp4: Some(tcp), ..Default::default() };
    let mut node = Node::from_record(Record::sign(&key(1), &content(5, 50))).unwrap();
    node.update(Record::sign(&key(1), &content(4, 40)));
    assert_eq!(node.tcp, 50);
    node.update(Record::sign(&key(2), &content(7, 70)));
    assert_eq!(node.tcp, 50);
    node.update(Record::sign(&key(1), &content(6, 60)));
    assert_eq!(node.tcp, 60);
    // an address that was not proven does not move the node
    let elsewhere = RecordContent { ip4: Some(Ipv4Addr::new(8, 8, 8, 8)), ..content(8, 80) };
    node.update(Record::sign(&key(1), &elsewhere));
    assert_eq!((node.ip.to_string().as_str(), node.tcp), ("127.0.0.1", 60));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_signed_is_read_back(
        seed: u64, seq: u64, ip4: Option<[u8; 4]>, udp4: Option<u16>, tcp4: Option<u16>,
        ip6: Option<[u8; 16]>, udp6: Option<u16>, tcp6: Option<u16>, next: Option<u64>, snap: bool,
    ) {
        let key = key(seed);
        let fork_id = next.map(|next| ForkId { hash: mainnet().hash, next });
        let (ip4, ip6) = (ip4.map(Ipv4Addr::from), ip6.map(Ipv6Addr::from));
        let content = RecordContent { seq, ip4, udp4, tcp4, ip6, udp6, tcp6, fork_id, snap };
        let signed = Record::sign(&key, &content);
        let record: Record = signed.to_string().parse().unwrap();
        prop_assert_eq!(&record, &signed);
        prop_assert_eq!(record.seq(), seq);
        prop_assert_eq!(record.id(), key.public());
        prop_assert_eq!(record.node_id(), starling_primitives::node_id(&PeerId::from(key.public())));
        prop_assert_eq!(record.fork_id(), fork_id);
        prop_assert_eq!(record.serves_snap(), snap);
        prop_assert_eq!(record.udp4().map(|at| at.port()), ip4.and(udp4));
        prop_assert_eq!(record.tcp6().map(|at| at.port()), ip6.and(tcp6.or(tcp4)));
    }

    #[test]
    fn arbitrary_bytes_and_text_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..320), text in "enr:[A-Za-z0-9_-]{0,420}") {
        let _ = Record::decode(&bytes);
        let _ = text.parse::<Record>();
    }
}

#[test]
fn built_in_boot_nodes_and_lists_are_well_formed() {
    for network in ["mainnet", "sepolia", "hoodi"] {
        let spec = ChainSpec::named(network).unwrap();
        assert!(spec.bootnodes().len() >= 5);
        for text in spec.bootnodes() {
            let url: NodeUrl = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!(url.node().unwrap().udp_addr().is_some(), "{text}");
        }
        assert!(spec.dns_list().unwrap().contains(network));
    }
    let dev = ChainSpec::named("dev").unwrap();
    assert!(dev.bootnodes().is_empty() && dev.dns_list().is_none());
}
