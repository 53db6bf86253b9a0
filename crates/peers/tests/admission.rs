//! Who gets in, who is thrown out, and what is remembered of it.

mod common;

use common::*;
use starling_peers::{DropReason, Merit, Offence, PeerEvent, PeersConfig};
use std::net::SocketAddr;

#[test]
fn a_flood_takes_the_inbound_slots_only() {
    let mut world = World::new(config(50), 1);
    for number in 0..1000 {
        world.knock(SocketAddr::from(([127, 0, 0, 1], 1000 + number)), name(number));
    }
    assert_eq!(world.peers.counts().inbound, 34);
    assert_eq!(world.drops(DropReason::TooManyPeers), 966);
    world.found = (2000..2030).map(|number| world.node(number, Manner::Answers)).collect();
    world.run(MINUTE);
    assert_eq!(world.peers.counts().outbound, 16);
}

#[test]
fn connections_that_say_nothing_fill_the_handshakes_only() {
    let mut world = World::new(config(50), 2);
    for number in 0..1000 {
        let connection = world.peers.next_connection();
        world.open.insert(connection, None);
        world.tell(PeerEvent::Incoming { connection, from: SocketAddr::from(([127, 0, 0, 1], 1000 + number)) });
    }
    assert_eq!(world.peers.counts().shaking, 50);
    assert_eq!(world.drops(DropReason::HandshakesFull), 950);
}

#[test]
fn strangers_of_one_address_or_network_are_held_back() {
    let mut world = World::new(config(50), 3);
    world.knock(addr("60.0.0.1:1"), name(1));
    world.knock(addr("60.0.0.1:2"), name(2));
    assert_eq!(world.drops(DropReason::Throttled), 1);
    for host in 2..20 {
        world.knock(addr(&format!("60.0.0.{host}:1")), name(host));
    }
    assert_eq!(world.peers.counts().inbound, 8);
    assert_eq!(world.drops(DropReason::SubnetFull), 11);
}

#[test]
fn named_peers_come_on_top() {
    let mut world = World::new(config(3), 4);
    for number in 0..10 {
        world.knock(far(number), name(number));
    }
    assert_eq!(world.peers.counts().inbound, 2);
    world.tell(PeerEvent::AddTrusted(name(100)));
    world.knock(far(100), name(100));
    assert_eq!(world.peers.counts().inbound, 3);
    world.tell(PeerEvent::RemoveTrusted(name(100)));
    assert_eq!(world.peers.counts().inbound, 3, "it stays as an ordinary peer");
}

#[test]
fn nobody_is_connected_twice_or_with_itself() {
    let mut world = World::new(config(50), 5);
    world.knock(far(1), name(1));
    world.knock(far(2), name(1));
    assert_eq!(world.drops(DropReason::AlreadyConnected), 1);
    world.knock(far(3), local());
    assert_eq!(world.drops(DropReason::SelfConnection), 1);
    assert_eq!(world.peers.counts().inbound, 1);
}

#[test]
fn offences_drop_and_ban() {
    let check = |offences: &[Offence], named: bool, expect_connected: bool, expect_back: bool| {
        let mut world = World::new(config(50), 6);
        if named {
            world.tell(PeerEvent::AddTrusted(name(1)));
        }
        world.knock(far(1), name(1));
        for offence in offences {
            world.tell(PeerEvent::Offence { id: name(1), offence: *offence });
        }
        assert_eq!(world.peers.counts().inbound == 1, expect_connected, "{offences:?}");
        world.run(MINUTE);
        if !expect_connected {
            world.knock(far(1), name(1));
            assert_eq!(world.peers.counts().inbound == 1, expect_back, "{offences:?}");
        }
    };
    check(&[Offence::Timeout], false, true, true);
    check(&[Offence::BadData], false, false, true);
    check(&[Offence::BadData, Offence::BadData], false, false, false);
    check(&[Offence::ProtocolBreach], false, false, false);
    check(&[Offence::ProtocolBreach], true, false, true);
}

#[test]
fn a_ban_ends_after_twelve_hours() {
    let mut world = World::new(config(50), 7);
    world.knock(far(1), name(1));
    world.tell(PeerEvent::Offence { id: name(1), offence: Offence::ProtocolBreach });
    assert_eq!(world.peers.banned(world.now).count(), 1);
    world.run(11 * HOUR);
    world.knock(far(1), name(1));
    assert_eq!((world.peers.counts().inbound, world.drops(DropReason::Banned)), (0, 1));
    world.run(HOUR);
    world.knock(far(1), name(1));
    assert_eq!(world.peers.counts().inbound, 1);
}

#[test]
fn rotation_makes_room_only_when_full_and_spares_the_useful() {
    let run = |peers: u16| {
        let mut world = World::new(config(30), 8);
        let useful = world.knock(far(0), name(0));
        for number in 1..peers {
            world.knock(far(number), name(number));
        }
        for _ in 0..40 {
            world.tell(PeerEvent::Merit { connection: useful, merit: Merit::ChainData, amount: 100 });
            world.run(15 * MINUTE);
            // Whoever was rotated out comes back.
            for number in 1..peers {
                if !world.open.values().any(|id| *id == Some(name(number))) {
                    world.knock(far(number), name(number));
                }
            }
        }
        (world.drops(DropReason::Rotated), world.open.contains_key(&useful))
    };
    assert_eq!(run(19), (0, true));
    let (rotated, spared) = run(20);
    assert!(rotated > 30 && spared, "{rotated} {spared}");
}

#[test]
fn after_the_stop_nobody_comes_in() {
    let mut world = World::new(config(50), 9);
    world.knock(far(1), name(1));
    world.tell(PeerEvent::Stop);
    world.knock(far(2), name(2));
    assert_eq!(world.drops(DropReason::Stopping), 2);
    assert!(world.open.is_empty() && world.peers.next_deadline(world.now).is_none());
}

#[test]
fn a_node_without_dials_has_all_its_slots_for_others() {
    let mut world = World::new(PeersConfig { dials_strangers: false, ..config(5) }, 10);
    world.found = vec![world.node(100, Manner::Answers)];
    for number in 0..10 {
        world.knock(far(number), name(number));
    }
    assert_eq!((world.peers.counts().inbound, world.peers.counts().outbound), (5, 0));
}
