//! What the network tells its owner, through a queue that is bounded in messages and in bytes.

use starling_devp2p::eth::{EthMessage, EthVersion, Status};
use starling_peers::{ConnectionId, DropReason};
use starling_primitives::PeerId;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Events that wait for the owner. When so many wait, sessions stop reading, and TCP slows their peers down.
const EVENTS_MAX: usize = 4096;
/// Bytes of messages that wait for the owner or are held by it, of all peers together. More than a few of the longest
/// messages, small beside the caches.
const EVENT_BYTES_MAX: usize = 48 << 20;
/// The same of one peer, so that one cannot take all of it: one of the longest messages and something beside it.
const PEER_EVENT_BYTES_MAX: usize = 12 << 20;

const _: () = assert!(PEER_EVENT_BYTES_MAX > starling_devp2p::eth::MESSAGE_BYTES_MAX);
const _: () = assert!(EVENT_BYTES_MAX >= 4 * PEER_EVENT_BYTES_MAX);

/// Something happened with a peer. For each connection: ready, then messages, then gone; one connection of a peer at
/// a time.
#[derive(Debug)]
pub enum NetworkEvent {
    /// The peer said hello, its Status fits ours.
    Ready {
        /// Who.
        peer: PeerId,
        /// By which connection.
        connection: ConnectionId,
        /// What both speak.
        version: EthVersion,
        /// What it said of its chain.
        status: Status,
    },
    /// The peer sent a message.
    Message {
        /// Who.
        peer: PeerId,
        /// By which connection.
        connection: ConnectionId,
        /// What. Answers are only those that were asked for.
        message: EthMessage,
        /// To be kept as long as the message is in memory.
        charge: Charge,
    },
    /// The peer is gone.
    Gone {
        /// Who.
        peer: PeerId,
        /// By which connection.
        connection: ConnectionId,
        /// Why.
        reason: DropReason,
    },
}

/// The room that a message takes in the bounds of this queue, given back when dropped.
#[derive(Debug)]
pub struct Charge {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

/// The owner's end.
#[derive(Debug)]
pub struct NetworkEvents {
    queue: mpsc::Receiver<NetworkEvent>,
}

impl NetworkEvents {
    /// The next event; none after the network has stopped. Safe to cancel.
    pub async fn next(&mut self) -> Option<NetworkEvent> {
        self.queue.recv().await
    }

    /// The next event if one waits already.
    pub fn try_next(&mut self) -> Option<NetworkEvent> {
        self.queue.try_recv().ok()
    }
}

/// The network's end.
#[derive(Debug, Clone)]
pub(crate) struct EventSender {
    queue: mpsc::Sender<NetworkEvent>,
    all: Arc<Semaphore>,
}

/// A session's share of the queue.
#[derive(Debug)]
pub(crate) struct PeerEvents {
    sender: EventSender,
    own: Arc<Semaphore>,
}

pub(crate) fn channel() -> (EventSender, NetworkEvents) {
    let (sender, receiver) = mpsc::channel(EVENTS_MAX);
    let all = Arc::new(Semaphore::new(EVENT_BYTES_MAX));
    (EventSender { queue: sender, all }, NetworkEvents { queue: receiver })
}

impl EventSender {
    pub(crate) fn of_peer(&self) -> PeerEvents {
        PeerEvents { sender: self.clone(), own: Arc::new(Semaphore::new(PEER_EVENT_BYTES_MAX)) }
    }

    /// Tells something that is not a message; waits for room. None listens after a stop, which is fine.
    pub(crate) async fn tell(&self, event: NetworkEvent) {
        let _ = self.queue.send(event).await;
    }
}

impl PeerEvents {
    /// Room for a message of so many bytes. None after the stop. Safe to cancel.
    pub(crate) async fn room(&self, bytes: usize) -> Option<(mpsc::OwnedPermit<NetworkEvent>, Charge)> {
        /// What any message counts beyond its bytes, so that tiny ones are few as well: work is waiting with each.
        const OVERHEAD_BYTES: usize = 32 << 10;
        let bytes = u32::try_from((bytes + OVERHEAD_BYTES).min(PEER_EVENT_BYTES_MAX)).ok()?;
        let own = self.own.clone().acquire_many_owned(bytes).await.ok()?;
        let all = self.sender.all.clone().acquire_many_owned(bytes).await.ok()?;
        let slot = self.sender.queue.clone().reserve_owned().await.ok()?;
        Some((slot, Charge { _own: own, _all: all }))
    }
}
