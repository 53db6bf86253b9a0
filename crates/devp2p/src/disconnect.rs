//! Why a session ended, as the `p2p` protocol says it.

use std::fmt;

/// The reason in a Disconnect message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DisconnectReason {
    /// 0x00: asked for by the operator or by nobody in particular.
    Requested,
    /// 0x01: the transport failed.
    TcpError,
    /// 0x02: a message broke the rules of RLPx or `p2p`.
    ProtocolBreach,
    /// 0x03: nothing to gain from each other, such as no protocol in common.
    UselessPeer,
    /// 0x04: no slot is free.
    TooManyPeers,
    /// 0x05: there is a session with this peer already.
    AlreadyConnected,
    /// 0x06: the version of `p2p` is not spoken.
    IncompatibleVersion,
    /// 0x07: Hello named no node.
    NullIdentity,
    /// 0x08: the program is ending.
    ClientQuitting,
    /// 0x09: Hello named another node than the handshake proved.
    UnexpectedIdentity,
    /// 0x0a: the remote end is this very node.
    ConnectedToSelf,
    /// 0x0b: nothing was heard for too long.
    ReadTimeout,
    /// 0x10: a protocol above `p2p` objects, such as a wrong Status.
    Subprotocol,
    /// Any other number. 0xff stands for a reason that could not be read.
    Other(u8),
}

impl DisconnectReason {
    /// What stands for a reason that could not be read.
    pub const UNREADABLE: Self = Self::Other(0xff);

    /// Named reasons and their codes.
    const NAMED: [(u8, Self, &'static str); 13] = [
        (0x00, Self::Requested, "requested"),
        (0x01, Self::TcpError, "network error"),
        (0x02, Self::ProtocolBreach, "breach of protocol"),
        (0x03, Self::UselessPeer, "useless peer"),
        (0x04, Self::TooManyPeers, "too many peers"),
        (0x05, Self::AlreadyConnected, "already connected"),
        (0x06, Self::IncompatibleVersion, "incompatible p2p version"),
        (0x07, Self::NullIdentity, "null node identity"),
        (0x08, Self::ClientQuitting, "client quitting"),
        (0x09, Self::UnexpectedIdentity, "unexpected identity"),
        (0x0a, Self::ConnectedToSelf, "connected to self"),
        (0x0b, Self::ReadTimeout, "read timeout"),
        (0x10, Self::Subprotocol, "subprotocol error"),
    ];

    /// The number on the wire.
    pub fn code(self) -> u8 {
        match self {
            Self::Other(code) => code,
            named => Self::NAMED.iter().find(|(_, reason, _)| *reason == named).map_or(0xff, |(code, ..)| *code),
        }
    }

    /// The reason behind a number.
    pub fn from_code(code: u8) -> Self {
        Self::NAMED.iter().find(|(known, ..)| *known == code).map_or(Self::Other(code), |(_, reason, _)| *reason)
    }

    /// The body of a Disconnect message: a list with the reason, as everybody sends it.
    pub(crate) fn encode(self) -> Vec<u8> {
        match self.code() {
            0 => vec![0xc1, 0x80],
            code @ 0x01..=0x7f => vec![0xc1, code],
            code => vec![0xc2, 0x81, code],
        }
    }

    /// Reads the body of a Disconnect message, list or bare number.
    ///
    /// This is the last message of a session, whose sender may be confused about what has been agreed, so reading is
    /// generous: anything unreadable is [`Self::UNREADABLE`]; elements after the reason are ignored.
    pub(crate) fn decode(body: &[u8]) -> Self {
        match *body {
            [0xc0 | 0xc1] | [] => Self::UNREADABLE,
            [0x80] | [0xc1, 0x80, ..] => Self::Requested,
            [code @ 0..=0x7f] => Self::from_code(code),
            [0xc1..=0xf7, code @ 0..=0x7f, ..] => Self::from_code(code),
            [0xc2..=0xf7, 0x81, code @ 0x80..=0xff, ..] | [0x81, code @ 0x80..=0xff] => Self::from_code(code),
            _ => Self::UNREADABLE,
        }
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMED.iter().find(|(_, reason, _)| reason == self) {
            Some((.., text)) => f.write_str(text),
            None if *self == Self::UNREADABLE => f.write_str("a reason that cannot be read"),
            None => write!(f, "reason {:#04x}", self.code()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_back() {
        for code in 0..=0xff {
            let reason = DisconnectReason::from_code(code);
            assert_eq!(reason.code(), code);
            assert_eq!(DisconnectReason::decode(&reason.encode()), reason, "{reason}");
        }
    }

    #[test]
    fn reading_is_generous() {
        let check = |body: &[u8], expect| assert_eq!(DisconnectReason::decode(body), expect, "{body:x?}");
        check(&[0x04], DisconnectReason::TooManyPeers);
        check(&[0x00], DisconnectReason::Requested);
        check(&[0x80], DisconnectReason::Requested);
        check(&[0xc1, 0x00], DisconnectReason::Requested);
        check(&[0xc1, 0x10], DisconnectReason::Subprotocol);
        check(&[0xc2, 0x10, 0x80], DisconnectReason::Subprotocol);
        check(&[0x81, 0x90], DisconnectReason::Other(0x90));
        check(&[], DisconnectReason::UNREADABLE);
        check(&[0xc0], DisconnectReason::UNREADABLE);
        check(&[0xc1], DisconnectReason::UNREADABLE);
        check(&[0xc2, 0xc1, 0x04], DisconnectReason::UNREADABLE);
        check(b"not rlp at all", DisconnectReason::UNREADABLE);
    }
}
