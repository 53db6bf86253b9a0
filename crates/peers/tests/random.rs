//! Anything at any time: what must always hold, and that a seed tells the whole story.

mod common;

use common::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use starling_peers::{ConnectionId, DropReason, Merit, Offence, PeerAction, PeerEvent, Peers};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// One random history of events against one set of peers; returns what was decided.
fn history(seed: u64, events: usize) -> Vec<PeerAction> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut now = Instant::now();
    let mut peers = Peers::new(config(12), vec![], vec![], seed, now);
    let (mut log, mut begun, mut ended) = (Vec::new(), 0, 0);
    // What the network knows: connections, and whether they were told to end.
    let mut open: BTreeMap<ConnectionId, bool> = BTreeMap::new();
    for _ in 0..events {
        now += Duration::from_millis(rng.random_range(0..20_000));
        let one = |rng: &mut StdRng| name(rng.random_range(0..30));
        let some = |rng: &mut StdRng, open: &BTreeMap<ConnectionId, bool>| {
            open.keys().nth(rng.random_range(0..open.len().max(1))).copied()
        };
        let event = match rng.random_range(0..12) {
            0 | 1 => {
                let number = rng.random_range(0..30);
                Some(PeerEvent::Candidate { id: name(number), addr: far(number) })
            }
            2 | 3 => {
                let connection = peers.next_connection();
                open.insert(connection, false);
                begun += 1;
                Some(PeerEvent::Incoming { connection, from: far(rng.random_range(0..60)) })
            }
            4 | 5 => some(&mut rng, &open).map(|connection| PeerEvent::Identified { connection, id: one(&mut rng) }),
            6 => some(&mut rng, &open).map(|connection| PeerEvent::Ready { connection }),
            7 => some(&mut rng, &open).map(|connection| {
                open.remove(&connection);
                ended += 1;
                PeerEvent::Closed { connection, reason: DropReason::ConnectionLost }
            }),
            8 => Some(PeerEvent::Offence { id: one(&mut rng), offence: Offence::BadData }),
            9 => some(&mut rng, &open).map(|connection| PeerEvent::Merit {
                connection,
                merit: Merit::NewHead,
                amount: 1,
            }),
            10 => Some(PeerEvent::AddStatic(enode(one(&mut rng), far(1)))),
            _ => Some(PeerEvent::RemoveStatic(one(&mut rng))),
        };
        match event {
            Some(event) => peers.handle(event, now),
            None => peers.handle_deadline(now),
        }
        while let Some(action) = peers.poll() {
            match &action {
                PeerAction::Dial { connection, .. } => {
                    begun += 1;
                    assert_eq!(open.insert(*connection, false), None, "seed {seed}");
                }
                PeerAction::Drop { connection, .. } => {
                    // The network may have reported the end before it heard the order.
                    if let Some(dropped) = open.get_mut(connection) {
                        assert!(!std::mem::replace(dropped, true), "seed {seed}: dropped twice");
                    }
                }
                _ => {}
            }
            log.push(action);
        }
        let counts = peers.counts();
        assert!(counts.dialing <= 50 && counts.shaking <= 50, "seed {seed}: {counts:?}");
        let deadline = peers.next_deadline(now).unwrap();
        assert!(deadline >= now || peers.candidates_wanted() > 0, "seed {seed}: a deadline lies behind");
    }
    let dropped = open.values().filter(|dropped| **dropped).count() as u64;
    let reasons: u64 = peers.drops().counts().map(|(_, count)| count).sum();
    let alive = open.len() as u64 - dropped;
    assert_eq!(reasons, begun - alive, "seed {seed}: every end has one reason ({ended} reported)");
    log
}

#[test]
fn invariants_hold_and_a_seed_repeats() {
    for seed in 0..60 {
        assert_eq!(history(seed, 400), history(seed, 400), "seed {seed}");
    }
}
