//! Two sessions over a pipe of bytes, in virtual time.

use super::*;
use crate::eth::EthVersion;
use crate::snap::SNAP_1;
use crate::testing::{Attacker, ETH, capability, hello, key, offer};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

/// Both ends, and what each reported.
struct Pair {
    dialer: Session,
    acceptor: Session,
    now: Instant,
    rng: StdRng,
    events: [Vec<Event>; 2],
}

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

#[test]
fn corrupted_streams_end_for_a_reason_of_ours() {
    for seed in 0..400 {
        let mut pair = if seed % 2 == 0 { Pair::new(seed) } else { Pair::opened(seed) };
        let _ = pair.dialer.send(&ETH, 2, &[0xc0; 300], pair.now);
        let mut frames = 0;
        while !pair.acceptor.is_closed() && frames < 20 {
            let mut bytes = pair.dialer.output().to_vec();
            pair.dialer.output_sent(bytes.len(), pair.now);
            if pair.rng.random_bool(0.7) && !bytes.is_empty() {
                let at = pair.rng.random_range(0..bytes.len());
                bytes[at] ^= 1 << pair.rng.random_range(0..8);
            }
            pair.acceptor.receive(&bytes, pair.now);
            pair.events[1].extend(std::iter::from_fn(|| pair.acceptor.poll()));
            carry(&mut pair.acceptor, &mut pair.dialer, &mut pair.events[0], pair.now, &mut pair.rng);
            let _ = pair.dialer.send(&ETH, 2, b"more", pair.now);
            frames += 1;
        }
        // A longer size or length than was sent leaves the session waiting, and time ends it.
        while let Some(deadline) = pair.acceptor.next_deadline() {
            pair.acceptor.handle_timeout(deadline);
            pair.events[1].extend(std::iter::from_fn(|| pair.acceptor.poll()));
            pair.acceptor.output_sent(usize::MAX, deadline);
        }
        let Some(Event::Closed(cause)) = pair.events[1].last() else { panic!("seed {seed}: {:?}", pair.events[1]) };
        let fits = match cause {
            CloseCause::Handshake(_) | CloseCause::HandshakeTimeout | CloseCause::ReadTimeout => true,
            other => other.reason_to_tell() == Some(DisconnectReason::ProtocolBreach),
        };
        assert!(fits, "seed {seed}: {cause}");
    }
}

/// What `attack` ends in, and that the attacker is told the reason for it.
fn check(mut attacker: Attacker, attack: impl FnOnce(&mut Attacker), expect: impl Into<Option<CloseCause>>) {
    attack(&mut attacker);
    let events: Vec<_> = std::iter::from_fn(|| attacker.session.poll()).collect();
    let expect = expect.into();
    let Some(Event::Closed(cause)) = events.last() else {
        assert_eq!(expect, None, "{events:?}");
        return;
    };
    assert_eq!(Some(cause), expect.as_ref());
    assert_eq!(attacker.told_reason(), cause.reason_to_tell(), "{cause}");
    assert!(attacker.session.is_closed() && attacker.session.next_deadline().is_none());
    attacker.send(2, &[0xc0]);
    assert_eq!((attacker.session.poll(), attacker.told()), (None, vec![]), "nothing comes after the end");
}

#[test]
fn a_greeting_that_is_none_ends_the_session() {
    use CloseCause::{FirstMessage, FrameTooLarge, Hello, NoSharedProtocol, NullIdentity, Remote, UnexpectedIdentity};
    let check = |attack: fn(&mut Attacker), expect| check(Attacker::proven(), attack, expect);
    check(|it| it.send(0x10, &hello(|_| ())), FirstMessage(0x10));
    check(|it| it.send(0x02, &[0xc0]), FirstMessage(0x02));
    check(|it| it.send(0x00, &[0xc0]), Hello(alloy_rlp::Error::InputTooShort));
    check(|it| it.send(0x00, b"GET / HTTP/1.1"), Hello(alloy_rlp::Error::UnexpectedString));
    check(|it| it.send(0x00, &hello(|hello| hello.id = PeerId::ZERO)), NullIdentity);
    check(|it| it.send(0x00, &hello(|hello| hello.id = key(9).public())), UnexpectedIdentity(key(9).public()));
    check(|it| it.send(0x00, &hello(|hello| hello.capabilities.clear())), NoSharedProtocol);
    check(|it| it.send(0x00, &hello(|hello| hello.capabilities = vec![capability("eth", 1)])), NoSharedProtocol);
    check(|it| it.send(0x00, &[0; 2048]), Hello(alloy_rlp::Error::UnexpectedString));
    check(|it| it.send(0x00, &[0; 2049]), FrameTooLarge { bytes: 2050, max: 2049 });
    check(|it| it.send(0x01, &[0xc1, 0x04]), Remote(DisconnectReason::TooManyPeers));
    check(|it| it.send(0x01, &[0x04]), Remote(DisconnectReason::TooManyPeers));
    check(|it| it.send_packed(0x01, &[0xc1, 0x04]), Remote(DisconnectReason::TooManyPeers));
    check(|it| it.send(0x01, b"because"), Remote(DisconnectReason::UNREADABLE));
    check(|it| it.send_body(&[]), CloseCause::FrameWithoutId);
    check(|it| it.send_body(&[0x00]), CloseCause::FrameWithoutId);
}

#[test]
fn greetings_of_other_versions_are_taken() {
    let check = |change: fn(&mut Hello), expect: &[u8]| {
        let mut attacker = Attacker::proven();
        attacker.send(0, &[hello(change), b"bytes of a later version".to_vec()].concat());
        assert!(matches!(attacker.session.poll(), Some(Event::Established(_))));
        attacker.told();
        attacker.session.send(&ETH, 2, b"text", attacker.now).unwrap();
        assert_eq!(attacker.told(), [[&[0x12], expect].concat()]);
        assert_eq!(attacker.session.poll(), None);
        attacker
    };
    // Before version 5 nothing is packed.
    let mut old = check(|hello| hello.version = 4, b"text");
    old.send(0x12, b"plain");
    let expect = Message { protocol: ETH, id: 2, payload: b"plain".into() };
    assert_eq!(old.session.poll(), Some(Event::Message(expect)));
    check(|hello| hello.version = 99, b"\x04\x0ctext");
    check(|hello| hello.capabilities.push(capability("much too long for a name", u64::MAX)), b"\x04\x0ctext");
}

#[test]
fn messages_against_the_rules_end_the_session() {
    use CloseCause::{MessageTooLarge, Remote, Snappy, TooManyPings, UnknownMessage};
    let check = |attack: fn(&mut Attacker), expect| check(Attacker::greeted(), attack, expect);
    check(|it| it.send_packed(0x22, &[0xc0]), UnknownMessage(0x22));
    check(|it| it.send_packed(0x04, &[0xc0]), UnknownMessage(0x04));
    check(|it| it.send_packed(0x00, &hello(|_| ())), UnknownMessage(0x00));
    check(|it| it.send_body(&[0x81, 0x90, 0xc0]), CloseCause::FrameWithoutId);
    check(|it| it.send(0x12, b"\xff\xff\xff\xff\xff\xff"), Snappy);
    check(|it| it.send(0x12, b"\x05\x10text"), Snappy);
    check(|it| it.send(0x12, b"\xff\xff\x3ftext"), Snappy); // a megabyte out of four bytes
    check(|it| it.send(0x12, b"\x81\x80\x80\x05text"), MessageTooLarge { bytes: 10_485_761, max: 10_485_760 });
    check(|it| (0..33).for_each(|_| it.send_packed(0x02, &[0xc0])), TooManyPings);
    check(|it| it.send_packed(0x01, &[0xc1, 0x08]), Remote(DisconnectReason::ClientQuitting));
    check(|it| it.send(0x01, &[0xc1, 0x08]), Remote(DisconnectReason::ClientQuitting));
    check(|it| it.session.disconnect(DisconnectReason::UselessPeer), CloseCause::Local(DisconnectReason::UselessPeer));
    let flip = |it: &mut Attacker, at: usize| {
        let mut frame = it.sealed(b"\x12\x04\x0ctext");
        frame[at] ^= 1;
        it.session.receive(&frame, it.now);
    };
    for at in 0..64 {
        super::tests::check(Attacker::greeted(), |it| flip(it, at), CloseCause::BadTag);
    }
}

#[test]
fn ten_pings_in_a_second_are_answered() {
    let mut attacker = Attacker::greeted();
    for _ in 0..30 {
        attacker.send_packed(0x02, &[0xc0]);
        attacker.now += Duration::from_millis(100);
        assert_eq!(attacker.session.poll(), None);
        assert_eq!(attacker.told(), [b"\x03\x01\x00\xc0"]);
    }
    attacker.send_packed(0x03, &[0xc0]);
    assert_eq!((attacker.session.poll(), attacker.told()), (None, vec![]));
}

#[test]
fn whoever_calls_itself_learns_it() {
    let (now, mut rng) = (Instant::now(), StdRng::seed_from_u64(1));
    let mut dialer = Session::dial(&key(2), key(2).public(), &offer(&[ETH]), now, &mut rng).unwrap();
    let mut acceptor = Session::accept(&key(2), &offer(&[ETH]), now, &mut rng);
    acceptor.receive(dialer.output(), now);
    assert_eq!(acceptor.poll(), Some(Event::Closed(CloseCause::ConnectedToSelf)));
    dialer.receive(acceptor.output(), now);
    assert_eq!(dialer.poll(), Some(Event::Closed(CloseCause::ConnectedToSelf)));
}

#[test]
fn strangers_get_five_seconds_and_eight_kilobytes() {
    let start = Instant::now();
    let accept = || Session::accept(&key(2), &offer(&[ETH]), start, &mut StdRng::seed_from_u64(1));
    // One byte at a time, never too late for a mere read timeout.
    let mut slow = accept();
    for (byte, millis) in [0x07u8, 0xff].into_iter().chain(std::iter::repeat(4)).zip((0..5_000).step_by(100)) {
        assert_eq!(slow.receive(&[byte], start + Duration::from_millis(millis)), 1);
        assert_eq!(slow.poll(), None);
    }
    assert_eq!(slow.next_deadline(), Some(start + HANDSHAKE_TIMEOUT));
    slow.handle_timeout(start + HANDSHAKE_TIMEOUT);
    assert_eq!(slow.poll(), Some(Event::Closed(CloseCause::HandshakeTimeout)));
    assert!(slow.output().is_empty(), "there is no key to tell it with");

    assert_eq!(accept().receive(&[7; 100_000], start), HANDSHAKE_INPUT_BYTES_MAX);
    for size in [0u16, 112, 2049, 0x4745] {
        let mut session = accept();
        session.receive(&size.to_be_bytes(), start);
        let cause = CloseCause::Handshake(HandshakeError::Size(size.into()));
        assert_eq!(session.poll(), Some(Event::Closed(cause)));
    }

    // Proof alone buys no time.
    let mut proven = Attacker::proven();
    proven.now += Duration::from_millis(4_999);
    proven.session.handle_timeout(proven.now);
    assert_eq!(proven.session.poll(), None);
    proven.now += Duration::from_millis(1);
    proven.session.handle_timeout(proven.now);
    assert_eq!(proven.session.poll(), Some(Event::Closed(CloseCause::HandshakeTimeout)));
    assert_eq!(proven.told_reason(), Some(DisconnectReason::ReadTimeout));
}

#[test]
fn silence_is_broken_by_pings_and_ends_after_thirty_seconds() {
    let mut pair = Pair::opened(5);
    let start = pair.now;
    // Both ping every 15 seconds, and live.
    for _ in 0..20 {
        pair.now = pair.dialer.next_deadline().unwrap().min(pair.acceptor.next_deadline().unwrap());
        pair.dialer.handle_timeout(pair.now);
        pair.acceptor.handle_timeout(pair.now);
        pair.run();
    }
    assert!(pair.now >= start + 10 * PING_INTERVAL && pair.events == [vec![], vec![]]);
    // The other end falls silent; what we send still leaves.
    while let Some(deadline) = pair.dialer.next_deadline() {
        pair.now = deadline;
        pair.dialer.handle_timeout(deadline);
        pair.dialer.output_sent(usize::MAX, deadline);
        pair.events[0].extend(std::iter::from_fn(|| pair.dialer.poll()));
    }
    assert_eq!(pair.events[0], [Event::Closed(CloseCause::ReadTimeout)]);
}

#[test]
fn a_long_frame_may_take_long_if_it_moves() {
    let mut attacker = Attacker::greeted();
    let frame =
        attacker.sealed(&[&[0x12], &snap::raw::Encoder::new().compress_vec(&noise(400_000)).unwrap()[..]].concat());
    for part in frame.chunks(PROGRESS_BYTES) {
        attacker.now += Duration::from_secs(29);
        attacker.session.handle_timeout(attacker.now);
        attacker.session.output_sent(usize::MAX, attacker.now);
        attacker.session.receive(part, attacker.now);
    }
    assert!(matches!(attacker.session.poll(), Some(Event::Message(message)) if message.payload.len() == 400_000));
}

#[test]
fn a_peer_that_reads_nothing_is_dropped_and_queues_no_more_than_the_limit() {
    let mut pair = Pair::opened(7);
    let payload = noise(1_000_000);
    let mut queued = 0;
    let full = loop {
        match pair.dialer.send(&ETH, 2, &payload, pair.now) {
            Ok(()) => queued += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, SendError::Full { queued_bytes } if queued_bytes <= OUTPUT_BYTES_MAX), "{full}");
    assert!(queued >= 13 && pair.dialer.output().len() <= OUTPUT_BYTES_MAX, "{queued}");
    pair.dialer.handle_timeout(pair.now + WRITE_TIMEOUT);
    assert_eq!(pair.dialer.poll(), Some(Event::Closed(CloseCause::WriteTimeout)));
}

#[test]
fn an_empty_queue_takes_the_longest_message_and_none_longer() {
    let mut pair = Pair::opened(8);
    let longest = noise(ETH.message_bytes_max);
    pair.dialer.send(&ETH, 0x11, &longest, pair.now).unwrap();
    pair.run();
    assert!(matches!(&pair.events[1][..], [Event::Message(message)] if message.payload == longest));
    let bytes = longest.len() + 1;
    assert_eq!(pair.dialer.send(&ETH, 2, &vec![0; bytes], pair.now), Err(SendError::TooLarge { bytes }));
    let not_spoken = |protocol, id| Err(SendError::NotSpoken { protocol, id });
    assert_eq!(pair.dialer.send(&ETH, 18, &[], pair.now), not_spoken(ETH, 18));
    let other = EthVersion::V70.protocol();
    assert_eq!(pair.dialer.send(&other, 2, &[], pair.now), not_spoken(other, 2));
    pair.dialer.disconnect(DisconnectReason::Requested);
    assert_eq!(pair.dialer.send(&ETH, 2, &[], pair.now), Err(SendError::NotOpen));
    assert_eq!(Pair::new(1).dialer.send(&ETH, 2, &[], pair.now), Err(SendError::NotOpen));
}

#[test]
fn input_waits_while_frames_are_not_polled() {
    let mut attacker = Attacker::greeted();
    let mut stream = Vec::new();
    let packed = [&[0x12], &snap::raw::Encoder::new().compress_vec(&noise(3_000_000)).unwrap()[..]].concat();
    (0..8).for_each(|_| stream.extend(attacker.sealed(&packed)));
    let (mut offset, mut messages) = (0, 0);
    while offset < stream.len() {
        let taken = attacker.session.receive(&stream[offset..], attacker.now);
        assert!(taken <= INPUT_BYTES_MAX);
        offset += taken;
        messages += std::iter::from_fn(|| attacker.session.poll()).count();
    }
    assert_eq!(messages, 8);
}

/// Bytes that do not pack.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    StdRng::seed_from_u64(length as u64).fill_bytes(&mut bytes);
    bytes
}
