//! Why connections end.

use starling_devp2p::DisconnectReason;
use std::fmt;

/// Why a connection ended, or never became one. Every end has exactly one reason; metrics and JSON-RPC name it by
/// [`DropReason::label`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// The address is not in the networks that the operator allows.
    NotAllowed,
    /// The peer or its address is banned.
    Banned,
    /// The address knocked too often.
    Throttled,
    /// Too many peers in one neighbourhood of addresses.
    SubnetFull,
    /// Too many connections are in their handshake.
    HandshakesFull,
    /// All slots are taken.
    TooManyPeers,
    /// The peer is connected already.
    AlreadyConnected,
    /// It is this node itself.
    SelfConnection,
    /// The peer does not answer at its address.
    Unreachable,
    /// The RLPx handshake was not what the protocol says.
    BadHandshake,
    /// The handshake or the Status took too long.
    HandshakeTimeout,
    /// Another key than the dialed one answered.
    UnexpectedIdentity,
    /// No capability in common.
    NoSharedCapability,
    /// Another network id.
    WrongNetwork,
    /// Another genesis.
    WrongGenesis,
    /// The fork ids exclude each other.
    WrongFork,
    /// The Status was malformed, missing or impossible.
    BadStatus,
    /// The peer broke a rule of RLPx, `p2p` or `eth`.
    ProtocolBreach,
    /// The peer sent wrong chain data or transactions.
    BadData,
    /// Many small faults.
    BadReputation,
    /// The peer did not answer pings, or sent nothing for too long.
    Silent,
    /// The peer does not read: what we have to send it piles up.
    SlowReader,
    /// Another peer gets a chance in its place.
    Rotated,
    /// An operator said so.
    Removed,
    /// The node stops.
    Stopping,
    /// The peer closed the connection without a word.
    ConnectionLost,
    /// The peer said goodbye.
    Remote(DisconnectReason),
}

impl DropReason {
    /// A short name that stays the same: label of metrics, member of JSON-RPC.
    pub fn label(&self) -> &'static str {
        match self {
            Self::NotAllowed => "not-allowed",
            Self::Banned => "banned",
            Self::Throttled => "throttled",
            Self::SubnetFull => "subnet-full",
            Self::HandshakesFull => "handshakes-full",
            Self::TooManyPeers => "too-many-peers",
            Self::AlreadyConnected => "already-connected",
            Self::SelfConnection => "self-connection",
            Self::Unreachable => "unreachable",
            Self::BadHandshake => "bad-handshake",
            Self::HandshakeTimeout => "handshake-timeout",
            Self::UnexpectedIdentity => "unexpected-identity",
            Self::NoSharedCapability => "no-shared-capability",
            Self::WrongNetwork => "wrong-network",
            Self::WrongGenesis => "wrong-genesis",
            Self::WrongFork => "wrong-fork",
            Self::BadStatus => "bad-status",
            Self::ProtocolBreach => "protocol-breach",
            Self::BadData => "bad-data",
            Self::BadReputation => "bad-reputation",
            Self::Silent => "silent",
            Self::SlowReader => "slow-reader",
            Self::Rotated => "rotated",
            Self::Removed => "removed",
            Self::Stopping => "stopping",
            Self::ConnectionLost => "connection-lost",
            Self::Remote(reason) => remote_label(*reason),
        }
    }

    /// Whether the end is the peer's word, not ours.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Remote(_) | Self::ConnectionLost)
    }

    /// What the peer is told, where the protocol can tell it anything.
    pub fn wire(&self) -> DisconnectReason {
        match self {
            Self::TooManyPeers | Self::SubnetFull | Self::HandshakesFull | Self::Throttled => {
                DisconnectReason::TooManyPeers
            }
            Self::AlreadyConnected => DisconnectReason::AlreadyConnected,
            Self::SelfConnection => DisconnectReason::ConnectedToSelf,
            Self::UnexpectedIdentity => DisconnectReason::UnexpectedIdentity,
            Self::NotAllowed | Self::Banned | Self::NoSharedCapability | Self::BadReputation => {
                DisconnectReason::UselessPeer
            }
            Self::WrongNetwork | Self::WrongGenesis | Self::WrongFork | Self::BadStatus | Self::BadData => {
                DisconnectReason::Subprotocol
            }
            Self::BadHandshake | Self::ProtocolBreach => DisconnectReason::ProtocolBreach,
            Self::HandshakeTimeout | Self::Silent | Self::SlowReader => DisconnectReason::ReadTimeout,
            Self::Rotated => DisconnectReason::TooManyPeers,
            Self::Removed => DisconnectReason::Requested,
            Self::Stopping => DisconnectReason::ClientQuitting,
            Self::Unreachable | Self::ConnectionLost => DisconnectReason::TcpError,
            Self::Remote(reason) => *reason,
        }
    }
}

fn remote_label(reason: DisconnectReason) -> &'static str {
    match reason {
        DisconnectReason::Requested => "remote-requested",
        DisconnectReason::TcpError => "remote-network-error",
        DisconnectReason::ProtocolBreach => "remote-protocol-breach",
        DisconnectReason::UselessPeer => "remote-useless-peer",
        DisconnectReason::TooManyPeers => "remote-too-many-peers",
        DisconnectReason::AlreadyConnected => "remote-already-connected",
        DisconnectReason::IncompatibleVersion => "remote-incompatible-version",
        DisconnectReason::NullIdentity => "remote-null-identity",
        DisconnectReason::ClientQuitting => "remote-quitting",
        DisconnectReason::UnexpectedIdentity => "remote-unexpected-identity",
        DisconnectReason::ConnectedToSelf => "remote-connected-to-self",
        DisconnectReason::ReadTimeout => "remote-read-timeout",
        DisconnectReason::Subprotocol => "remote-subprotocol",
        DisconnectReason::Other(_) => "remote-other",
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}
