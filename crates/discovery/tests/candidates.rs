//! The stream of candidates and the database of known nodes.

use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};
use starling_chainspec::{ForkFilter, ForkId};
use starling_discovery::{
    Candidates, DATABASE_NODES_MAX, InvalidDatabase, Node, NodeDb, Record, RecordContent, Refused, Source,
};
use starling_primitives::{NodeKey, PeerId};
use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

const MINUTE: Duration = Duration::from_secs(60);

fn key(seed: u64) -> NodeKey {
    NodeKey::random(&mut StdRng::seed_from_u64(seed))
}

fn node(seed: u64) -> Node {
    Node { id: key(seed).public(), ip: IpAddr::from([1, 2, 3, 4]), udp: 30303, tcp: 30303, record: None }
}

fn on_chain(seed: u64, fork_id: Option<ForkId>) -> Node {
    let content = RecordContent {
        seq: 1,
        ip4: Some(Ipv4Addr::new(1, 2, 3, 4)),
        udp4: Some(30303),
        tcp4: Some(30303),
        fork_id,
        ..Default::default()
    };
    Node::from_record(Record::sign(&key(seed), &content)).unwrap()
}

fn mainnet_filter() -> ForkFilter {
    starling_chainspec::ChainSpec::named("mainnet").unwrap().fork_filter(20_000_000, 1_720_000_000)
}

fn candidates(now: Instant) -> Candidates {
    Candidates::new(PeerId::ZERO, 10, now)
}

#[test]
fn sources_take_turns() {
    let now = Instant::now();
    let mut all = candidates(now);
    for seed in 0..100 {
        all.offer(Source::Discv4, node(seed), now).unwrap();
    }
    all.offer(Source::Database, node(200), now).unwrap();
    all.offer(Source::Bootnode, node(201), now).unwrap();
    let first: Vec<Source> = (0..5).map(|_| all.next(now, |_| true).unwrap().source).collect();
    assert_eq!(first, [Source::Bootnode, Source::Database, Source::Discv4, Source::Discv4, Source::Discv4]);
}

#[test]
fn nobody_is_proposed_twice_in_a_row() {
    let now = Instant::now();
    let mut all = candidates(now);
    assert_eq!(all.offer(Source::Discv4, node(1), now), Ok(()));
    assert_eq!(all.offer(Source::Discv5, on_chain(1, Some(mainnet_filter().current())), now), Err(Refused::Known));
    assert!(all.next(now, |_| true).is_some());
    assert_eq!(all.offer(Source::Discv4, node(1), now), Err(Refused::Known));
    assert_eq!(all.offer(Source::Discv4, node(1), now + MINUTE), Ok(()));
    // connected by someone else meanwhile
    all.connected(node(1).id);
    assert_eq!(all.next(now + MINUTE, |_| true), None);
    assert_eq!(all.offer(Source::Discv4, node(1), now + 9 * MINUTE), Err(Refused::Known));
    all.disconnected(node(1).id, now + 9 * MINUTE);
    assert_eq!(all.offer(Source::Discv4, node(1), now + 9 * MINUTE), Err(Refused::Known));
    assert_eq!(all.offer(Source::Discv4, node(1), now + 10 * MINUTE), Ok(()));
}

#[test]
fn only_nodes_that_can_be_of_our_chain() {
    let now = Instant::now();
    let filter = mainnet_filter();
    let other = starling_chainspec::ChainSpec::named("sepolia").unwrap().fork_id(0, 0);
    let consensus = "enr:-KG4QMOEswP62yzDjSwWS4YEjtTZ5PO6r65CPqYBkgTTkrpaedQ8uEUo1uMALtJIvb2w_WWEVmg5yt1UAuK1ftxUU7QDhGV0aDKQu6TalgMAAAD__________4JpZIJ2NIJpcIQEnfA2iXNlY3AyNTZrMaEDfol8oLr6XJ7FsdAYE7lpJhKMls4G_v6qQOGKJUWGb_uDdGNwgiMog3VkcIIjKA";
    let consensus = Node::from_record(consensus.parse().unwrap()).unwrap();
    let check = |source, node: Node, offered: Result<(), Refused>, proposed: bool| {
        let mut all = Candidates::new(key(99).public(), 10, now);
        assert_eq!(all.offer(source, node.clone(), now), offered, "{source:?} {node:?}");
        assert_eq!(
            all.next(now, |fork_id| filter.validate(*fork_id).is_ok()).is_some(),
            proposed,
            "{source:?} {node:?}"
        );
    };
    check(Source::Discv5, on_chain(1, Some(filter.current())), Ok(()), true);
    check(Source::Discv5, on_chain(1, Some(other)), Ok(()), false);
    check(Source::Discv5, on_chain(1, None), Err(Refused::NoChain), false);
    check(Source::Dns, on_chain(1, None), Err(Refused::NoChain), false);
    check(Source::Discv4, on_chain(1, Some(other)), Ok(()), false);
    check(Source::Discv4, node(1), Ok(()), true);
    for source in [Source::Bootnode, Source::Discv4, Source::Discv5] {
        check(source, consensus.clone(), Err(Refused::Consensus), false);
    }
    check(Source::Discv4, node(99), Err(Refused::Own), false);
    check(Source::Bootnode, Node { tcp: 0, ..node(1) }, Err(Refused::NoPort), false);
}

#[test]
fn a_node_that_waits_is_judged_by_its_newest_record() {
    let now = Instant::now();
    let mut all = candidates(now);
    let other = starling_chainspec::ChainSpec::named("sepolia").unwrap().fork_id(0, 0);
    all.offer(Source::Discv4, node(1), now).unwrap();
    assert_eq!(all.offer(Source::Discv4, on_chain(1, Some(other)), now), Err(Refused::Known));
    assert_eq!(all.next(now, |fork_id| mainnet_filter().validate(*fork_id).is_ok()), None);
}

#[test]
fn looking_around_slows_down_and_never_stops() {
    let now = Instant::now();
    let mut all = candidates(now);
    for (quiet, pace) in [(0, 1), (3, 1), (4, 2), (8, 4), (16, 8), (29, 8), (60, 10)] {
        assert_eq!(all.lookup_interval(now + Duration::from_secs(quiet)), Duration::from_secs(pace), "{quiet}");
    }
    for seed in 0..40 {
        all.offer(Source::Discv4, node(seed), now + MINUTE).unwrap();
    }
    assert!(!all.is_hungry());
    assert_eq!(all.lookup_interval(now + MINUTE), Duration::from_secs(10));
    (0..10).for_each(|seed| all.connected(node(seed).id));
    assert_eq!(all.lookup_interval(now + MINUTE), MINUTE);
}

#[test]
fn a_flood_of_one_source_leaves_room() {
    let now = Instant::now();
    let mut all = candidates(now);
    all.offer(Source::Database, node(1_000_000), now).unwrap();
    for index in 0..1000u64 {
        let mut id = PeerId::ZERO;
        id[..8].copy_from_slice(&(index + 1).to_be_bytes());
        all.offer(Source::Discv4, Node { id, ..node(1) }, now).unwrap();
    }
    assert_eq!(all.len(), 257);
    assert_eq!(all.next(now, |_| true).unwrap().source, Source::Database);
}

#[test]
fn the_database_survives_a_restart() {
    let mut db = NodeDb::new();
    db.found(&node(1), 100);
    db.found(&on_chain(2, Some(mainnet_filter().current())), 200);
    db.connected(&node(2).id, 300);
    db.failed(&node(1).id);
    assert!(db.take_changed() && !db.take_changed());

    let again = NodeDb::from_json(&db.to_json()).unwrap();
    for seed in [1, 2] {
        assert_eq!(again.get(&node(seed).id), db.get(&node(seed).id));
    }
    assert_eq!(again.former_peers(10), [on_chain(2, Some(mainnet_filter().current()))]);
    assert_eq!(again.seeds(10, &mut StdRng::seed_from_u64(1)).len(), 2);

    // a later answer without a record does not lose the record
    db.found(&node(2), 400);
    assert!(db.get(&node(2).id).unwrap().node.record.is_some());
}

#[test]
fn files_that_make_no_sense() {
    let good = r#"{"enode":"enode://ca634cae0d49acb401d8a4c6b6fe8c55b70d115bf400769cc1400f3258cd31387574077f301b421bc84df7266c44e9e6d569fc56be00812904767bf5ccd1fc7f@1.2.3.4:30303","lastSeen":1}"#;
    let bad = r#"{"enode":"enode://00@1.2.3.4:30303","lastSeen":1}"#;
    let db = NodeDb::from_json(&format!("{{\"version\":1,\"nodes\":[{bad},{good}]}}")).unwrap();
    assert_eq!(db.len(), 1);
    assert!(matches!(NodeDb::from_json("{\"version\":2,\"nodes\":[]}"), Err(InvalidDatabase::Version(2))));
    assert!(matches!(NodeDb::from_json("{"), Err(InvalidDatabase::Text(_))));
}

#[test]
fn the_useless_are_forgotten_and_the_number_is_bounded() {
    let mut db = NodeDb::new();
    db.found(&node(1), 0);
    db.found(&node(2), 0);
    db.connected(&node(2).id, 0);
    for _ in 0..5 {
        db.failed(&node(1).id);
        db.failed(&node(2).id);
    }
    assert!(db.get(&node(1).id).is_none() && db.get(&node(2).id).is_some());
    db.found(&node(1), 0);
    db.expire(6 * 86_400);
    assert!(db.get(&node(1).id).is_none() && db.get(&node(2).id).is_some());
    db.expire(31 * 86_400);
    assert!(db.is_empty());

    db.found(&node(2), 0);
    db.connected(&node(2).id, 0);
    for index in 0..2 * DATABASE_NODES_MAX as u64 {
        let mut id = PeerId::ZERO;
        id[..8].copy_from_slice(&(index + 1).to_be_bytes());
        db.found(&Node { id, ..node(1) }, index);
    }
    assert_eq!(db.len(), DATABASE_NODES_MAX);
    assert!(db.get(&node(2).id).is_some());
}

proptest! {
    #[test]
    fn arbitrary_files_never_panic(text in "[ -~]{0,200}", rows in "(\\{\"enode\":\"[ -~&&[^\"\\\\]]{0,60}\",\"lastSeen\":[0-9]{1,9}\\},?){0,3}") {
        let _ = NodeDb::from_json(&text);
        let _ = NodeDb::from_json(&format!("{{\"version\":1,\"nodes\":[{}]}}", rows.trim_end_matches(',')));
    }
}
