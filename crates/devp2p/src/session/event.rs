use super::CloseCause;
use crate::hello::Hello;
use crate::protocol::Protocol;
use alloy_primitives::Bytes;
use starling_primitives::PeerId;

/// What we say of ourselves in Hello.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Name and version of the program, below a kilobyte.
    pub client_id: String,
    /// What we speak.
    pub protocols: Vec<Protocol>,
    /// The port that we listen on; zero says nothing.
    pub listen_port: u16,
}

/// What a session tells its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Both sides are proven and greeted; from now on messages may be sent.
    Established(Established),
    /// A message.
    Message(Message),
    /// The end. Nothing comes after it.
    Closed(CloseCause),
}

/// An open session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Established {
    /// The peer, proven by the handshake.
    pub remote: PeerId,
    /// What it says of itself.
    pub hello: Hello,
    /// The protocols that both speak, one version of each, never empty.
    pub protocols: Vec<Protocol>,
}

/// A message of one of the agreed protocols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Whose.
    pub protocol: Protocol,
    /// Its id, counted from the protocol's first.
    pub id: u8,
    /// Unpacked, at most [`Protocol::message_bytes_max`].
    pub payload: Bytes,
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The session is not open yet, or not any more.
    #[error("session is not open")]
    NotOpen,
    /// The protocol was not agreed on, or has no such message.
    #[error("peer does not speak message {id:#04x} of {protocol}")]
    NotSpoken {
        /// Which protocol.
        protocol: Protocol,
        /// Which message.
        id: u8,
    },
    /// No peer would read it.
    #[error("message of {bytes} bytes exceeds the limit of its protocol")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The peer reads too slowly. Later, when output has been sent, there will be room.
    #[error("{queued_bytes} bytes wait to be sent already")]
    Full {
        /// What waits.
        queued_bytes: usize,
    },
}
