//! Why a session ends, for the records and for a reader of the log.

use starling_devp2p::CloseCause;
use starling_peers::DropReason;

/// The end of a session.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) reason: DropReason,
    /// What exactly was wrong; for people.
    pub(crate) detail: Option<String>,
}

impl Ending {
    /// The peer broke a rule of `eth`.
    pub(crate) fn breach(what: &impl ToString) -> Self {
        Self { reason: DropReason::ProtocolBreach, detail: Some(what.to_string()) }
    }

    pub(crate) fn new(reason: DropReason, what: &impl ToString) -> Self {
        Self { reason, detail: Some(what.to_string()) }
    }
}

impl From<DropReason> for Ending {
    fn from(reason: DropReason) -> Self {
        Self { reason, detail: None }
    }
}

/// The reason behind what the session found.
pub(crate) fn reason_of(cause: &CloseCause) -> DropReason {
    match cause {
        CloseCause::Remote(reason) => DropReason::Remote(*reason),
        CloseCause::Local(_) => DropReason::Removed,
        CloseCause::Handshake(_) => DropReason::BadHandshake,
        CloseCause::HandshakeTimeout => DropReason::HandshakeTimeout,
        CloseCause::ConnectedToSelf => DropReason::SelfConnection,
        CloseCause::NullIdentity | CloseCause::UnexpectedIdentity(_) => DropReason::UnexpectedIdentity,
        CloseCause::NoSharedProtocol => DropReason::NoSharedCapability,
        CloseCause::ReadTimeout => DropReason::Silent,
        CloseCause::WriteTimeout => DropReason::SlowReader,
        CloseCause::FirstMessage(_)
        | CloseCause::Hello(_)
        | CloseCause::BadTag
        | CloseCause::FrameTooLarge { .. }
        | CloseCause::FrameWithoutId
        | CloseCause::Snappy
        | CloseCause::MessageTooLarge { .. }
        | CloseCause::UnknownMessage(_)
        | CloseCause::TooManyPings => DropReason::ProtocolBreach,
    }
}
