//! Two nodes dial each other at the same moment: exactly one connection stays, whatever comes first where.

mod common;

use common::*;
use starling_devp2p::DisconnectReason;
use starling_peers::{ConnectionId, DropReason, PeerAction, PeerEvent, Peers, PeersConfig};
use starling_primitives::PeerId;
use std::time::{Duration, Instant};

/// A connection between the two, by its name at each.
#[derive(Debug, Clone, Copy)]
struct Link([ConnectionId; 2]);

fn side(id: PeerId, other: PeerId, seed: u64, now: Instant) -> (Peers, ConnectionId) {
    let mut peers = Peers::new(PeersConfig { local_id: id, ..config(10) }, vec![], vec![], seed, now);
    peers.handle(PeerEvent::AddStatic(enode(other, far(1))), now);
    match peers.poll() {
        Some(PeerAction::Dial { connection, .. }) => (peers, connection),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_connection_stays() {
    let orders: [&[(usize, usize)]; 4] = [
        // (which side, which link) in the order in which the sides get to know the peer
        &[(0, 0), (0, 1), (1, 0), (1, 1)],
        &[(0, 0), (0, 1), (1, 1), (1, 0)],
        &[(0, 1), (1, 0), (0, 0), (1, 1)],
        &[(1, 1), (0, 0), (1, 0), (0, 1)],
    ];
    for (case, order) in orders.into_iter().enumerate() {
        let mut now = Instant::now();
        let ids = [name(1), name(2)];
        let (mut a, from_a) = side(ids[0], ids[1], 1, now);
        let (mut b, from_b) = side(ids[1], ids[0], 2, now);
        let (into_a, into_b) = (a.next_connection(), b.next_connection());
        a.handle(PeerEvent::Incoming { connection: into_a, from: far(2) }, now);
        b.handle(PeerEvent::Incoming { connection: into_b, from: far(2) }, now);
        let links = [Link([from_a, into_b]), Link([into_a, from_b])];
        let mut sides = [a, b];
        let mut alive = [true, true];
        let mut told = Vec::new();
        for step in 0..order.len() + 20 {
            if let Some((side, link)) = order.get(step) {
                let connection = links[*link].0[*side];
                sides[*side].handle(PeerEvent::Identified { connection, id: ids[1 - *side] }, now);
            } else {
                now += Duration::from_millis(100);
                sides.iter_mut().for_each(|side| side.handle_deadline(now));
            }
            for (index, side) in sides.iter_mut().enumerate() {
                while let Some(action) = side.poll() {
                    match action {
                        PeerAction::Keep { connection } => side.handle(PeerEvent::Ready { connection }, now),
                        PeerAction::Drop { connection, reason } => {
                            assert_eq!(reason, DropReason::AlreadyConnected);
                            side.handle(PeerEvent::Closed { connection, reason }, now);
                            let link = (0..2).find(|link| links[*link].0[index] == connection).unwrap();
                            if std::mem::replace(&mut alive[link], false) {
                                told.push((1 - index, links[link].0[1 - index]));
                            }
                        }
                        PeerAction::Admit { .. } => {}
                        other => panic!("{other:?}"),
                    }
                }
            }
            for (side, connection) in told.drain(..) {
                let reason = DropReason::Remote(DisconnectReason::AlreadyConnected);
                sides[side].handle(PeerEvent::Closed { connection, reason }, now);
            }
        }
        assert_eq!(alive.iter().filter(|alive| **alive).count(), 1, "case {case}: {alive:?}");
        for side in &sides {
            let counts = side.counts();
            assert_eq!(counts.inbound + counts.outbound, 1, "case {case}: {counts:?}");
        }
    }
}
