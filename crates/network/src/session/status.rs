//! Status: the first message of `eth` each way.

use super::{Task, ending::Ending, pump::Step};
use crate::report::Order;
use starling_devp2p::{
    Message,
    eth::{EthMessage, EthVersion, Status, StatusError, ids},
};
use starling_peers::DropReason;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};

/// How long a peer may take to send its Status.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);

impl<S: AsyncRead + AsyncWrite + Unpin> Task<S> {
    /// Sends ours and judges the peer's. `first` is what it has sent already.
    pub(super) async fn exchange_status(
        &mut self,
        version: EthVersion,
        first: Option<Message>,
    ) -> Result<Status, Ending> {
        let mut payload = Vec::new();
        let ours = EthMessage::Status(self.shared.status.borrow().message(version));
        let id = ours.encode(version, &mut payload).map_err(|error| Ending::new(DropReason::BadStatus, &error))?;
        let session = self.pump.session();
        session
            .send(&version.protocol(), id, &payload, Instant::now())
            .map_err(|error| Ending::new(DropReason::BadStatus, &error))?;
        let theirs = match first {
            Some(message) => message,
            None => tokio::time::timeout(STATUS_TIMEOUT, self.next_message())
                .await
                .unwrap_or_else(|_| Err(DropReason::HandshakeTimeout.into()))?,
        };
        self.judge(version, &theirs)
    }

    async fn next_message(&mut self) -> Result<Message, Ending> {
        loop {
            match self.pump.step(&mut self.line).await? {
                Step::Message(message) => return Ok(message),
                Step::Ordered(Order::Drop(reason)) => return Err(reason.into()),
                Step::Ordered(Order::Keep) | Step::Established(_) => {}
            }
        }
    }

    fn judge(&self, version: EthVersion, message: &Message) -> Result<Status, Ending> {
        if message.id != ids::STATUS {
            return Err(Ending::new(DropReason::BadStatus, &format_args!("message {} before Status", message.id)));
        }
        let status = match EthMessage::decode(version, message.id, &message.payload) {
            Ok(EthMessage::Status(status)) => status,
            Ok(_) => return Err(DropReason::BadStatus.into()),
            Err(error) => return Err(Ending::new(DropReason::BadStatus, &error)),
        };
        let ours = self.shared.status.borrow();
        match status.check(ours.network_id, ours.genesis, &ours.forks) {
            Ok(()) => Ok(status),
            Err(error) => Err(Ending::new(reason_of(&error), &error)),
        }
    }
}

fn reason_of(error: &StatusError) -> DropReason {
    match error {
        StatusError::Network { .. } => DropReason::WrongNetwork,
        StatusError::Genesis { .. } => DropReason::WrongGenesis,
        StatusError::ForkId(_) => DropReason::WrongFork,
        StatusError::Range(_) => DropReason::BadStatus,
    }
}
