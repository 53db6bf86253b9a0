//! What waits to be sent to a peer, and which answers are owed to us.

use parking_lot::Mutex;
use starling_devp2p::eth::{EthMessage, EthVersion, NotInVersion};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::Notify;

/// Bytes that wait for one peer; an empty queue takes any message. What does not fit is refused, and the sender
/// decides what that means.
pub const OUTBOX_BYTES_MAX: usize = 4 << 20;
/// Below this, a further answer for the peer is worth making.
const OUTBOX_BYTES_LOW: usize = 1 << 20;
/// The same for all peers together.
const ALL_BYTES_MAX: usize = 128 << 20;
/// Requests that one peer may owe answers to. When full the oldest is forgotten, so a late answer to it counts as
/// unasked.
const OUTSTANDING_MAX: usize = 1024;

/// Bytes that wait for any peer.
static ALL_BYTES: AtomicUsize = AtomicUsize::new(0);

/// A message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendFailure {
    /// No such peer, or not any more.
    #[error("the peer is not connected")]
    NotConnected,
    /// The version that both speak has no such message.
    #[error(transparent)]
    NotInVersion(#[from] NotInVersion),
    /// The peer reads more slowly than we send.
    #[error("{queued_bytes} bytes wait for the peer already")]
    Full {
        /// What waits.
        queued_bytes: usize,
    },
}

/// An encoded message.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) id: u8,
    pub(crate) payload: Vec<u8>,
}

/// The queue towards one peer: anybody puts messages in, its session takes them out.
#[derive(Debug)]
pub(crate) struct Outbox {
    version: EthVersion,
    queue: Mutex<Queue>,
    filled: Notify,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    packets: VecDeque<Packet>,
    bytes: usize,
    is_closed: bool,
    /// Ids of requests with the message ids of their answers, oldest first by the counter.
    outstanding: BTreeMap<u64, Owed>,
    asked: u64,
}

#[derive(Debug)]
struct Owed {
    response_id: u8,
    count: u64,
}

impl Outbox {
    pub(crate) fn new(version: EthVersion) -> Arc<Self> {
        Arc::new(Self { version, queue: Mutex::default(), filled: Notify::new(), emptied: Notify::new() })
    }

    pub(crate) fn version(&self) -> EthVersion {
        self.version
    }

    /// Bytes that wait.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queue.lock().bytes
    }

    /// Waits until little waits here, or nothing is taken any more. Safe to cancel.
    pub(crate) async fn room(&self) {
        loop {
            // Listens before it looks, so that no word is missed in between.
            let emptied = self.emptied.notified();
            let has_room = {
                let queue = self.queue.lock();
                queue.is_closed || queue.bytes < OUTBOX_BYTES_LOW
            };
            if has_room {
                return;
            }
            emptied.await;
        }
    }

    /// Encodes and queues a message; a request is remembered, so that its answer will be let in.
    pub(crate) fn push(&self, message: &EthMessage) -> Result<(), SendFailure> {
        let mut payload = Vec::new();
        let id = message.encode(self.version, &mut payload)?;
        let mut queue = self.queue.lock();
        if queue.is_closed {
            return Err(SendFailure::NotConnected);
        }
        let full = queue.bytes + payload.len() > OUTBOX_BYTES_MAX || ALL_BYTES.load(Ordering::Relaxed) > ALL_BYTES_MAX;
        if full && !queue.packets.is_empty() {
            return Err(SendFailure::Full { queued_bytes: queue.bytes });
        }
        if let EthMessage::Request { id, request } = message {
            queue.owe(*id, request.response_id());
        }
        queue.bytes += payload.len();
        ALL_BYTES.fetch_add(payload.len(), Ordering::Relaxed);
        queue.packets.push_back(Packet { id, payload });
        drop(queue);
        self.filled.notify_one();
        Ok(())
    }

    /// The oldest message; waits for one. Safe to cancel.
    pub(crate) async fn pop(&self) -> Packet {
        loop {
            if let Some(packet) = self.try_pop() {
                return packet;
            }
            self.filled.notified().await;
        }
    }

    fn try_pop(&self) -> Option<Packet> {
        let mut queue = self.queue.lock();
        let packet = queue.packets.pop_front()?;
        queue.bytes -= packet.payload.len();
        ALL_BYTES.fetch_sub(packet.payload.len(), Ordering::Relaxed);
        if queue.bytes < OUTBOX_BYTES_LOW {
            self.emptied.notify_waiters();
        }
        Some(packet)
    }

    /// Whether an answer was asked for; it is owed no longer.
    pub(crate) fn settle(&self, request_id: u64, response_id: u8) -> bool {
        let mut queue = self.queue.lock();
        let is_owed = queue.outstanding.get(&request_id).is_some_and(|owed| owed.response_id == response_id);
        is_owed && queue.outstanding.remove(&request_id).is_some()
    }

    /// Takes nothing more; what waits is gone.
    pub(crate) fn close(&self) {
        let mut queue = self.queue.lock();
        queue.is_closed = true;
        queue.packets.clear();
        self.emptied.notify_waiters();
        ALL_BYTES.fetch_sub(std::mem::take(&mut queue.bytes), Ordering::Relaxed);
    }
}

impl Queue {
    fn owe(&mut self, request_id: u64, response_id: u8) {
        if self.outstanding.len() >= OUTSTANDING_MAX
            && let Some(oldest) = self.outstanding.iter().min_by_key(|(_, owed)| owed.count).map(|(id, _)| *id)
        {
            self.outstanding.remove(&oldest);
        }
        self.asked += 1;
        self.outstanding.insert(request_id, Owed { response_id, count: self.asked });
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{B256, Bytes};
    use starling_devp2p::eth::{Request, Response, ids};

    fn answer(bytes: usize) -> EthMessage {
        let item = Bytes::from([&[0xf9, (bytes >> 8) as u8, bytes as u8][..], &vec![0x80; bytes]].concat());
        EthMessage::Response { id: 1, response: Response::BlockBodies(vec![item; 32]) }
    }

    #[test]
    fn bounded_by_bytes_but_takes_any_message_when_empty() {
        let outbox = Outbox::new(EthVersion::V69);
        let message = answer(60_000);
        let taken = (0..100).take_while(|_| outbox.push(&message).is_ok()).count();
        assert_eq!(taken, OUTBOX_BYTES_MAX / (32 * 60_003));
        assert!(matches!(outbox.push(&message), Err(SendFailure::Full { .. })));
        while outbox.try_pop().is_some() {}
        assert_eq!(outbox.queued_bytes(), 0);
        outbox.close();
        assert_eq!(outbox.push(&message), Err(SendFailure::NotConnected));
    }

    #[test]
    fn answers_are_let_in_once_and_only_if_asked_for() {
        let outbox = Outbox::new(EthVersion::V69);
        let ask = |id| outbox.push(&EthMessage::Request { id, request: Request::BlockBodies(vec![B256::ZERO]) });
        ask(7).unwrap();
        assert!(!outbox.settle(8, ids::BLOCK_BODIES));
        assert!(!outbox.settle(7, ids::BLOCK_HEADERS));
        assert!(outbox.settle(7, ids::BLOCK_BODIES));
        assert!(!outbox.settle(7, ids::BLOCK_BODIES));
        (0..=OUTSTANDING_MAX as u64).for_each(|id| ask(id).unwrap());
        assert!(!outbox.settle(0, ids::BLOCK_BODIES) && outbox.settle(1, ids::BLOCK_BODIES));
    }
}
