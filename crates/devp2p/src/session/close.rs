use crate::disconnect::DisconnectReason;
use crate::handshake::HandshakeError;
use starling_primitives::PeerId;

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseCause {
    /// The peer ended it.
    #[error("peer disconnected: {0}")]
    Remote(DisconnectReason),
    /// We ended it, by [`Session::disconnect`](crate::Session::disconnect).
    #[error("we disconnected: {0}")]
    Local(DisconnectReason),
    /// The peer did not prove itself.
    #[error("handshake: {0}")]
    Handshake(#[from] HandshakeError),
    /// Proof and greeting took too long.
    #[error("handshake takes too long")]
    HandshakeTimeout,
    /// The other end is this node.
    #[error("connected to self")]
    ConnectedToSelf,
    /// The first message is something else.
    #[error("first message is {0:#04x} and not Hello")]
    FirstMessage(u8),
    /// Hello is not what it should be.
    #[error("hello cannot be decoded: {0}")]
    Hello(alloy_rlp::Error),
    /// Hello names nobody.
    #[error("hello names no node")]
    NullIdentity,
    /// Hello names another node than the handshake proved.
    #[error("hello names {0}, but the handshake proved another node")]
    UnexpectedIdentity(PeerId),
    /// Nothing to talk about.
    #[error("no protocol in common")]
    NoSharedProtocol,
    /// Bytes changed on the way, or the peer lost count.
    #[error("frame does not authenticate")]
    BadTag,
    /// A frame is longer than it may be at this point.
    #[error("frame of {bytes} bytes, the limit is {max}")]
    FrameTooLarge {
        /// Length of its body.
        bytes: usize,
        /// What would be in order.
        max: usize,
    },
    /// A frame does not begin with a message id.
    #[error("frame without a message id")]
    FrameWithoutId,
    /// A payload does not unpack.
    #[error("payload is no snappy")]
    Snappy,
    /// A message is longer than its protocol allows.
    #[error("message of {bytes} bytes, the limit is {max}")]
    MessageTooLarge {
        /// Its length, by its own word if it was packed.
        bytes: usize,
        /// What would be in order.
        max: usize,
    },
    /// A message id outside of all that was agreed on.
    #[error("unknown message {0:#04x}")]
    UnknownMessage(u8),
    /// Pings without end.
    #[error("too many pings")]
    TooManyPings,
    /// Nothing was heard for too long.
    #[error("silent for too long")]
    ReadTimeout,
    /// The stream took nothing for too long.
    #[error("takes no data for too long")]
    WriteTimeout,
}

impl CloseCause {
    /// The reason that the peer is told; nothing where it ended the session itself, or no key was agreed on.
    pub fn reason_to_tell(&self) -> Option<DisconnectReason> {
        Some(match self {
            Self::Remote(_) | Self::Handshake(_) => return None,
            Self::Local(reason) => *reason,
            Self::HandshakeTimeout | Self::ReadTimeout => DisconnectReason::ReadTimeout,
            Self::WriteTimeout => DisconnectReason::TcpError,
            Self::ConnectedToSelf => DisconnectReason::ConnectedToSelf,
            Self::NullIdentity => DisconnectReason::NullIdentity,
            Self::UnexpectedIdentity(_) => DisconnectReason::UnexpectedIdentity,
            Self::NoSharedProtocol => DisconnectReason::UselessPeer,
            Self::FirstMessage(_)
            | Self::Hello(_)
            | Self::BadTag
            | Self::FrameTooLarge { .. }
            | Self::FrameWithoutId
            | Self::Snappy
            | Self::MessageTooLarge { .. }
            | Self::UnknownMessage(_)
            | Self::TooManyPings => DisconnectReason::ProtocolBreach,
        })
    }

    /// Whether the peer broke the rules, as opposed to being slow, gone, or of no use.
    pub fn is_breach(&self) -> bool {
        matches!(self.reason_to_tell(), Some(DisconnectReason::ProtocolBreach)) && !matches!(self, Self::Local(_))
            || matches!(self, Self::Handshake(_) | Self::NullIdentity | Self::UnexpectedIdentity(_))
    }
}
