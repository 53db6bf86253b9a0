//! What arrives, step by step: handshake, Hello, messages.

use super::wire::{Frame, Wire};
use super::{CloseCause, EMPTY_LIST, Established, Event, Message, PING_INTERVAL, Phase, SNAPPY_VERSION, Session, p2p};
use crate::disconnect::DisconnectReason;
use crate::frame::BODY_BYTES_MAX;
use crate::handshake;
use crate::hello::{HELLO_BYTES_MAX, Hello};
use crate::protocol::{PROTOCOL_OFFSET, SharedProtocols};
use crate::snappy;
use std::ops::ControlFlow;

/// What a step of [`Session::poll`] came to: go on, or an event, or nothing until more arrives.
pub(super) type Step = ControlFlow<Option<Event>>;

/// Nothing until more arrives.
const WAIT: Step = ControlFlow::Break(None);

impl Session {
    pub(super) fn step(&mut self) -> Result<Step, CloseCause> {
        let body_bytes_max = match self.phase {
            Phase::Closed => return Ok(WAIT),
            Phase::Auth(_) | Phase::Ack(..) => return self.step_handshake(),
            Phase::Hello => 1 + HELLO_BYTES_MAX,
            Phase::Open(_) => BODY_BYTES_MAX,
        };
        let Some(wire) = &mut self.wire else { return Ok(WAIT) };
        let Some(frame) = wire.read(&mut self.input, body_bytes_max)? else { return Ok(WAIT) };
        self.heard();
        let step = if matches!(self.phase, Phase::Hello) { self.take_hello(&frame) } else { self.take_message(&frame) };
        self.input.consume(frame.total_bytes);
        step
    }

    /// Auth or ack, once it is complete.
    fn step_handshake(&mut self) -> Result<Step, CloseCause> {
        let Some(size) = self.input.front().first_chunk() else { return Ok(WAIT) };
        let length = handshake::SIZE_BYTES + handshake::message_size(*size)?;
        let Some(packet) = self.input.front_mut().get_mut(..length) else { return Ok(WAIT) };
        let agreed = match std::mem::replace(&mut self.phase, Phase::Hello) {
            Phase::Auth(recipient) => {
                let (agreed, ack) = recipient.read_auth(packet)?;
                self.output.extend(&ack);
                agreed
            }
            Phase::Ack(initiator, key) => initiator.read_ack(&key, packet)?,
            other => {
                self.phase = other;
                return Ok(WAIT);
            }
        };
        self.input.consume(length);
        let remote = *self.remote.insert(agreed.remote);
        let wire = self.wire.insert(Wire::new(agreed));
        wire.write(&mut self.output, &mut self.encoder, p2p::HELLO, &self.hello);
        if remote == self.own { Err(CloseCause::ConnectedToSelf) } else { Ok(Step::Continue(())) }
    }

    /// The first message.
    fn take_hello(&mut self, frame: &Frame) -> Result<Step, CloseCause> {
        let payload = frame.payload(&self.input);
        match frame.id {
            p2p::HELLO => {}
            p2p::DISCONNECT => return Err(CloseCause::Remote(disconnect_reason(payload))),
            id => return Err(CloseCause::FirstMessage(id)),
        }
        let hello = Hello::decode(payload).map_err(CloseCause::Hello)?;
        let Some(wire) = &mut self.wire else { return Ok(WAIT) };
        wire.snappy = hello.version >= SNAPPY_VERSION;
        if hello.id.is_zero() {
            return Err(CloseCause::NullIdentity);
        }
        if Some(hello.id) != self.remote {
            return Err(CloseCause::UnexpectedIdentity(hello.id));
        }
        let shared = SharedProtocols::agree(&self.offered, &hello.capabilities);
        if shared.is_empty() {
            return Err(CloseCause::NoSharedProtocol);
        }
        let protocols = shared.protocols();
        self.phase = Phase::Open(shared);
        self.heard();
        self.ping_at = self.now + PING_INTERVAL;
        Ok(Step::Break(Some(Event::Established(Established { remote: hello.id, hello, protocols }))))
    }

    /// A message of an open session.
    fn take_message(&mut self, frame: &Frame) -> Result<Step, CloseCause> {
        if frame.id < PROTOCOL_OFFSET {
            return self.take_p2p(frame);
        }
        let (Phase::Open(shared), Some(wire)) = (&self.phase, &self.wire) else { return Ok(WAIT) };
        let (protocol, id) = shared.owner(frame.id).ok_or(CloseCause::UnknownMessage(frame.id))?;
        let payload = wire.unpack(frame.payload(&self.input), protocol.message_bytes_max)?.into();
        Ok(Step::Break(Some(Event::Message(Message { protocol, id, payload }))))
    }

    fn take_p2p(&mut self, frame: &Frame) -> Result<Step, CloseCause> {
        match frame.id {
            p2p::DISCONNECT => Err(CloseCause::Remote(disconnect_reason(frame.payload(&self.input)))),
            p2p::PING if self.pings.spend(self.now) => {
                self.send_p2p(p2p::PONG, &EMPTY_LIST);
                Ok(Step::Continue(()))
            }
            p2p::PING => Err(CloseCause::TooManyPings),
            p2p::PONG => Ok(Step::Continue(())),
            id => Err(CloseCause::UnknownMessage(id)),
        }
    }
}

/// The reason in a Disconnect message. Whether it is packed depends on how far its sender believes the greeting to
/// be, so both are tried: the plain forms take one or two bytes, the packed ones more.
fn disconnect_reason(payload: &[u8]) -> DisconnectReason {
    if payload.len() <= 2 {
        return DisconnectReason::decode(payload);
    }
    match snappy::decompress(payload, HELLO_BYTES_MAX) {
        Ok(body) => DisconnectReason::decode(&body),
        Err(_) => DisconnectReason::decode(payload),
    }
}
