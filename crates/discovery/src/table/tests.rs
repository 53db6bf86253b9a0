use super::*;
use rand::{SeedableRng, rngs::StdRng};
use starling_primitives::NodeKey;
use std::net::{IpAddr, Ipv4Addr};

fn node(rng: &mut StdRng, ip: [u8; 4]) -> Node {
    let id = NodeKey::random(rng).public();
    Node { id, ip: IpAddr::from(ip), udp: 30303, tcp: 30303, record: None }
}

fn table() -> (Table, StdRng, Instant) {
    (Table::new(B256::ZERO), StdRng::seed_from_u64(7), Instant::now())
}

#[test]
fn distances() {
    let check = |a: B256, b: B256, expect| assert_eq!(distance(a, b), expect);
    check(B256::ZERO, B256::ZERO, 0);
    check(B256::ZERO, B256::with_last_byte(1), 1);
    check(B256::ZERO, B256::with_last_byte(0x80), 8);
    check(B256::ZERO, B256::repeat_byte(0x80), 256);
    check(B256::repeat_byte(0x80), B256::repeat_byte(0xc0), 255);
    let table = Table::new(B256::ZERO);
    assert_eq!(table.index(B256::repeat_byte(0x80)), 0);
    assert_eq!(table.index(B256::repeat_byte(0x40)), 1);
    assert_eq!(table.index(B256::with_last_byte(1)), BUCKETS - 1);
    let mut sixteenth = B256::ZERO;
    sixteenth[2] = 0xff;
    assert_eq!(table.index(sixteenth), 16);
}

#[test]
fn one_neighbourhood_cannot_fill_a_bucket_or_the_table() {
    let (mut table, mut rng, now) = table();
    for host in 0..200 {
        table.answered(node(&mut rng, [1, 2, 3, host]), now);
    }
    assert!(table.len() <= SUBNET_TABLE_MAX);
    for bucket in &table.buckets {
        assert!(bucket.nodes.len() + bucket.waiting.len() <= SUBNET_BUCKET_MAX);
    }
    // but one machine may hold a whole network of ours
    for _ in 0..60 {
        table.answered(node(&mut rng, [127, 0, 0, 1]), now);
    }
    assert!(table.len() > 30);
}

#[test]
fn a_silent_node_gives_its_place_to_one_that_waits() {
    let (mut table, mut rng, now) = table();
    let mut net = 0u8;
    while table.buckets[0].waiting.len() < 2 {
        net += 1;
        table.answered(node(&mut rng, [1, 1, net, 1]), now);
    }
    let (gone, next) = (table.buckets[0].nodes[0].node.clone(), table.buckets[0].waiting[1].node.clone());
    // twice checked: survives one silence
    table.answered(gone.clone(), now);
    table.answered(gone.clone(), now);
    table.check_failed(&gone.id);
    assert!(table.get(&gone.id).is_some());
    table.check_failed(&gone.id);
    assert!(table.get(&gone.id).is_none() && table.get(&next.id).is_some());
    assert_eq!(table.buckets[0].nodes.len(), BUCKET_NODES);
}

#[test]
fn a_node_that_moved_is_new_again() {
    let (mut table, mut rng, now) = table();
    let mut moved = node(&mut rng, [1, 1, 1, 1]);
    table.answered(moved.clone(), now);
    table.check_passed(&moved.id);
    let later = now + CHECK_AFTER;
    assert_eq!(table.next_check(Check::New, later, &mut rng), None);
    assert_eq!(table.next_check(Check::Proven, later, &mut rng).map(|node| node.id), Some(moved.id));
    moved.ip = Ipv4Addr::new(2, 2, 2, 2).into();
    table.answered(moved.clone(), now);
    assert_eq!(table.next_check(Check::New, now, &mut rng), None);
    assert_eq!(table.next_check(Check::New, later, &mut rng), Some(&moved));
}

#[test]
fn useless_nodes_leave_only_a_bucket_that_can_spare_them() {
    let (mut table, mut rng, now) = table();
    let mut net = 0u8;
    let mut fill = |table: &mut Table, rng: &mut StdRng, count: usize| {
        while table.buckets[0].nodes.len() < count {
            net += 1;
            table.answered(node(rng, [1, 1, net, 1]), now);
        }
    };
    fill(&mut table, &mut rng, 1);
    let useless = table.buckets[0].nodes[0].node.id;
    for _ in 0..10 {
        table.query_failed(&useless);
    }
    assert!(table.get(&useless).is_some());
    fill(&mut table, &mut rng, BUCKET_NODES / 2);
    table.query_failed(&useless);
    assert!(table.get(&useless).is_none());
}

#[test]
fn nearest_are_the_nearest() {
    let (mut table, mut rng, now) = table();
    for net in 0..100 {
        table.answered(node(&mut rng, [1, net, 1, 1]), now);
    }
    let target = B256::repeat_byte(0x5a);
    let mut all: Vec<B256> = table.nodes().map(|node| node.node_id() ^ target).collect();
    all.sort();
    let nearest: Vec<B256> = table.nearest(target, 16).iter().map(|node| node.node_id() ^ target).collect();
    assert_eq!(nearest, all[..16]);
}
