//! The loop that passes transactions on: joins peers and the pool through [`Gossip`], which decides.
//!
//! ```text
//! network ─ announcements, transactions ─┐              ┌─ messages, penalties ─► network
//! pool ─ news ───────────────────────────┼─► Loop: Gossip┤
//! results ───────────────────────────────┘     ▲        └─ jobs ─► query workers ─► pool
//!                                              └────────── results ◄──────┘
//! ```

use crate::process::sleep_until;
use starling_chain::ChainHandle;
use starling_devp2p::eth::{Cells, EthMessage, EthVersion, GetCells, PooledHashes, Request, Response};
use starling_network::{Charge, NetworkHandle};
use starling_peers::Offence;
use starling_primitives::{Bytes, PeerId};
use starling_rpc::QueryPool;
use starling_txpool::{
    PoolHandle, PoolNews, PooledTx,
    gossip::{Fault, Gossip, GossipAction, GossipConfig, GossipEvent, Verified},
};
use std::{sync::Arc, time::Instant};
use tokio::sync::{broadcast, broadcast::error::RecvError, mpsc};

/// What peers say of transactions and the loop has not heard yet. When full, more of it is left out: whoever has a
/// transaction is not the only one. Each holds its share of the network's bounds, which are narrower.
pub(crate) const HEARD_MAX: usize = 4096;
/// Results on their way to the loop; who finds it full waits on its worker.
const RESULTS_MAX: usize = 256;
/// News that are passed on at once.
const NEWS_AT_ONCE_MAX: usize = 1024;
/// Our requests are told apart from those of the loop that syncs, which count up from 1.
const REQUEST_FLAG: u64 = 1 << 63;

/// What the loop hears of peers.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A peer is there.
    Joined(PeerId, EthVersion),
    /// A peer is gone.
    Left(PeerId),
    /// It announced transactions.
    Announced(PeerId, PooledHashes, Charge),
    /// It sent transactions.
    Transactions(PeerId, Vec<Bytes>, Charge),
    /// It answered.
    Pooled(PeerId, u64, Vec<Bytes>, Charge),
    /// It answered with cells of blobs.
    Cells(PeerId, u64, Cells, Charge),
}

impl Heard {
    /// What a message says of transactions; the message itself if it says something else.
    #[allow(clippy::result_large_err, reason = "no error, but a message that goes on to somebody else")]
    pub(crate) fn of(peer: PeerId, message: EthMessage, charge: Charge) -> Result<Self, (EthMessage, Charge)> {
        match message {
            EthMessage::NewPooledTransactionHashes(announced) => Ok(Self::Announced(peer, announced, charge)),
            EthMessage::Transactions(items) => Ok(Self::Transactions(peer, items, charge)),
            EthMessage::Response { id, response: Response::PooledTransactions(items) } if id & REQUEST_FLAG != 0 => {
                Ok(Self::Pooled(peer, id & !REQUEST_FLAG, items, charge))
            }
            EthMessage::Response { id, response: Response::Cells(cells) } if id & REQUEST_FLAG != 0 => {
                Ok(Self::Cells(peer, id & !REQUEST_FLAG, cells, charge))
            }
            other => Err((other, charge)),
        }
    }
}

/// What the loop is built of.
pub(crate) struct GossipParts {
    pub(crate) chain: ChainHandle,
    pub(crate) pool: PoolHandle,
    pub(crate) network: NetworkHandle,
    pub(crate) workers: QueryPool,
    /// Whether our head is the network's, so that what is said of transactions can be judged.
    pub(crate) follows: Box<dyn Fn() -> bool + Send>,
}

/// Runs until the network has stopped.
pub(crate) async fn run(parts: GossipParts, mut heard: mpsc::Receiver<Heard>) {
    let (results, mut results_queue) = mpsc::channel(RESULTS_MAX);
    let config = GossipConfig::from(&parts.pool.config());
    let mut news = parts.pool.news();
    let mut gossip = Loop { gossip: Gossip::new(config, rand::random()), parts, results, charges: Vec::new() };
    loop {
        let deadline = gossip.gossip.next_deadline();
        tokio::select! {
            biased;
            Some(verified) = results_queue.recv() => gossip.handle(GossipEvent::Verified(verified)),
            event = heard.recv() => match event {
                Some(event) => gossip.heard(event),
                None => return,
            },
            event = news.recv() => match event {
                Ok(event) => {
                    let pending = drain(event, &mut news);
                    gossip.handle(GossipEvent::Pending(pending));
                }
                Err(RecvError::Lagged(_)) => {
                    let pending = gossip.parts.pool.pending();
                    gossip.handle(GossipEvent::Pending(pending));
                }
                Err(RecvError::Closed) => return,
            },
            () = sleep_until(deadline) => {
                gossip.gossip.handle_deadline(Instant::now());
                gossip.carry_out();
            }
        }
    }
}

/// The pending ones among news, as many as wait.
fn drain(first: PoolNews, news: &mut broadcast::Receiver<PoolNews>) -> Vec<Arc<PooledTx>> {
    let rest = std::iter::from_fn(|| news.try_recv().ok()).take(NEWS_AT_ONCE_MAX);
    let pending = |event| match event {
        PoolNews::Pending(tx) => Some(tx),
        PoolNews::Left { .. } => None,
    };
    std::iter::once(first).chain(rest).filter_map(pending).collect()
}

struct Loop {
    gossip: Gossip,
    parts: GossipParts,
    results: mpsc::Sender<Verified>,
    /// The room of the message that is being handled, to go with the job that comes of it.
    charges: Vec<Charge>,
}

impl Loop {
    fn heard(&mut self, heard: Heard) {
        let event = match heard {
            Heard::Joined(peer, version) => GossipEvent::Joined { peer, version, pending: self.parts.pool.pending() },
            Heard::Left(peer) => GossipEvent::Left { peer },
            Heard::Pooled(peer, request, transactions, charge) => {
                self.charges.push(charge);
                GossipEvent::Pooled { peer, request, transactions }
            }
            Heard::Cells(peer, request, cells, charge) => {
                self.charges.push(charge);
                GossipEvent::Cells { peer, request, cells }
            }
            Heard::Announced(..) | Heard::Transactions(..) if !(self.parts.follows)() => return,
            Heard::Announced(peer, announced, charge) => {
                self.charges.push(charge);
                GossipEvent::Announced { peer, announced }
            }
            Heard::Transactions(peer, transactions, charge) => {
                self.charges.push(charge);
                GossipEvent::Transactions { peer, transactions }
            }
        };
        self.handle(event);
        self.charges.clear();
    }

    fn handle(&mut self, event: GossipEvent) {
        let pool = self.parts.pool.clone();
        self.gossip.handle(event, &|hash| pool.is_known(hash), Instant::now());
        self.carry_out();
    }

    fn carry_out(&mut self) {
        while let Some(action) = self.gossip.poll() {
            match action {
                GossipAction::Broadcast { peer, transactions, hashes } => {
                    if self.parts.network.send(&peer, &EthMessage::Transactions(transactions)).is_ok() {
                        self.parts.pool.note_told(peer, &hashes);
                    }
                }
                GossipAction::Announce { peer, announced } => {
                    let hashes = announced.hashes.clone();
                    let message = EthMessage::NewPooledTransactionHashes(announced);
                    if self.parts.network.send(&peer, &message).is_ok() {
                        self.parts.pool.note_told(peer, &hashes);
                    }
                }
                GossipAction::Request { peer, request, hashes } => {
                    self.request(peer, request, Request::PooledTransactions(hashes));
                }
                GossipAction::RequestCells { peer, request, hashes, mask } => {
                    self.request(peer, request, Request::Cells(GetCells { hashes, mask }));
                }
                GossipAction::Verify(job) => self.verify(job),
                GossipAction::Penalise { peer, fault } => {
                    tracing::debug!(%peer, ?fault, "a peer is at fault with transactions");
                    metrics::counter!("gossip_faults_total", "fault" => label(fault)).increment(1);
                    self.parts.network.penalise(peer, offence(fault));
                }
            }
        }
    }

    fn request(&mut self, peer: PeerId, request: u64, what: Request) {
        let message = EthMessage::Request { id: request | REQUEST_FLAG, request: what };
        if self.parts.network.send(&peer, &message).is_err() {
            let pool = self.parts.pool.clone();
            let failed = GossipEvent::Failed { peer, request };
            self.gossip.handle(failed, &|hash| pool.is_known(hash), Instant::now());
        }
    }

    fn verify(&mut self, job: starling_txpool::gossip::VerifyJob) {
        let charges = std::mem::take(&mut self.charges);
        let (pool, chain, results) = (self.parts.pool.clone(), self.parts.chain.clone(), self.results.clone());
        let workers = self.parts.workers.clone();
        let without = job.unverified();
        tokio::spawn(async move {
            let verified = workers.run(move || job.run(&pool, &chain.view())).await;
            drop(charges);
            if let Err(error) = &verified {
                tracing::debug!(%error, "transactions of a peer are not looked at");
            }
            let _ = results.send(verified.unwrap_or(without)).await;
        });
    }
}

fn offence(fault: Fault) -> Offence {
    match fault {
        Fault::NoAnswer => Offence::Timeout,
        Fault::UselessAnswer => Offence::UselessAnswer,
        Fault::Flood | Fault::BadTransaction => Offence::BadTransaction,
        Fault::Unasked => Offence::UnrequestedAnswer,
        Fault::BadAnnouncement | Fault::BadCells => Offence::BadAnnouncement,
        Fault::BlobBroadcast => Offence::ProtocolBreach,
    }
}

fn label(fault: Fault) -> &'static str {
    match fault {
        Fault::NoAnswer => "no_answer",
        Fault::UselessAnswer => "useless_answer",
        Fault::Flood => "flood",
        Fault::Unasked => "unasked",
        Fault::BadTransaction => "bad_transaction",
        Fault::BadAnnouncement => "bad_announcement",
        Fault::BadCells => "bad_cells",
        Fault::BlobBroadcast => "blob_broadcast",
    }
}
