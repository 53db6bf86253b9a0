//! Two sessions over a pipe of bytes, in virtual time.

use super::*;
use crate::eth::EthVersion;
use crate::snap::SNAP_1;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

/// Both ends, and what each reported.
struct Pair {
    dialer: Session,
    acceptor: Session,
    now: Instant,
    rng: StdRng,
    events: [Vec<Event>; 2],
}

fn key(seed: u64) -> NodeKey {
    NodeKey::random(&mut StdRng::seed_from_u64(seed))
}

fn offer(protocols: &[Protocol]) -> Offer {
    Offer { client_id: "starling/test".into(), protocols: protocols.to_vec(), listen_port: 0 }
}

const ETH: Protocol = EthVersion::V69.protocol();

impl Pair {
    fn new(seed: u64) -> Self {
        Self::offering(seed, &[ETH, SNAP_1], &[SNAP_1, EthVersion::V68.protocol(), ETH])
    }

    fn offering(seed: u64, dialer: &[Protocol], acceptor: &[Protocol]) -> Self {
        let (now, mut rng) = (Instant::now(), StdRng::seed_from_u64(seed));
        let dialer = Session::dial(&key(1), key(2).public(), &offer(dialer), now, &mut rng).unwrap();
        let acceptor = Session::accept(&key(2), &offer(acceptor), now, &mut rng);
        Self { dialer, acceptor, now, rng, events: Default::default() }
    }

    /// Carries bytes both ways, cut at random, until none move.
    fn run(&mut self) {
        let Self { dialer, acceptor, now, rng, events } = self;
        loop {
            let there = carry(dialer, acceptor, &mut events[1], *now, rng);
            let back = carry(acceptor, dialer, &mut events[0], *now, rng);
            if !there && !back {
                return;
            }
        }
    }

    fn opened(seed: u64) -> Self {
        let mut pair = Self::new(seed);
        pair.run();
        for events in &mut pair.events {
            assert!(matches!(events[..], [Event::Established(_)]), "seed {seed}: {events:?}");
            events.clear();
        }
        pair
    }
}

fn carry(from: &mut Session, to: &mut Session, events: &mut Vec<Event>, now: Instant, rng: &mut StdRng) -> bool {
    let bytes = from.output().len();
    if bytes == 0 {
        return false;
    }
    let sent = if rng.random_bool(0.5) { bytes } else { rng.random_range(1..=bytes) };
    let taken = to.receive(&from.output()[..sent], now);
    from.output_sent(taken, now);
    events.extend(std::iter::from_fn(|| to.poll()));
    true
}

#[test]
fn both_sides_learn_who_the_other_is_and_what_is_spoken() {
    let mut pair = Pair::new(1);
    pair.run();
    let [[Event::Established(by_dialer)], [Event::Established(by_acceptor)]] =
        [&pair.events[0][..], &pair.events[1][..]]
    else {
        panic!("{:?}", pair.events)
    };
    assert_eq!((by_dialer.remote, by_acceptor.remote), (key(2).public(), key(1).public()));
    assert_eq!(by_dialer.protocols, [ETH, SNAP_1]);
    assert_eq!(by_dialer.protocols, by_acceptor.protocols);
    assert_eq!(by_acceptor.hello.client_id, "starling/test");
    assert_eq!(by_dialer.hello.capabilities.len(), 3);
}

#[test]
fn messages_arrive_as_they_were_sent() {
    for seed in 0..20 {
        let mut pair = Pair::opened(seed);
        let mut sent = [Vec::new(), Vec::new()];
        for _ in 0..20 {
            let from_dialer = pair.rng.random_bool(0.5);
            let (protocol, id) = if pair.rng.random_bool(0.7) { (ETH, 0x11) } else { (SNAP_1, 7) };
            let magnitude = pair.rng.random_range(1..18);
            let length = pair.rng.random_range(0..2usize.pow(magnitude));
            let mut payload = vec![0; length];
            if pair.rng.random_bool(0.5) {
                pair.rng.fill_bytes(&mut payload);
            }
            let session = if from_dialer { &mut pair.dialer } else { &mut pair.acceptor };
            session.send(&protocol, id, &payload, pair.now).unwrap();
            sent[usize::from(from_dialer)].push(Event::Message(Message { protocol, id, payload: payload.into() }));
            if pair.rng.random_bool(0.3) {
                pair.run();
            }
        }
        pair.run();
        assert!(pair.events == sent, "seed {seed}");
    }
}
