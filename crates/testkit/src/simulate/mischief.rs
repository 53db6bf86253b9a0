//! What hostile nodes say.

use super::{
    inhabitant::Conduct,
    talk::{Message, invented, on_the_wire, transfer},
};
use rand::{Rng, RngExt, rngs::StdRng};
use starling_devp2p::eth::PooledHashes;
use starling_discovery::discv4::packet::{Endpoint, NEIGHBORS_PER_PACKET, Neighbor, Packet};
use starling_primitives::{Bytes, NodeKey, U256};
use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

/// Time from one bad deed to the next.
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// Transactions that a flood has each time.
const FLOOD: usize = 64;

/// What a node of that conduct says to each of its peers now.
pub(super) fn said(conduct: Conduct, rng: &mut StdRng, now: Instant) -> Vec<Message> {
    match conduct {
        Conduct::Honest | Conduct::Knocker | Conduct::Poisoner => Vec::new(),
        Conduct::Silent => vec![Message::Announce(invented(rng.next_u64()))],
        Conduct::Liar => {
            let announced = PooledHashes { sizes: vec![rng.random_range(100..2_000)], ..invented(rng.next_u64()) };
            vec![Message::Announce(announced)]
        }
        Conduct::Garbage => vec![Message::Transactions(vec![Bytes::from(vec![0x83, 0x02, 0xc1, 0x80])])],
        Conduct::Flood => vec![Message::Transactions((0..FLOOD).map(|_| worthless(rng, now)).collect())],
    }
}

/// A transaction that was not asked for.
pub(super) fn other(rng: &mut StdRng, now: Instant) -> Bytes {
    on_the_wire(transfer(&NodeKey::random(rng), 0, U256::from(1)), now)
}

/// A transaction that is well signed and paid by nobody.
fn worthless(rng: &mut StdRng, now: Instant) -> Bytes {
    on_the_wire(transfer(&NodeKey::random(rng), 0, U256::MAX >> 8), now)
}

/// The answer to FindNode of who wants to fill tables with nothing; none to anything else.
pub(super) fn poison(key: &NodeKey, bytes: &[u8], rng: &mut StdRng) -> Option<Vec<u8>> {
    let Packet::FindNode { expiration, .. } = Packet::decode(bytes).ok()?.packet else { return None };
    let mut invent = || Neighbor {
        endpoint: Endpoint {
            ip: Some(IpAddr::V4(Ipv4Addr::new(99, rng.random(), rng.random(), 1))),
            udp: 30303,
            tcp: 30303,
        },
        id: NodeKey::random(rng).public(),
    };
    let nodes = (0..NEIGHBORS_PER_PACKET).map(|_| invent()).collect();
    Some(Packet::Neighbors { nodes, expiration }.encode(key).0)
}
