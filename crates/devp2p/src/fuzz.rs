//! Fuzz harnesses for every byte of a stranger: what comes before anything is proven first of all.
//!
//! Each runs its corpus and mutations of it in every test run, and for as long as `STARLING_FUZZ_SECONDS` says:
//! `STARLING_FUZZ_SECONDS=600 cargo test -p starling-devp2p fuzz`.

use crate::disconnect::DisconnectReason;
use crate::eth::{EthMessage, EthVersion, Request, Response, decode_receipts, request_id};
use crate::handshake::{Initiator, Randomness, Recipient};
use crate::hello::Hello;
use crate::session::{Event, HANDSHAKE_TIMEOUT, Session};
use crate::testing::{Attacker, ETH, key, offer};
use crate::{ecies, snappy};
use alloy_primitives::Bytes;
use rand::{SeedableRng, rngs::StdRng};
use starling_testkit::fuzz::{corpus, run};
use std::time::{Duration, Instant};

fn rng() -> StdRng {
    StdRng::seed_from_u64(1)
}

/// Feeds a stream in pieces whose lengths its own bytes decide. It must end, by itself or by time.
fn feed(mut session: Session, start: Instant, stream: &[u8]) {
    let mut rest = stream;
    while let [first, ..] = rest {
        let (piece, later) = rest.split_at(rest.len().min(1 + usize::from(*first)));
        session.receive(piece, start);
        while session.poll().is_some() {}
        rest = later;
    }
    session.handle_timeout(start + HANDSHAKE_TIMEOUT);
    while session.poll().is_some() {}
    assert!(session.is_closed());
}

#[test]
fn fuzz_auth() {
    let start = Instant::now();
    run("auth", &corpus("crates/devp2p/fuzz/auth"), |stream| {
        feed(Session::accept(&key(2), &offer(&[ETH]), start, &mut rng()), start, stream);
    });
}

#[test]
fn fuzz_ack() {
    let start = Instant::now();
    run("ack", &corpus("crates/devp2p/fuzz/ack"), |stream| {
        let session = Session::dial(&key(1), key(2).public(), &offer(&[ETH]), start, &mut rng());
        feed(session.expect("a valid key"), start, stream);
    });
}

/// A handshake message with that body, sealed to `to`.
fn sealed(to: u64, body: &[u8]) -> Vec<u8> {
    let body = &body[..body.len().min(1900)];
    let size = ((body.len() + ecies::OVERHEAD_BYTES) as u16).to_be_bytes();
    let mut packet = size.to_vec();
    ecies::encrypt(&key(to).public(), &key(7), [0; 16], body, &size, &mut packet).expect("a valid key");
    packet
}

#[test]
fn fuzz_auth_body() {
    run("auth_body", &corpus("crates/devp2p/fuzz/auth_body"), |body| {
        let recipient = Recipient::new(key(2), Randomness::draw(&mut rng()));
        let _ = recipient.read_auth(&mut sealed(2, body));
    });
}

#[test]
fn fuzz_ack_body() {
    run("ack_body", &corpus("crates/devp2p/fuzz/ack_body"), |body| {
        let initiator = Initiator::new(&key(1), key(2).public(), Randomness::draw(&mut rng()));
        let _ = initiator.expect("a valid key").read_ack(&key(1), &mut sealed(1, body));
    });
}

#[test]
fn fuzz_hello() {
    run("hello", &corpus("crates/devp2p/fuzz/hello"), |payload| {
        let Ok(hello) = Hello::decode(payload) else { return };
        let mut again = Vec::new();
        hello.encode(&mut again);
        assert_eq!(Hello::decode(&again), Ok(hello));
    });
}

/// A proven peer sends whatever it likes: the input is cut into frames, and each is sealed.
fn frames(mut attacker: Attacker, input: &[u8]) {
    let mut rest = input;
    while let [length, later @ ..] = rest {
        let (body, later) = later.split_at(later.len().min((*length).into()));
        attacker.send_body(body);
        while attacker.session.poll().is_some() {}
        attacker.now += Duration::from_millis(50);
        rest = later;
    }
    attacker.session.handle_timeout(attacker.now + Duration::from_secs(31));
    let last = std::iter::from_fn(|| attacker.session.poll()).last();
    assert!(last.is_none_or(|event| matches!(event, Event::Closed(_))));
    assert!(attacker.session.is_closed());
    attacker.told();
}

#[test]
fn fuzz_frames_before_hello() {
    run("frames_before_hello", &corpus("crates/devp2p/fuzz/frames"), |input| frames(Attacker::proven(), input));
}

#[test]
fn fuzz_frames_after_hello() {
    run("frames_after_hello", &corpus("crates/devp2p/fuzz/frames"), |input| frames(Attacker::greeted(), input));
}

#[test]
fn fuzz_bytes_after_handshake() {
    run("bytes_after_handshake", &corpus("crates/devp2p/fuzz/frames"), |input| {
        let mut attacker = Attacker::greeted();
        let mut stream = attacker.sealed(input);
        let at = usize::from(input.first().copied().unwrap_or_default()) % stream.len();
        stream[at] ^= input.last().map_or(1, |byte| byte | 1);
        attacker.session.receive(&stream, attacker.now);
        assert!(!matches!(attacker.session.poll(), Some(Event::Message(_))), "a changed frame got through");
    });
}

/// The first byte picks the version, the second the message.
#[test]
fn fuzz_eth() {
    run("eth", &corpus("crates/devp2p/fuzz/eth"), |input| {
        let [version, id, payload @ ..] = input else { return };
        let (version, payload) =
            (EthVersion::ALL[usize::from(*version) % EthVersion::ALL.len()], Bytes::copy_from_slice(payload));
        let peeked = request_id(*id, &payload);
        let Ok(message) = EthMessage::decode(version, *id, &payload) else { return };
        let mut again = Vec::new();
        assert_eq!(message.encode(version, &mut again), Ok(*id));
        // Canonical RLP has one form, so what was read whole comes out as it went in. Lists of hashes may be cut.
        let cut = match &message {
            EthMessage::Request { request: Request::BlockHeaders(_), .. } => false,
            EthMessage::Request { .. } | EthMessage::NewPooledTransactionHashes(_) => true,
            // The empty mask has two forms.
            EthMessage::Response { response: Response::Cells(cells), .. } => cells.mask.is_empty(),
            _ => false,
        };
        assert!(cut || again == payload, "{message:?}");
        assert_eq!(EthMessage::decode(version, *id, &again.into()).as_ref(), Ok(&message));
        if let EthMessage::Response { id, response } = &message {
            assert_eq!(peeked, Some(Ok(*id)));
            if let Response::Receipts(receipts) = response {
                receipts.lists.iter().for_each(|list| drop(decode_receipts(version, list)));
            }
        }
    });
}

#[test]
fn fuzz_small_parsers() {
    run("small_parsers", &corpus("crates/devp2p/fuzz/frames"), |input| {
        let _ = DisconnectReason::decode(input).to_string();
        if let Ok(text) = snappy::decompress(input, 4096) {
            assert!(text.len() <= 4096);
        }
    });
}
