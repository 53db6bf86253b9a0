//! Whom a node dials, and how often.

mod common;

use common::*;
use starling_discovery::Host;
use starling_peers::{DropReason, KnownPeer, PeerAction, PeerEvent, PeersConfig};

#[test]
fn a_third_of_the_slots_is_dialed() {
    let check = |peers_max: usize, expect: usize| {
        let mut world = World::new(config(peers_max), 1);
        world.found = (0..200).map(|number| world.node(number, Manner::Answers)).collect();
        world.run(2 * MINUTE);
        assert_eq!(world.peers.counts().outbound, expect, "of {peers_max}");
    };
    check(50, 16);
    check(3, 1);
    check(1, 1);
    check(0, 0);
}

#[test]
fn dead_addresses_do_not_starve_the_living() {
    let mut world = World::new(config(30), 2);
    world.found = (0..900).map(|number| world.node(number, Manner::Silent)).collect();
    let living: Vec<_> = (1000..1010).map(|number| world.node(number, Manner::Answers)).collect();
    world.found.extend(living);
    world.run(10 * MINUTE);
    assert_eq!(world.peers.counts().outbound, 10);
    assert!(world.dials_of(name(5)).len() == 1, "a candidate that fails is not kept");
}

/// Discovery found a handful of nodes once and never anything again. They come and go for days; the node stays
/// connected whenever it can.
#[test]
fn a_node_never_decays_to_zero() {
    for seed in 0..10 {
        let mut world = World::new(config(30), seed);
        world.found = (0..12).map(|number| world.node(number, Manner::Answers)).collect();
        world.run(5 * MINUTE);
        for hour in 0..48u16 {
            world.lose_all();
            for number in 0..12 {
                let manner = if (number + hour) % 3 == 0 { Manner::Answers } else { Manner::Silent };
                world.node(number, manner);
            }
            world.run(HOUR);
            assert!(world.peers.counts().outbound >= 3, "seed {seed}, hour {hour}: {:?}", world.peers.counts());
        }
    }
}

#[test]
fn known_peers_of_an_earlier_run_are_dialed_without_discovery() {
    let known = vec![KnownPeer { id: name(1), addr: far(1) }];
    let mut world = World::with(config(10), vec![], known, 3);
    world.node(1, Manner::Answers);
    world.run(MINUTE);
    assert_eq!(world.peers.counts().outbound, 1);
    assert_eq!(world.peers.known_good().count(), 1);
}

#[test]
fn a_known_peer_that_moved_is_dialed_where_it_is() {
    let known = vec![KnownPeer { id: name(1), addr: far(1) }];
    let mut world = World::with(config(10), vec![], known, 3);
    world.nodes.insert(name(1), (far(2), Manner::Answers));
    world.run(MINUTE * 10);
    assert_eq!(world.peers.counts().outbound, 0);
    world.tell(PeerEvent::Candidate { id: name(1), addr: far(2) });
    assert_eq!(world.peers.counts().outbound, 1);
    assert_eq!(world.peers.known_good().next().map(|peer| peer.addr), Some(far(2)));
}

#[test]
fn boot_nodes_are_the_last_resort() {
    let boot = vec![KnownPeer { id: name(9), addr: far(9) }];
    let mut world = World::with(config(10), boot.clone(), vec![], 4);
    world.node(9, Manner::Answers);
    world.run(MINUTE);
    assert_eq!(world.dials_of(name(9)), [20]);

    let mut world = World::with(config(10), boot, vec![], 4);
    world.node(9, Manner::Answers);
    world.found = vec![world.node(1, Manner::Answers)];
    world.run(HOUR);
    assert_eq!(world.dials_of(name(9)), [0; 0], "there was a peer");
}

#[test]
fn a_static_peer_is_dialed_until_it_answers_and_again_when_it_goes() {
    let mut world = World::new(PeersConfig { dials_strangers: false, ..config(10) }, 5);
    let id = world.node(1, Manner::Silent);
    world.tell(PeerEvent::AddStatic(enode(id, far(1))));
    world.run(HOUR);
    let dials = world.dials_of(id);
    assert!(dials.len() >= 8 && dials[0] == 0, "{dials:?}");
    assert!(dials.windows(2).all(|pair| (35..=450).contains(&(pair[1] - pair[0]))), "{dials:?}");
    world.node(1, Manner::Answers);
    world.run(10 * MINUTE);
    assert_eq!(world.peers.counts().outbound, 1);
    world.lose_all();
    world.run(2 * MINUTE);
    assert_eq!(world.peers.counts().outbound, 1);
    world.tell(PeerEvent::RemoveStatic(id));
    world.run(HOUR);
    assert_eq!(world.peers.counts().outbound, 0);
    assert_eq!(world.drops(DropReason::Removed), 1);
}

#[test]
fn a_static_peer_may_have_a_host_name() {
    let mut world = World::new(config(10), 6);
    let mut named = enode(name(1), far(1));
    named.host = Host::Dns("one.example.org".into());
    world.tell(PeerEvent::AddStatic(named));
    world.run(MINUTE);
    assert_eq!(world.peers.counts().outbound, 0, "the name leads nowhere yet");
    world.node(1, Manner::Answers);
    world.run(10 * MINUTE);
    assert_eq!(world.peers.counts().outbound, 1);
    let resolves = world.log.iter().filter(|(_, action)| matches!(action, PeerAction::Resolve { .. })).count();
    assert!((2..10).contains(&resolves), "{resolves}");
}

#[test]
fn nodes_of_another_chain_are_left_alone() {
    let mut world = World::new(config(10), 7);
    let id = world.node(1, Manner::OtherChain);
    for _ in 0..50 {
        world.tell(PeerEvent::Candidate { id, addr: far(1) });
        world.run(MINUTE);
    }
    assert_eq!(world.dials_of(id).len(), 1);
}

#[test]
fn netrestrict_holds_both_ways() {
    let only = PeersConfig { netrestrict: vec!["127.0.0.0/8".parse().unwrap()], ..config(10) };
    let mut world = World::new(only, 8);
    world.found = vec![world.node(1, Manner::Answers)];
    world.run(MINUTE);
    world.knock(far(2), name(2));
    world.knock(addr("127.0.0.1:5"), name(3));
    assert_eq!((world.peers.counts().outbound, world.peers.counts().inbound), (0, 1));
    assert_eq!(world.drops(DropReason::NotAllowed), 1);
}

#[test]
fn one_network_gets_few_of_our_dials() {
    let mut world = World::new(config(50), 9);
    for number in 0..20u16 {
        let at = addr(&format!("60.1.1.{}:30303", number + 1));
        world.nodes.insert(name(number), (at, Manner::Answers));
        world.found.push(name(number));
    }
    world.run(5 * MINUTE);
    assert_eq!(world.peers.counts().outbound, 2);

    let mut world = World::new(config(50), 9);
    for number in 0..20u16 {
        let at = addr(&format!("127.0.0.1:{}", number + 1));
        world.nodes.insert(name(number), (at, Manner::Answers));
        world.found.push(name(number));
    }
    world.run(5 * MINUTE);
    assert_eq!(world.peers.counts().outbound, 16, "this machine is no network of strangers");
}
