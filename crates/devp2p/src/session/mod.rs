//! One RLPx session, from the first byte to the reason why it ended.
//!
//! ```text
//! dial ─► awaits ack ──┐
//!                      ├─► awaits Hello ─► open ─► closed
//! accept ─► awaits auth┘         (5 s in all)       └ one Event::Closed, then only output to flush
//! ```
//!
//! How it is driven, by whoever owns the stream:
//!
//! 1. Bytes that arrived: [`Session::receive`], then [`Session::poll`] until it gives nothing more. `receive` may take
//!    less than it is given; the rest is offered again after polling.
//! 2. Bytes to write: [`Session::output`], and [`Session::output_sent`] for what the stream took.
//! 3. At [`Session::next_deadline`]: [`Session::handle_timeout`], then poll and write as above.
//! 4. After [`Event::Closed`]: write what is left of the output (the Disconnect message) for at most
//!    [`CLOSE_FLUSH`], shut down the writing half, then close. A stream closed with unread input loses the reason.
//!
//! Bounds. Before both sides are proven and greeted, a session holds at most [`HANDSHAKE_INPUT_BYTES_MAX`] and lives
//! at most [`HANDSHAKE_TIMEOUT`]. Afterwards it holds at most one frame of input (2^24 - 1 bytes, and in buffers that
//! grow as bytes arrive) and [`OUTPUT_BYTES_MAX`] of output; a message is unpacked only if its own length says that it
//! stays below its protocol's limit. Frames are opened when polled, so a caller that polls no faster than it can work
//! slows the peer down.
//!
//! Deviations from the specification: a Hello or any message in the reserved range after the greeting is a breach;
//! Disconnect is read in every form that has been seen, compressed or not, list or number.

mod buffer;
mod close;
mod event;
mod pings;
mod steps;
mod wire;

pub use crate::handshake::HandshakeError;
pub use close::CloseCause;
pub use event::{Established, Event, Message, Offer, SendError};

use crate::disconnect::DisconnectReason;
use crate::handshake::{self, Initiator, Randomness, Recipient};
use crate::hello::{HELLO_BYTES_MAX, Hello};
use crate::protocol::{Protocol, SharedProtocols};
use buffer::Buffer;
use pings::PingBudget;
use rand::CryptoRng;
use starling_primitives::{InvalidPeerId, NodeKey, PeerId};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use wire::Wire;

/// From the first byte to the end of both Hellos.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an open session may stay silent: without a complete frame, or [`PROGRESS_BYTES`] of one.
pub const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the stream may refuse to take any output.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// How often an open session pings, so that neither side takes the other for dead.
pub const PING_INTERVAL: Duration = Duration::from_secs(15);
/// How long to go on writing after the end, so that the peer learns the reason.
pub const CLOSE_FLUSH: Duration = Duration::from_secs(2);
/// What counts as a sign of life within one long frame, in bytes.
pub const PROGRESS_BYTES: usize = 64 * 1024;
/// The most input held before the session is open, in bytes: the longest handshake message, the longest Hello, and
/// the beginning of what may follow at once.
pub const HANDSHAKE_INPUT_BYTES_MAX: usize = 8 * 1024;
/// The most input held by an open session, in bytes: the longest frame, and room to read beyond it.
pub const INPUT_BYTES_MAX: usize = wire::FRAME_BYTES_MAX + 256 * 1024;
/// The most output held, in bytes: more than the longest message takes, so that an empty queue takes any. When it is
/// full, [`Session::send`] refuses; only the few bytes of `p2p` itself are still taken.
pub const OUTPUT_BYTES_MAX: usize = 16 * 1024 * 1024;

const _: () = assert!(HANDSHAKE_INPUT_BYTES_MAX > handshake::MESSAGE_BYTES_MAX + 2 * HELLO_BYTES_MAX);
const _: () = assert!(PING_INTERVAL.as_secs() < READ_TIMEOUT.as_secs());
const _: () = assert!(OUTPUT_BYTES_MAX > wire::packed_bytes_max(crate::eth::MESSAGE_BYTES_MAX));
const _: () = assert!(OUTPUT_BYTES_MAX > wire::packed_bytes_max(crate::snap::SNAP_1.message_bytes_max));

/// The version of `p2p` since which messages are packed.
const SNAPPY_VERSION: u64 = 5;
/// The body of Ping and Pong.
const EMPTY_LIST: [u8; 1] = [0xc0];

/// Message ids of `p2p` itself.
mod p2p {
    pub(super) const HELLO: u8 = 0x00;
    pub(super) const DISCONNECT: u8 = 0x01;
    pub(super) const PING: u8 = 0x02;
    pub(super) const PONG: u8 = 0x03;
}

/// One RLPx session. The module says how it is driven.
pub struct Session {
    // configuration
    own: PeerId,
    hello: Vec<u8>,
    offered: Vec<Protocol>,
    // state
    remote: Option<PeerId>,
    phase: Phase,
    /// Once keys are agreed on, until the end.
    wire: Option<Wire>,
    input: Buffer,
    output: Buffer,
    encoder: snap::raw::Encoder,
    pings: PingBudget,
    ended: Option<CloseCause>,
    // time
    now: Instant,
    read_deadline: Instant,
    write_deadline: Instant,
    ping_at: Instant,
    progress_bytes: usize,
}

enum Phase {
    /// We were called; auth is awaited.
    Auth(Box<Recipient>),
    /// We call; ack is awaited.
    Ack(Box<Initiator>, NodeKey),
    /// Our Hello is sent, the peer's is awaited.
    Hello,
    Open(SharedProtocols),
    Closed,
}

impl Session {
    /// Calls a peer. An id that is no public key cannot be called.
    pub fn dial(
        key: &NodeKey,
        remote: PeerId,
        offer: &Offer,
        now: Instant,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, InvalidPeerId> {
        let initiator = Initiator::new(key, remote, Randomness::draw(rng))?;
        let auth = initiator.auth().to_vec();
        let mut session = Self::new(key, offer, Phase::Ack(Box::new(initiator), key.clone()), now);
        session.remote = Some(remote);
        session.output.extend(&auth);
        Ok(session)
    }

    /// Answers a call.
    pub fn accept(key: &NodeKey, offer: &Offer, now: Instant, rng: &mut impl CryptoRng) -> Self {
        let recipient = Recipient::new(key.clone(), Randomness::draw(rng));
        Self::new(key, offer, Phase::Auth(Box::new(recipient)), now)
    }

    fn new(key: &NodeKey, offer: &Offer, phase: Phase, now: Instant) -> Self {
        let own = key.public();
        let mut hello = Vec::new();
        Hello::ours(&offer.client_id, &offer.protocols, offer.listen_port, own).encode(&mut hello);
        debug_assert!(hello.len() <= HELLO_BYTES_MAX);
        Self {
            own,
            hello,
            offered: offer.protocols.clone(),
            remote: None,
            phase,
            wire: None,
            input: Buffer::default(),
            output: Buffer::default(),
            encoder: snap::raw::Encoder::new(),
            pings: PingBudget::new(now),
            ended: None,
            now,
            read_deadline: now + HANDSHAKE_TIMEOUT,
            write_deadline: now + WRITE_TIMEOUT,
            ping_at: now + PING_INTERVAL,
            progress_bytes: 0,
        }
    }

    /// The peer: whom we called, or who has proven to be calling.
    pub fn remote(&self) -> Option<PeerId> {
        self.remote
    }

    /// Takes bytes that arrived, and says how many of them. It takes fewer only when frames wait to be polled.
    /// After the end it swallows everything.
    pub fn receive(&mut self, bytes: &[u8], now: Instant) -> usize {
        self.now = now;
        let max = match self.phase {
            Phase::Closed => return bytes.len(),
            Phase::Open(..) => INPUT_BYTES_MAX,
            _ => HANDSHAKE_INPUT_BYTES_MAX,
        };
        let taken = bytes.len().min(max.saturating_sub(self.input.len()));
        self.input.extend(&bytes[..taken]);
        self.progress_bytes += taken;
        if self.progress_bytes >= PROGRESS_BYTES {
            self.heard();
        }
        taken
    }

    /// The next event, if what was received completes one.
    pub fn poll(&mut self) -> Option<Event> {
        loop {
            if let Some(cause) = self.ended.take() {
                return Some(Event::Closed(cause));
            }
            match self.step() {
                Ok(ControlFlow::Break(event)) => return event,
                Ok(ControlFlow::Continue(())) => {}
                Err(cause) => self.close(cause),
            }
        }
    }

    /// Bytes to write to the stream.
    pub fn output(&self) -> &[u8] {
        self.output.front()
    }

    /// The stream took that many bytes of the output.
    pub fn output_sent(&mut self, bytes: usize, now: Instant) {
        self.output.consume(bytes);
        self.write_deadline = now + WRITE_TIMEOUT;
    }

    /// Queues a message. `payload` is packed and sealed straight into the output.
    pub fn send(&mut self, protocol: &Protocol, id: u8, payload: &[u8], now: Instant) -> Result<(), SendError> {
        let (Phase::Open(shared), Some(wire)) = (&self.phase, &mut self.wire) else { return Err(SendError::NotOpen) };
        let wire_id = shared.wire_id(protocol, id).ok_or(SendError::NotSpoken { protocol: *protocol, id })?;
        if payload.len() > protocol.message_bytes_max {
            return Err(SendError::TooLarge { bytes: payload.len() });
        }
        let queued_bytes = self.output.len();
        if queued_bytes > 0 && queued_bytes + wire::packed_bytes_max(payload.len()) > OUTPUT_BYTES_MAX {
            return Err(SendError::Full { queued_bytes });
        }
        if queued_bytes == 0 {
            self.write_deadline = now + WRITE_TIMEOUT;
        }
        wire.write(&mut self.output, &mut self.encoder, wire_id, payload);
        Ok(())
    }

    /// Ends the session for a reason of the caller's. The peer is told, if it can be.
    pub fn disconnect(&mut self, reason: DisconnectReason) {
        if !self.is_closed() {
            self.close(CloseCause::Local(reason));
        }
    }

    /// Whether it has ended; output may be left.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// When [`Self::handle_timeout`] wants to be called; never after the end.
    pub fn next_deadline(&self) -> Option<Instant> {
        let write = (!self.output.is_empty()).then_some(self.write_deadline);
        match self.phase {
            Phase::Closed => None,
            Phase::Open(..) => [Some(self.read_deadline), Some(self.ping_at), write].into_iter().flatten().min(),
            _ => Some(self.read_deadline),
        }
    }

    /// Does what is due: pings, or ends a session that has fallen silent.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        let is_open = match self.phase {
            Phase::Closed => return,
            Phase::Open(..) => true,
            _ => false,
        };
        if now >= self.read_deadline {
            self.close(if is_open { CloseCause::ReadTimeout } else { CloseCause::HandshakeTimeout });
        } else if is_open && !self.output.is_empty() && now >= self.write_deadline {
            self.close(CloseCause::WriteTimeout);
        } else if is_open && now >= self.ping_at {
            self.ping_at = now + PING_INTERVAL;
            self.send_p2p(p2p::PING, &EMPTY_LIST);
        }
    }

    fn send_p2p(&mut self, id: u8, payload: &[u8]) {
        if self.output.is_empty() {
            self.write_deadline = self.now + WRITE_TIMEOUT;
        }
        if let Some(wire) = &mut self.wire {
            wire.write(&mut self.output, &mut self.encoder, id, payload);
        }
    }

    /// The peer is alive. Before the session is open that buys no time.
    fn heard(&mut self) {
        self.progress_bytes = 0;
        if matches!(self.phase, Phase::Open(_)) {
            self.read_deadline = self.now + READ_TIMEOUT;
        }
    }

    fn close(&mut self, cause: CloseCause) {
        if let Some(reason) = cause.reason_to_tell() {
            self.send_p2p(p2p::DISCONNECT, &reason.encode());
        }
        self.phase = Phase::Closed;
        self.wire = None;
        self.input = Buffer::default();
        self.ended = Some(cause);
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let phase = match self.phase {
            Phase::Auth(_) => "awaits auth",
            Phase::Ack(..) => "awaits ack",
            Phase::Hello => "awaits Hello",
            Phase::Open(_) => "open",
            Phase::Closed => "closed",
        };
        f.debug_struct("Session").field("phase", &phase).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
