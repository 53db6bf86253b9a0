//! What tests share: keys, and a peer that sends whatever it is told to.

use crate::disconnect::DisconnectReason;
use crate::eth::EthVersion;
use crate::frame::{self, HEAD_BYTES};
use crate::handshake::{Agreed, Initiator, Randomness, SIZE_BYTES};
use crate::hello::{Capability, Hello};
use crate::protocol::Protocol;
use crate::session::{Event, Offer, Session};
use crate::snappy;
use rand::{SeedableRng, rngs::StdRng};
use starling_primitives::NodeKey;
use std::time::Instant;

pub(crate) const ETH: Protocol = EthVersion::V69.protocol();

pub(crate) fn key(seed: u64) -> NodeKey {
    NodeKey::random(&mut StdRng::seed_from_u64(seed))
}

pub(crate) fn offer(protocols: &[Protocol]) -> Offer {
    Offer { client_id: "starling/test".into(), protocols: protocols.to_vec(), listen_port: 0 }
}

/// Calls a session of key 2 with key 1, proves itself, and then does what it likes.
pub(crate) struct Attacker {
    pub(crate) session: Session,
    pub(crate) now: Instant,
    agreed: Agreed,
    /// What the session wrote and the attacker has not read.
    unread: Vec<u8>,
}

impl Attacker {
    pub(crate) fn proven() -> Self {
        let (now, mut rng) = (Instant::now(), StdRng::seed_from_u64(3));
        let mut session = Session::accept(&key(2), &offer(&[ETH]), now, &mut rng);
        let initiator = Initiator::new(&key(1), key(2).public(), Randomness::draw(&mut rng)).unwrap();
        assert_eq!(session.receive(initiator.auth(), now), initiator.auth().len());
        assert_eq!(session.poll(), None);
        let mut unread = session.output().to_vec();
        session.output_sent(unread.len(), now);
        let ack_bytes = SIZE_BYTES + usize::from(u16::from_be_bytes([unread[0], unread[1]]));
        let agreed = initiator.read_ack(&key(1), &mut unread[..ack_bytes]).unwrap();
        unread.drain(..ack_bytes);
        Self { session, now, agreed, unread }
    }

    /// Proven, greeted, open; payloads are packed from now on.
    pub(crate) fn greeted() -> Self {
        let mut attacker = Self::proven();
        attacker.send(0, &hello(|_| ()));
        assert!(matches!(attacker.session.poll(), Some(Event::Established(_))));
        attacker.told();
        attacker
    }

    /// Seals bytes as one frame.
    pub(crate) fn sealed(&mut self, body: &[u8]) -> Vec<u8> {
        let mut out = vec![0; HEAD_BYTES];
        out.extend_from_slice(body);
        self.agreed.egress.seal(&mut out, 0);
        out
    }

    /// Sends these bytes as a frame: message id and payload, or neither.
    pub(crate) fn send_body(&mut self, body: &[u8]) {
        let frame = self.sealed(body);
        self.session.receive(&frame, self.now);
    }

    /// Sends a message as it is, not packed.
    pub(crate) fn send(&mut self, id: u8, payload: &[u8]) {
        self.send_body(&[&[if id == 0 { 0x80 } else { id }], payload].concat());
    }

    /// Sends a packed message.
    pub(crate) fn send_packed(&mut self, id: u8, payload: &[u8]) {
        self.send(id, &snap::raw::Encoder::new().compress_vec(payload).unwrap());
    }

    /// Reads what the session has written: bodies of frames.
    pub(crate) fn told(&mut self) -> Vec<Vec<u8>> {
        self.unread.extend_from_slice(self.session.output());
        self.session.output_sent(self.session.output().len(), self.now);
        let mut bodies = Vec::new();
        while let Some((head, rest)) = self.unread.split_first_chunk_mut::<HEAD_BYTES>() {
            let length = self.agreed.ingress.open_head(head).unwrap();
            let total = frame::body_bytes(length);
            self.agreed.ingress.open_body(&mut rest[..total]).unwrap();
            bodies.push(rest[..length].to_vec());
            self.unread.drain(..HEAD_BYTES + total);
        }
        bodies
    }

    /// The reason in the last message, which must be a Disconnect; packed if the session is greeted.
    pub(crate) fn told_reason(&mut self) -> Option<DisconnectReason> {
        let last = self.told().pop()?;
        let [1, payload @ ..] = &last[..] else { return None };
        let plain = snappy::decompress(payload, 16).unwrap_or_else(|_| payload.to_vec());
        Some(DisconnectReason::decode(&plain))
    }
}

/// The attacker's Hello, changed.
pub(crate) fn hello(change: impl FnOnce(&mut Hello)) -> Vec<u8> {
    let mut hello = Hello::ours("attacker", &[ETH], 0, key(1).public());
    change(&mut hello);
    let mut out = Vec::new();
    hello.encode(&mut out);
    out
}

/// A name and a version in Hello.
pub(crate) fn capability(name: &str, version: u64) -> Capability {
    Capability { name: name.into(), version }
}
